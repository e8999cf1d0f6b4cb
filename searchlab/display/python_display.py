"""The display of a run that is started from Python: by where its output goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from searchlab.display.notebook import NotebookLine, is_notebook
from searchlab.runs.events import EventHandler

if TYPE_CHECKING:
    from searchlab.metrics import Metric


@contextmanager
def python_display(metric: Metric | None, *, progress: bool) -> Iterator[EventHandler | None]:
    """Within the block, show a run: a board in a terminal, one line in a notebook, nothing elsewhere.

    Args:
        metric: The primary metric; None where it is not known yet.
        progress: False shows nothing anywhere.

    Yields:
        What handles the events; None where nothing is shown.
    """
    if progress and is_notebook():
        with NotebookLine(metric) as line:
            yield line
    elif progress and _is_terminal():
        from rich.console import Console

        from searchlab.display.progress import Progress

        # on stderr: what the script itself prints may go to a file
        with Progress(Console(stderr=True, highlight=False), metric) as board:
            yield board
    else:
        yield None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()

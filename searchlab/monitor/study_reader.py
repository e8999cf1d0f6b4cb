"""The readers of a study that another process may own: of a journal file, and of a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.monitor.journal_tail import DatabaseTail, JournalTail

if TYPE_CHECKING:
    from searchlab.metrics import Goal


def open_study(
    storage: Path | str, study: str, goal: Goal, *, with_parameters: bool = True
) -> JournalTail | DatabaseTail:
    """Return a reader of the journal at this path, or of the study with this name in the database at this URL.

    Without parameters of the top trials, a journal is read in half the time.
    """
    if isinstance(storage, Path):
        return JournalTail(storage, goal, with_parameters=with_parameters)
    return DatabaseTail(storage, study, goal, with_parameters=with_parameters)

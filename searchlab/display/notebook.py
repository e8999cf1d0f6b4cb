"""One line of a notebook that renews itself while a sweep runs.

IPython is used where a notebook has loaded it already, and never imported otherwise.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Any

from searchlab.display.run_state import RunState
from searchlab.monitor.snapshot import Snapshot
from searchlab.reporting.formats import count, duration, score_with_std
from searchlab.runs.events import Event, Message, PhaseStarted

if TYPE_CHECKING:
    from searchlab.metrics import Metric

INTERVAL = 0.5  # seconds between two renewals


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


class NotebookLine:
    """An event handler that shows a run as one line of a notebook.

    Args:
        metric: The primary metric, where it is known before the run starts; default None.
        interval: Seconds between two renewals; default 0.5.
    """

    def __init__(self, metric: Metric | None = None, interval: float = INTERVAL) -> None:
        self._state, self._interval = RunState(metric), interval
        self._message, self._shown_at = "", 0.0
        self._id, self._is_shown = uuid.uuid4().hex, False
        self._lock = threading.Lock()  # events come from the listener's thread

    def __enter__(self) -> NotebookLine:
        self._show(self._text())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        snapshot = self._state.snapshot()
        end = "finished" if kind is None else "stopped"
        reached = f": {_progress(snapshot)}" if snapshot.requested else ""
        self._show(f"{_name(snapshot)}{end} after {duration(snapshot.seconds)}{reached}")

    def handle(self, event: Event) -> None:
        """Take in an event, and renew the line if it is time: a new phase and a message are shown at once."""
        self._state.handle(event)
        if isinstance(event, Message):
            self._message = event.text
        elif isinstance(event, PhaseStarted):
            self._message = ""
        if isinstance(event, Message | PhaseStarted) or time.monotonic() - self._shown_at >= self._interval:
            self._show(self._text())

    def _text(self) -> str:
        snapshot = self._state.snapshot()
        parts = [f"{_name(snapshot)}{self._state.label}", duration(snapshot.seconds)]
        if snapshot.requested:
            parts.insert(1, _progress(snapshot))
        if snapshot.seconds_left is not None:
            parts.append(f"about {duration(snapshot.seconds_left, digits=2)} left")
        return "; ".join([*parts, self._message] if self._message else parts)

    def _show(self, text: str) -> None:
        """Show the line: the first time as an output of the cell, afterwards in its place."""
        display: Any = importlib.import_module("IPython.display")
        with self._lock:
            renew = display.update_display if self._is_shown else display.display
            renew({"text/plain": text}, raw=True, display_id=self._id)
            self._is_shown, self._shown_at = True, time.monotonic()


def _name(snapshot: Snapshot) -> str:
    return f"{snapshot.sweep}: " if snapshot.sweep else ""


def _progress(snapshot: Snapshot) -> str:
    """Return how many trials have ended and how many run, and the best score."""
    text = f"{snapshot.ended} of {count(snapshot.requested, 'trial')} ended"
    if snapshot.failed:
        text += f" ({snapshot.failed} failed)"
    if snapshot.unfinished:
        text += f", {snapshot.unfinished} running"
    if best := snapshot.best:
        text += f", best {snapshot.metric} {score_with_std(best.score, best.std)} (trial {best.trial})"
    return text

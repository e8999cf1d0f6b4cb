"""The live board of a run, made from its events."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live

from searchlab.display.run_state import RunState
from searchlab.display.snapshot_view import SnapshotView, progress_step, progress_text
from searchlab.runs.events import Event, Message, PhaseStarted, TrialFinished

if TYPE_CHECKING:
    from searchlab.metrics import Metric


class Progress:
    """An event handler that shows a run: redrawn in place on a terminal, with a line now and then elsewhere."""

    def __init__(self, console: Console, metric: Metric | None = None) -> None:
        self.console, self._state = console, RunState(metric)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def handle(self, event: Event) -> None:
        """Show an event: a phase, a trial, or a message on a line of its own."""
        if isinstance(event, Message):
            self.console.print(event.text, markup=False, soft_wrap=True)
        elif self.console.is_terminal:
            self._state.handle(event)
        else:
            self._print(event)

    def _print(self, event: Event) -> None:
        """Print a line where a phase begins, and at every tenth of the trials."""
        before = progress_step(self._state.snapshot()) if isinstance(event, TrialFinished) else 0
        self._state.handle(event)
        if isinstance(event, PhaseStarted):
            self.console.print(f"{event.sweep}: {self._state.label}")
        elif isinstance(event, TrialFinished):
            now = self._state.snapshot()
            if progress_step(now) > before:
                self.console.print(progress_text(now))

    def _render(self) -> RenderableType:
        return SnapshotView(self._state.snapshot(), self._state.label)

"""The live display of a run, made from its events."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import pstdev
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.live import Live

from searchlab.cli.snapshot_view import SnapshotView, progress_step, progress_text
from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import Snapshot, TopTrial
from searchlab.runs.events import EpochFinished, Event, Message, PhaseStarted, TrialFinished, TrialStarted

if TYPE_CHECKING:
    from searchlab.metrics import Metric

PHASE_LABELS = {
    "start": "preparing the run",
    "search": "searching",
    "finalists": "running the best trials again",
    "winner": "training and testing the winner",
    "record": "drawing the figures and completing the record",
}


class Progress:
    """An event handler that shows a run: redrawn in place on a terminal, with a line now and then elsewhere."""

    def __init__(self, console: Console, metric: Metric | None = None) -> None:
        self.console, self._started, self._label = console, time.time(), "starting"
        self._base = Snapshot("", "running", metric=metric.name if metric else "score")  # without counts
        self._board = Leaderboard(metric.goal if metric else "max")
        self._std: dict[int, dict[int, float]] = {}  # over folds, by running trial and epoch
        self._parameters: dict[int, Mapping[str, Any]] = {}  # by running trial
        self._lock = threading.Lock()  # events come from the listener's thread, redraws from rich's
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def handle(self, event: Event) -> None:
        """Show an event: a phase, a trial, or a message on a line of its own."""
        match event:
            case PhaseStarted():
                self._start_phase(event)
            case TrialStarted():
                with self._lock:
                    self._board.add_start(event.trial, event.time)
                    self._parameters[event.trial] = event.parameters
            case EpochFinished():
                with self._lock:
                    self._std.setdefault(event.trial, {})[event.epoch] = pstdev(event.scores)
            case TrialFinished():
                self._finish_trial(event)
            case Message():
                self.console.print(event.text, markup=False, soft_wrap=True)

    def _start_phase(self, event: PhaseStarted) -> None:
        label = PHASE_LABELS[event.phase]
        with self._lock:
            if event.phase in ("start", "finalists"):
                self._board = Leaderboard(event.goal)
            self._base = Snapshot(event.sweep, "running", event.trials, metric=event.metric, goal=event.goal)
            self._label = label
        if not self.console.is_terminal:
            self.console.print(f"{event.sweep}: {label}")

    def _finish_trial(self, event: TrialFinished) -> None:
        before = self._snapshot()
        with self._lock:
            self._end_trial(event)
        now = self._snapshot()
        if not self.console.is_terminal and progress_step(now) > progress_step(before):
            self.console.print(progress_text(now))

    def _end_trial(self, event: TrialFinished) -> None:
        trial, value = event.trial, event.value
        parameters, std = self._parameters.pop(trial, {}), self._std.pop(trial, {})
        if not self._board.add_end(trial, event.state, event.time):
            return
        self._board.add_failure(trial, event.state, event.reason)
        if event.state == "COMPLETE" and value is not None and self._board.is_top_score(trial, value):
            self._board.add_top_trial(TopTrial(trial, value, std.get(event.epoch or 0), event.epoch, parameters))

    def _snapshot(self) -> Snapshot:
        with self._lock:
            now = time.time()
            return self._board.fill(replace(self._base, seconds=now - self._started), self._started, now)

    def _render(self) -> RenderableType:
        return SnapshotView(self._snapshot(), self._label)

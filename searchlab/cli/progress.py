"""The live display of a run: the board of its trials, from what the run tells while it is under way."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.live import Live

from searchlab.cli.board import Board, ended_told, tenths
from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import Leader, Snapshot

if TYPE_CHECKING:
    from searchlab.metrics import Metric
    from searchlab.runs.config import RunConfig
    from searchlab.runs.events import Ending

PHASES = {"start": "starting Ray and the record", "search": "searching", "winner": "refitting the winner, testing it"}


class Progress:
    """Watches a run and shows it: redrawn in place on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, metric: Metric | None = None) -> None:
        self.console, self._begun, self._label = console, clock.time(), "starting"
        self._shown = Snapshot("", "running", metric=metric.name if metric else "score")
        self._board = Leaderboard(metric.goal if metric else "max")
        self._std: dict[int, dict[int, float]] = {}  # of trials under way, by epoch
        self._parameters: dict[int, Mapping[str, Any]] = {}  # alike
        self._guard = threading.Lock()  # events come from the listener's thread, redraws from rich's
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def phase(self, name: str, order: RunConfig) -> None:
        """The run enters a phase; the first one comes before any trial."""
        with self._guard:
            if name == "start":
                self._board = Leaderboard(order.goal)
            self._shown = Snapshot(order.name, "running", order.trials, metric=order.metric, goal=order.goal)
            self._label = PHASES[name]
        if not self.console.is_terminal:
            self.console.print(f"{order.name}: {PHASES[name]}")

    def start(self, trial: int, parameters: Mapping[str, Any], time: float) -> None:
        """A trial has begun."""
        with self._guard:
            self._board.begin(trial, time)
            self._parameters[trial] = parameters

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """A trial has trained an epoch: the spread over folds is kept for the table."""
        mean = sum(scores) / len(scores)
        spread = (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5
        with self._guard:
            self._std.setdefault(trial, {})[epoch] = spread

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended."""
        before = self._snapshot()
        with self._guard:
            self._end(trial, ending)
        now = self._snapshot()
        if not self.console.is_terminal and tenths(now) > tenths(before):
            self.console.print(ended_told(now))

    def note(self, text: str) -> None:
        """A line of its own, above what is redrawn."""
        self.console.print(text)

    def _end(self, trial: int, ending: Ending) -> None:
        parameters, spread = self._parameters.pop(trial, {}), self._std.pop(trial, {})
        if not self._board.end(trial, ending.state, ending.time):
            return
        self._board.miss(trial, ending.state, ending.reason)
        if ending.state == "COMPLETE" and ending.value is not None and self._board.leads(trial, ending.value):
            self._board.lead(Leader(trial, ending.value, spread.get(ending.epoch or 0), ending.epoch, parameters))

    def _snapshot(self) -> Snapshot:
        with self._guard:
            now = clock.time()
            return self._board.fill(replace(self._shown, seconds=now - self._begun), self._begun, now)

    def _draw(self) -> RenderableType:
        return Board(self._snapshot(), self._label)

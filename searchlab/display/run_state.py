"""The state of a run as its events tell it: what the board of a terminal and the line of a notebook show."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import pstdev
from typing import TYPE_CHECKING, Any

from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import Snapshot, TopTrial
from searchlab.runs.events import EpochFinished, Event, PhaseStarted, TrialFinished, TrialStarted

if TYPE_CHECKING:
    from searchlab.metrics import Metric

PHASE_LABELS = {
    "start": "preparing the run",
    "search": "searching",
    "finalists": "running the best trials again",
    "winner": "training and testing the winner",
    "record": "drawing the figures and completing the record",
}


class RunState:
    """Follows a run by its events, which may come from any thread.

    Args:
        metric: The primary metric, where it is known before the run starts; default None.

    Attributes:
        label: What the run does now, in a few words.
    """

    def __init__(self, metric: Metric | None = None) -> None:
        self.label = "starting"
        self._started = time.time()
        self._base = Snapshot("", "running", metric=metric.name if metric else "score")  # without counts
        self._board = Leaderboard(metric.goal if metric else "max")
        self._search_board = self._board  # `_board` but in the phase "finalists", whose trials are counted anew
        self._std: dict[int, dict[int, float]] = {}  # over folds, by running trial and epoch
        self._parameters: dict[int, Mapping[str, Any]] = {}  # by running trial
        self._lock = threading.Lock()  # events come from the listener's thread, redraws from the display's

    def handle(self, event: Event) -> None:
        """Take in an event; messages change nothing."""
        with self._lock:
            match event:
                case PhaseStarted():
                    self._start_phase(event)
                case TrialStarted():
                    self._board.add_start(event.trial, event.time)
                    self._parameters[event.trial] = event.parameters
                case EpochFinished():
                    self._std.setdefault(event.trial, {})[event.epoch] = pstdev(event.scores)
                case TrialFinished():
                    self._end_trial(event)

    def snapshot(self) -> Snapshot:
        """Return the state of the run now."""
        with self._lock:
            now = time.time()
            return self._board.fill(replace(self._base, seconds=now - self._started), self._started, now)

    def _start_phase(self, event: PhaseStarted) -> None:
        if event.phase == "start":
            self._search_board = Leaderboard(event.goal)
        self._board = Leaderboard(event.goal) if event.phase == "finalists" else self._search_board
        self._base = Snapshot(event.sweep, "running", event.trials, metric=event.metric, goal=event.goal)
        self.label = PHASE_LABELS[event.phase]

    def _end_trial(self, event: TrialFinished) -> None:
        trial, value = event.trial, event.value
        parameters, std = self._parameters.pop(trial, {}), self._std.pop(trial, {})
        if not self._board.add_end(trial, event.state, event.time):
            return
        self._board.add_failure(trial, event.state, event.reason)
        if event.state == "COMPLETE" and value is not None and self._board.is_top_score(trial, value):
            self._board.add_top_trial(TopTrial(trial, value, std.get(event.epoch or 0), event.epoch, parameters))

"""The progress of a search from its events: which of them are new, and how long the search still takes."""

from __future__ import annotations

import math
import time

from searchlab.runs.events import EpochFinished, Event, EventHandler, TrialFinished, TrialStarted
from searchlab.runs.job import Job


class SearchProgress:
    """An event handler that passes on what is new: the study tells of its trials again when it is opened again.

    Args:
        job: The job of the search.
        handler: Gets every event once.
    """

    def __init__(self, job: Job, handler: EventHandler) -> None:
        self._handler, self._trials, self._budget = handler, job.trials, job.sweep.budget.seconds
        epochs = job.sweep.training.arguments.get("epochs")
        self._epochs = epochs if isinstance(epochs, int) else None  # None where they differ from trial to trial
        self._last_epoch: dict[int, int] = {}  # by open trial, 0 before its first
        self._ended: set[int] = set()
        self._began, self._ended_before = math.inf, 0

    def begin(self) -> None:
        """Measure the speed of the search from now on."""
        self._began, self._ended_before = time.monotonic(), len(self._ended)

    @property
    def seconds(self) -> float:
        """The seconds since `begin`; 0 before it."""
        return max(0.0, time.monotonic() - self._began)

    def remaining_seconds(self) -> float:
        """Return how many seconds the search still takes at its speed so far; infinity where nothing has ended yet."""
        open_epochs = list(self._last_epoch.values())  # another thread may ask
        started = sum(open_epochs) / self._epochs if self._epochs else 0.0  # in trials
        done, left = len(self._ended) - self._ended_before + started, self._trials - len(self._ended) - started
        seconds = self.seconds * left / done if done > 0 else math.inf
        return seconds if self._budget is None else min(seconds, self._budget - self.seconds)

    def handle(self, event: Event) -> None:
        """Pass the event on, unless it is known."""
        if self._is_new(event):
            self._handler.handle(event)

    def _is_new(self, event: Event) -> bool:
        match event:
            case TrialStarted(trial=trial):
                is_new = trial not in self._last_epoch and trial not in self._ended
                self._last_epoch |= {trial: 0} if is_new else {}
            case EpochFinished(trial=trial, epoch=epoch):
                is_new = epoch > self._last_epoch.get(trial, 0) and trial not in self._ended
                self._last_epoch |= {trial: epoch} if is_new else {}
            case TrialFinished(trial=trial):
                is_new = trial not in self._ended
                self._ended.add(trial)
                self._last_epoch.pop(trial, None)
            case _:
                is_new = True
        return is_new

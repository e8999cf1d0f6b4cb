"""What is known of a trial, in plain values: the rows of every table, picture and result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from searchlab.metrics import Goal
from searchlab.sweep.domains import Scalar
from searchlab.tracking.tracker import Ending, Tracker
from searchlab.training import Report

State = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"]


@dataclass
class Curve:
    """The scores and training losses of one trial, a row per epoch and a column per fold, and when each epoch ended."""

    scores: list[list[float]] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, report: Report, replicas: slice, share: float) -> bool:
        """Add an epoch, if it is the next one: a replayed epoch is known already. Says whether it was added."""
        if report.epoch != len(self.scores) + 1:
            return False
        self.scores.append(report.score[replicas].tolist())
        self.losses.append(report.loss[replicas].tolist())
        self.times.append(report.time)
        self.seconds += report.seconds * share
        return True

    def best(self, goal: Goal) -> tuple[int, float]:
        """The epoch, from 1, with the best mean over folds, and that mean."""
        means = np.mean(self.scores, axis=1)
        row = int(np.argmax(means) if goal == "max" else np.argmin(means))
        return row + 1, float(means[row])


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its parameters, how it ended, and its curve. `value` is the best epoch's mean over folds."""

    number: int
    state: State
    parameters: Mapping[str, Scalar]
    value: float | None
    epoch: int | None
    reason: str | None
    curve: Curve
    started: float  # seconds since 1970
    ended: float | None

    @property
    def folds(self) -> Sequence[float]:
        """The score of each fold at the best epoch; empty where none was reached."""
        return self.curve.scores[self.epoch - 1] if self.epoch else []

    @property
    def std(self) -> float:
        """The standard deviation over folds at the best epoch."""
        return float(np.std(self.folds)) if self.epoch else float("nan")

    def plain(self) -> dict[str, Any]:
        """The trial as JSON values, without its curve."""
        return {
            "trial": self.number,
            "state": self.state,
            "score": self.value,
            "std": self.std if self.epoch else None,
            "folds": list(self.folds),
            "epoch": self.epoch,
            "params": dict(self.parameters),
            "seconds": self.curve.seconds,
            "reason": self.reason,
        }


def retell(trials: Sequence[TrialRecord], tracker: Tracker) -> None:
    """Tell a tracker all that is known of these trials, from their start: a record that lacks some becomes whole."""
    for trial in trials:
        curve = trial.curve
        tracker.start(trial.number, trial.parameters, trial.started)
        for epoch, point in enumerate(zip(curve.scores, curve.losses, curve.times, strict=True), start=1):
            tracker.log(trial.number, epoch, *point)
        if trial.ended is not None:
            ending = Ending(trial.state, trial.value, trial.epoch, trial.reason, curve.seconds, trial.ended)
            tracker.finish(trial.number, ending)


def ranked(trials: Sequence[TrialRecord], goal: Goal) -> list[TrialRecord]:
    """The complete trials, best first; the earlier of two equals first."""
    complete = [t for t in trials if t.state == "COMPLETE" and t.value is not None]
    return sorted(complete, key=lambda t: (-(t.value or 0.0) if goal == "max" else (t.value or 0.0), t.number))


def ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those that are complete, pruned or failed."""
    return [trial for trial in trials if trial.state != "RUNNING"]

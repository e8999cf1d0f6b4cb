"""What is known of a trial, in plain values: the rows of every table, picture and result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from searchlab.metrics import Goal
from searchlab.runs.events import Ending, Tracker
from searchlab.space.domains import Scalar
from searchlab.training import EpochReport

State = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"]


@dataclass
class LearningCurve:
    """The scores and training losses of one trial, a row per epoch and a column per fold, and when each epoch ended.

    `others` has for each epoch the folds' scores by each further metric: none of them where there is one metric.
    """

    scores: list[list[float]] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    others: list[list[list[float]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.others += [[] for _ in self.scores[len(self.others) :]]  # stored before there were several metrics

    def add(self, report: EpochReport, replicas: slice, share: float) -> bool:
        """Add an epoch, if it is the next one: a replayed epoch is known already. Says whether it was added."""
        if report.epoch != len(self.scores) + 1:
            return False
        self.scores.append(report.score[replicas].tolist())
        self.losses.append(report.loss[replicas].tolist())
        self.others.append(report.others[replicas].T.tolist())
        self.times.append(report.time)
        self.seconds += report.seconds * share
        return True

    def best(self, goal: Goal) -> tuple[int, float]:
        """The epoch, from 1, with the best mean over folds, and that mean."""
        means = np.mean(self.scores, axis=1)
        row = int(np.argmax(means) if goal == "max" else np.argmin(means))
        return row + 1, float(means[row])

    def values(self, epoch: int) -> tuple[float, ...]:
        """The mean over folds of every metric after this epoch, counted from 1; the primary metric first."""
        return tuple(float(np.mean(folds)) for folds in (self.scores[epoch - 1], *self.others[epoch - 1]))


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its parameters, how it ended, and its curve. `value` is the best epoch's mean over folds,
    `values` are those of every metric at that epoch, the primary one's first; empty where no epoch was reached.

    A trial that was stopped (PRUNED) has the best epoch so far, and a `reason`; one that breaks the sweep's constraint
    (INFEASIBLE) was never trained.
    """

    number: int
    state: State
    parameters: Mapping[str, Scalar]
    value: float | None
    epoch: int | None
    reason: str | None
    curve: LearningCurve
    started: float  # seconds since 1970
    ended: float | None
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.values and self.value is not None:  # of one metric nobody has to say it twice
            object.__setattr__(self, "values", (self.value,))

    @property
    def folds(self) -> Sequence[float]:
        """The score of each fold at the best epoch; empty where none was reached."""
        return self.curve.scores[self.epoch - 1] if self.epoch else []

    @property
    def std(self) -> float:
        """The standard deviation over folds at the best epoch."""
        return float(np.std(self.folds)) if self.epoch else float("nan")

    def ending(self, time: float) -> Ending:
        """How it ended, as a tracker is told; `time` in seconds since 1970."""
        return Ending(self.state, self.value, self.epoch, self.reason, self.curve.seconds, time, self.values[1:])

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
        for epoch, point in enumerate(zip(curve.scores, curve.losses, curve.times, curve.others, strict=True), start=1):
            tracker.log(trial.number, epoch, *point)
        if trial.ended is not None:
            tracker.finish(trial.number, trial.ending(trial.ended))


def ranked(trials: Sequence[TrialRecord], goal: Goal) -> list[TrialRecord]:
    """The complete trials, best first; the earlier of two equals first."""
    complete = [t for t in trials if t.state == "COMPLETE" and t.value is not None]
    return sorted(complete, key=lambda t: (-(t.value or 0.0) if goal == "max" else (t.value or 0.0), t.number))


def pareto(trials: Sequence[TrialRecord], goals: Sequence[Goal]) -> list[TrialRecord]:
    """The complete trials that no other beats in one metric without losing in another, best first in the primary one.

    `goals` are the metrics', the primary first. Of trials that are equal in every metric all are on the front, the
    earlier first (Deb 2001, Multi-Objective Optimization using Evolutionary Algorithms, section 2.4).
    """
    complete = [trial for trial in ranked(trials, goals[0]) if len(trial.values) == len(goals)]
    signs = np.array([1.0 if goal == "max" else -1.0 for goal in goals])
    values = np.array([trial.values for trial in complete]).reshape(-1, len(goals)) * signs  # larger is better
    front = [
        trial
        for trial, own in zip(complete, values, strict=True)
        if not ((values >= own).all(axis=1) & (values > own).any(axis=1)).any()
    ]
    return sorted(front, key=lambda trial: ([-s * v for s, v in zip(signs, trial.values, strict=True)], trial.number))


def contenders(trials: Sequence[TrialRecord], goals: Sequence[Goal]) -> list[TrialRecord]:
    """The complete trials in the order in which they may win: by the metric, of several first the Pareto front.

    Where none is complete, as when a budget ends before the first trial does, those that were stopped.
    """
    if not any(trial.state == "COMPLETE" for trial in trials):
        stopped = [trial for trial in trials if trial.value is not None]
        return sorted(stopped, key=lambda trial: (-trial.value if goals[0] == "max" else trial.value, trial.number))  # type: ignore[operator]
    front = pareto(trials, goals) if len(goals) > 1 else []
    numbers = {trial.number for trial in front}
    return front + [trial for trial in ranked(trials, goals[0]) if trial.number not in numbers]


def ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those that are complete, pruned, failed or infeasible."""
    return [trial for trial in trials if trial.state != "RUNNING"]

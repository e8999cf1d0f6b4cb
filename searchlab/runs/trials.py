"""Trial records: what is known of each trial, as plain values behind every table, figure and result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.runs.events import EpochFinished, EventHandler, TrialFinished, TrialStarted
from searchlab.runs.overfitting import is_overfitted
from searchlab.space.domains import Domain, Scalar
from searchlab.training import EpochReport

State = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"]


@dataclass
class LearningCurve:
    """The scores and losses of one trial, a row per epoch and a column per fold.

    Attributes:
        scores: Held-out score of the primary metric by epoch and fold.
        losses: Mean training loss by epoch and fold.
        times: When each epoch ended, in seconds since 1970.
        seconds: Training time of the trial; a trial in a group of n counts one n-th of the group's time.
        others: For each epoch, the scores by fold of each metric after the primary one; empty where there is none.
        held_out_losses: Mean loss on the held-out rows by epoch and fold; that of an epoch is empty where it was not
            measured. There are no epochs in the studies of versions that did not measure it.
        training_scores: Score of the primary metric on a sample of the training rows, in the same way.
    """

    scores: list[list[float]] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    others: list[list[list[float]]] = field(default_factory=list)
    held_out_losses: list[list[float]] = field(default_factory=list)
    training_scores: list[list[float]] = field(default_factory=list)

    def add(self, report: EpochReport, replicas: slice, share: float) -> bool:
        """Add the next epoch of the trial with these replicas, and return whether it was new.

        An epoch that is known already, as after a restart from a checkpoint, changes nothing. `share` is the fraction
        of the group's training time that counts for this trial.
        """
        if report.epoch != len(self.scores) + 1:
            return False
        self.scores.append(report.score[replicas].tolist())
        self.losses.append(report.loss[replicas].tolist())
        self.others.append(report.others[replicas].T.tolist())
        self.held_out_losses.append(_measured(report.held_out_loss[replicas]))
        self.training_scores.append(_measured(report.training_score[replicas]))
        self.times.append(report.time)
        self.seconds += report.seconds * share
        return True

    def event(self, trial: int, epoch: int) -> EpochFinished:
        """Return the event of the end of this epoch, from 1, of the trial with this number and curve."""
        row = epoch - 1
        held_out_losses, training_scores = self.held_out_losses[row:epoch], self.training_scores[row:epoch]
        return EpochFinished(
            trial,
            epoch,
            self.scores[row],
            self.losses[row],
            self.times[row],
            self.others[row],
            held_out_losses[0] if held_out_losses else [],  # an earlier version did not measure it
            training_scores[0] if training_scores else [],
        )

    def best(self, goal: Goal) -> tuple[int, float]:
        """Return the epoch, from 1, with the best mean over folds, and that mean.

        Of epochs with equal means it is the one with the lowest held-out loss: where the score does not change, as that
        of a network that predicts the same class for every row, the first epoch is the one that has learned least.
        """
        means = np.mean(self.scores, axis=1)
        best = means.max() if goal == "max" else means.min()
        tied = np.flatnonzero(means == best).tolist() or [0]  # none equals a mean that is not a number
        row = min(tied, key=lambda row: self.held_out_loss(row + 1))
        return row + 1, float(means[row])

    def held_out_loss(self, epoch: int) -> float:
        """Return the mean over folds of the held-out loss after this epoch, from 1; infinity where none was measured.

        A fold whose loss is not a number makes it infinite too.
        """
        losses = self.held_out_losses[epoch - 1] if epoch <= len(self.held_out_losses) else []
        mean = float(np.mean(losses)) if losses else math.inf
        return math.inf if math.isnan(mean) else mean

    def values(self, epoch: int) -> tuple[float, ...]:
        """Return the mean over folds of every metric after this epoch, from 1; the primary metric first."""
        return tuple(float(np.mean(folds)) for folds in (self.scores[epoch - 1], *self.others[epoch - 1]))


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its parameters, how it ended, and its learning curve.

    Attributes:
        number: Number of the trial, from 0.
        state: "RUNNING", "COMPLETE", "PRUNED", "FAIL", or "INFEASIBLE", which violates the constraint and was never
            trained.
        parameters: Suggested values by path, such as {"model.hidden": 64, "optimizer": "Adam"}.
        value: Mean over folds of the primary metric at the best epoch; None where no epoch was reached.
        epoch: The best epoch, from 1; None where no epoch was reached.
        reason: Why it was pruned, failed or is infeasible; None otherwise.
        curve: Scores and losses by epoch and fold.
        started: When it started, in seconds since 1970.
        ended: When it ended, in seconds since 1970; None while it runs.
        values: Means over folds of every metric at the best epoch, the primary one first.
        traceback: Traceback of the exception in its code that failed it; None otherwise.
        domains: What each of its parameters was suggested from, by path: a Float, an Int or a Choice of labels. Trials
            are equal whatever their domains.
    """

    number: int
    state: State
    parameters: Mapping[str, Scalar]
    value: float | None
    epoch: int | None
    reason: str | None
    curve: LearningCurve = field(repr=False)
    started: float
    ended: float | None
    values: tuple[float, ...] = ()
    traceback: str | None = field(default=None, repr=False)
    domains: Mapping[str, Domain] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.values and self.value is not None:  # with a single metric, `value` says it all
            object.__setattr__(self, "values", (self.value,))

    @property
    def folds(self) -> Sequence[float]:
        """The score of each fold at the best epoch; empty where no epoch was reached."""
        return self.curve.scores[self.epoch - 1] if self.epoch else []

    @property
    def std(self) -> float:
        """The standard deviation over the n folds at the best epoch, divided by n and not by n - 1."""
        return float(np.std(self.folds)) if self.epoch else float("nan")

    @property
    def held_out_loss(self) -> float:
        """The mean over folds of the held-out loss at the best epoch; infinity where it was not measured."""
        return self.curve.held_out_loss(self.epoch) if self.epoch else math.inf

    @property
    def overfitted(self) -> bool:
        """Whether its held-out score fell after its best epoch, while the gap to its score on training rows grew."""
        if not self.epoch:
            return False
        best_score, means = np.mean(self.folds), np.mean(self.curve.scores, axis=1)
        goal: Goal = "max" if best_score >= means.max() else "min"  # the best epoch says which way is better
        return is_overfitted(self.curve.scores, self.curve.training_scores, goal)

    def finished_event(self, time: float) -> TrialFinished:
        """Return the event of its end at this time, in seconds since 1970."""
        return TrialFinished(
            self.number,
            self.state,
            self.value,
            self.epoch,
            self.reason,
            self.curve.seconds,
            time,
            self.values[1:],
            self.traceback,
            self.overfitted,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the trial as JSON values, without its curve."""
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
            "overfitted": self.overfitted,
        }


def _measured(values: Array) -> list[float]:
    """Return the values (folds,) as a list, which is empty where no fold has one."""
    return [] if np.isnan(values).all() else list(values.tolist())


def replay_events(trials: Sequence[TrialRecord], handler: EventHandler) -> None:
    """Pass the events of these trials to a handler again, so that an incomplete record is completed."""
    for trial in trials:
        curve = trial.curve
        handler.handle(TrialStarted(trial.number, trial.parameters, trial.started))
        for epoch in range(1, 1 + len(curve.scores)):
            handler.handle(curve.event(trial.number, epoch))
        if trial.ended is not None:
            handler.handle(trial.finished_event(trial.ended))


def ranked(trials: Sequence[TrialRecord], goal: Goal) -> list[TrialRecord]:
    """Return the complete trials, best first; of equal ones the one with the lower held-out loss, then the earlier."""
    return _by_score([t for t in trials if t.state == "COMPLETE" and t.value is not None], goal)


def _by_score(trials: Sequence[TrialRecord], goal: Goal) -> list[TrialRecord]:
    sign = -1.0 if goal == "max" else 1.0
    return sorted(trials, key=lambda t: (sign * (t.value or 0.0), t.held_out_loss, t.number))


def pareto(trials: Sequence[TrialRecord], goals: Sequence[Goal]) -> list[TrialRecord]:
    """Return the Pareto front: the complete trials that no other trial dominates, best first in the primary metric.

    `goals` are the metrics', the primary one first. Trials that are equal in every metric are all on the front, the
    one with the lower held-out loss first.

    Reference:
        Deb (2001), Multi-Objective Optimization using Evolutionary Algorithms, section 2.4.
    """
    complete = [trial for trial in ranked(trials, goals[0]) if len(trial.values) == len(goals)]
    signs = np.array([1.0 if goal == "max" else -1.0 for goal in goals])
    values = np.array([trial.values for trial in complete]).reshape(-1, len(goals)) * signs  # larger is better
    front = [
        trial
        for trial, own in zip(complete, values, strict=True)
        if not ((values >= own).all(axis=1) & (values > own).any(axis=1)).any()
    ]
    return sorted(
        front,
        key=lambda t: ([-s * v for s, v in zip(signs, t.values, strict=True)], t.held_out_loss, t.number),
    )


def winner_candidates(trials: Sequence[TrialRecord], goals: Sequence[Goal]) -> list[TrialRecord]:
    """Return the complete trials in the order in which they may win: by the metric; of several, the Pareto front first.

    Where no trial is complete, as when a budget ends before the first one does, return those that were pruned.
    """
    if not any(trial.state == "COMPLETE" for trial in trials):
        return _by_score([trial for trial in trials if trial.value is not None], goals[0])
    front = pareto(trials, goals) if len(goals) > 1 else []
    numbers = {trial.number for trial in front}
    return front + [trial for trial in ranked(trials, goals[0]) if trial.number not in numbers]


def ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that are complete, pruned, failed or infeasible."""
    return [trial for trial in trials if trial.state != "RUNNING"]

"""The values of a trial that the figures need, and the selection of the best trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from searchlab.reporting.style import FloatArray
from searchlab.runs.equal_epochs import common_epoch, folds_until
from searchlab.space.domains import Domain


@dataclass(frozen=True)
class PlottedTrial:
    """A trial as plain values.

    Attributes:
        number: Number of the trial.
        state: COMPLETE, PRUNED, FAIL or INFEASIBLE.
        value: Value of the primary metric, None where it has none.
        curve: Scores by epoch and fold.
        parameters: Values by path.
        values: Values of all metrics, `value` first, where there are several.
        domains: What each parameter was suggested from, by path, where that is known.
        training_curve: Scores on training rows by epoch and fold; those of an epoch are empty where not measured.
    """

    number: int
    state: str
    value: float | None
    curve: list[list[float]] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    values: Sequence[float] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict)
    training_curve: list[list[float]] = field(default_factory=list)


def finite_values(trials: Iterable[PlottedTrial], state: str) -> list[tuple[int, float]]:
    """Return number and value of the trials in this state that have a finite value, sorted by number."""
    pairs = ((trial.number, trial.value) for trial in trials if trial.state == state)
    return sorted((number, value) for number, value in pairs if value is not None and math.isfinite(value))


def best_first(trials: Iterable[PlottedTrial], goal: str) -> list[PlottedTrial]:
    """Return the complete trials with a value, best first; the pruned ones where no trial is complete."""
    by_number, sign = {trial.number: trial for trial in trials}, -1.0 if goal == "max" else 1.0
    pairs = finite_values(by_number.values(), "COMPLETE") or finite_values(by_number.values(), "PRUNED")
    return [by_number[number] for number, _ in sorted(pairs, key=lambda pair: (sign * pair[1], pair[0]))]


def curve_scores(trial: PlottedTrial) -> FloatArray:
    """Return the scores (epochs, folds), with NaN for those that are not finite, which are not drawn."""
    scores = np.array(trial.curve, dtype=np.float64)
    scores[~np.isfinite(scores)] = np.nan
    return scores


def training_means(trial: PlottedTrial) -> tuple[FloatArray, FloatArray]:
    """Return the epochs (n,) with finite scores on training rows, and the means over folds of these scores (n,)."""
    measured = [(epoch, scores) for epoch, scores in enumerate(trial.training_curve, start=1) if scores]
    finite = [(epoch, float(np.mean(scores))) for epoch, scores in measured if np.isfinite(scores).all()]
    points = np.array(finite, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def fold_scores(trial: PlottedTrial, goal: str) -> FloatArray:
    """Return the finite scores of the folds at the epoch with the best mean."""
    scores = curve_scores(trial)
    mean = scores.mean(axis=1)
    comparable = np.where(np.isnan(mean), -np.inf if goal == "max" else np.inf, mean)
    best: FloatArray = scores[int(comparable.argmax() if goal == "max" else comparable.argmin())]
    return best[np.isfinite(best)]


@dataclass(frozen=True)
class EqualEpochs:
    """The trials that have scores, judged at equal epochs.

    Attributes:
        epoch: The epoch until which they are judged; None where only their values are known.
        folds: The finite fold scores of each trial, complete or pruned, at its best epoch until then, by its number.
        pruned: Number of those that were pruned.
    """

    epoch: int | None
    folds: Mapping[int, FloatArray]
    pruned: int

    def mean(self, number: int) -> float:
        """Return the mean over folds of a trial."""
        return float(self.folds[number].mean())

    @property
    def words(self) -> str:
        """Until which epoch trials are judged, as the end of a sentence; empty where none was stopped early."""
        return f" until epoch {self.epoch}" if self.pruned and self.epoch else ""


def at_equal_epochs(trials: Iterable[PlottedTrial], goal: str) -> EqualEpochs:
    """Return the scores of the complete and pruned trials until the last epoch that three quarters of them reached."""
    ended = [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED")]
    lengths = [[len(trial.curve) for trial in ended if trial.state == state] for state in ("COMPLETE", "PRUNED")]
    epoch, found = common_epoch(*lengths), dict[int, FloatArray]()
    for trial in ended:
        folds = folds_until(trial.curve, epoch or 0, goal)
        if folds is None and not trial.curve and trial.value is not None and math.isfinite(trial.value):
            folds = np.array([trial.value])
        if folds is not None:
            found[trial.number] = folds
    return EqualEpochs(epoch, found, sum(trial.state == "PRUNED" and trial.number in found for trial in ended))

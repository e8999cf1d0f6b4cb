"""What the pictures know of a trial, and which trials count as the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from searchlab.reporting.style import Numbers


@dataclass(frozen=True)
class TrialCurve:
    """A trial: how it ended (COMPLETE, PRUNED, FAIL, INFEASIBLE), its value, its scores by epoch and fold, its
    parameters, and where there are several metrics its values by each, `value` first.
    """

    number: int
    state: str
    value: float | None
    curve: list[list[float]] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    values: Sequence[float] = ()


def valued(trials: Iterable[TrialCurve], state: str) -> list[tuple[int, float]]:
    """Number and value of the trials in this state that have a finite one, in the order of their numbers."""
    numbered = ((trial.number, trial.value) for trial in trials if trial.state == state)
    return sorted((number, value) for number, value in numbered if value is not None and math.isfinite(value))


def best_first(trials: Iterable[TrialCurve], goal: str) -> list[TrialCurve]:
    """The trials with a value, best first: complete ones, or pruned ones while there are no others."""
    by_number, sign = {trial.number: trial for trial in trials}, -1.0 if goal == "max" else 1.0
    ranked = valued(by_number.values(), "COMPLETE") or valued(by_number.values(), "PRUNED")
    return [by_number[number] for number, _ in sorted(ranked, key=lambda entry: (sign * entry[1], entry[0]))]


def scores_of(trial: TrialCurve) -> Numbers:
    """(epochs, K); what is not finite is left out of the picture."""
    scores = np.array(trial.curve, dtype=np.float64)
    scores[~np.isfinite(scores)] = np.nan
    return scores


def folds_at_best(trial: TrialCurve, goal: str) -> Numbers:
    """The finite scores of the folds, at the epoch where their mean was best."""
    mean = scores_of(trial).mean(axis=1)
    worst = -np.inf if goal == "max" else np.inf
    settled = np.where(np.isnan(mean), worst, mean)
    best: Numbers = scores_of(trial)[int(settled.argmax() if goal == "max" else settled.argmin())]
    return best[np.isfinite(best)]

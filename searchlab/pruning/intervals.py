"""Confidence intervals of repeated cross-validation: its scores depend on each other, because folds share rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.pruning.paired_test import student_t_sf

LEVEL = 0.95  # of every interval


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval.

    Attributes:
        mean: The mean.
        low: Lower end; None where a single score says nothing of the spread.
        high: Upper end.
    """

    mean: float
    low: float | None
    high: float | None

    def includes(self, value: float) -> bool:
        """Return whether the value is inside; no interval excludes nothing but what differs from its mean."""
        if self.low is None or self.high is None:
            return self.mean == value
        return self.low <= value <= self.high


def repeated_cv_interval(scores: Array, held_out_ratio: float, level: float = LEVEL) -> Interval:
    """Return the interval of the mean score of a configuration, or of the mean difference of two.

    The scores of different folds and seeds come from networks that have training rows in common. Their variance over
    folds and seeds is therefore too small for that of the mean, and is multiplied by 1 / (S K) + `held_out_ratio`.

    Args:
        scores: Scores by seed and fold (S, K).
        held_out_ratio: Held-out rows of a fold divided by its training rows.
        level: Probability that the interval covers the mean; default 0.95.

    Reference:
        Nadeau and Bengio (2003), Inference for the generalization error; Bouckaert and Frank (2004) for repeated
        cross-validation.

    Example:
        >>> import numpy as np
        >>> from searchlab.pruning.intervals import repeated_cv_interval
        >>> interval = repeated_cv_interval(np.array([[0.96, 0.98], [0.97, 0.97]]), held_out_ratio=1.0)
        >>> [round(value, 4) for value in (interval.mean, interval.low, interval.high)]
        [0.97, 0.941, 0.999]
    """
    mean = float(scores.mean())
    if scores.size < 2:
        return Interval(mean, None, None)
    variance = float(scores.var(ddof=1)) * (1.0 / scores.size + held_out_ratio)
    half_width = _quantile((1.0 - level) / 2.0, scores.size - 1) * math.sqrt(variance)
    return Interval(mean, mean - half_width, mean + half_width)


def ratio_of_held_out(train_counts: Array, held_out_counts: Array) -> float:
    """Return the mean over folds of held-out rows divided by training rows."""
    return float(np.mean(held_out_counts / train_counts))


def _quantile(upper_tail: float, degrees: int) -> float:
    """Return the t that Student's distribution exceeds with this probability, by bisection."""
    low, high = 0.0, 1.0
    while student_t_sf(high, degrees) > upper_tail:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if student_t_sf(middle, degrees) > upper_tail else (low, middle)
    return high

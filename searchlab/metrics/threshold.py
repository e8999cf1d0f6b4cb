"""The probability from which on a row counts as positive, chosen on rows that were not trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from searchlab.backend import Array

PARTS = 5  # of held-out rows: each part is judged by the threshold that is the best one on the others

ScoreOfCounts = Callable[[Array, Array, Array], Array]
"""Scores (...) of the rows (..., 2) of each class that are predicted right, that are predicted, and that there are."""


def best_threshold(probabilities: Array, labels: Array, weights: Array, score: ScoreOfCounts) -> float:
    """Return the threshold with the highest score: rows with at least this probability count as positive.

    It lies midway between two probabilities. Of several thresholds with the same score it is the one nearest to 0.5.

    Args:
        probabilities: Probability (N,) of the positive class.
        labels: Classes (N,), 1 for the positive one.
        weights: Weights (N,).
        score: The score, larger is better.

    Example:
        >>> import numpy as np
        >>> from searchlab import BalancedAccuracy
        >>> from searchlab.metrics.threshold import best_threshold
        >>> best_threshold(np.array([0.1, 0.2, 0.3]), np.array([0, 0, 1]), np.ones(3), BalancedAccuracy().score)
        0.25
    """
    order = np.argsort(-probabilities, kind="stable")
    sorted_probabilities, sorted_weights = probabilities[order], weights[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_probabilities)), len(order) - 1)  # of runs of equal probabilities
    # by number of distinct probabilities that count as positive, none of them first: (T,)
    predicted = np.append(0.0, np.cumsum(sorted_weights)[ends])
    hits = np.append(0.0, np.cumsum(sorted_weights * (labels[order] == 1))[ends])
    scores = score(*_counts(hits, predicted))
    distinct = sorted_probabilities[ends]
    above_all = max(0.5 + 0.5 * distinct[0], np.nextafter(distinct[0], 2.0))
    upper, lower = distinct[:-1], distinct[1:]
    between = 0.5 * (upper + lower)
    between = np.where(between > lower, between, upper)  # of neighboring floats, the middle may be the lower one
    thresholds = np.concatenate([[above_all], between, [0.5 * distinct[-1]]])
    tied = thresholds[scores >= scores.max() - 1e-12]
    return float(tied[np.abs(tied - 0.5).argmin()])


def cross_fitted_decisions(probabilities: Array, labels: Array, weights: Array, score: ScoreOfCounts) -> Array:
    """Return which rows (N,) count as positive, each by the threshold that is the best one on the other parts.

    The rows of each class are dealt out to five parts in turn. No row has a say in the threshold that it is judged by.
    """
    parts, is_positive = np.empty(len(labels), dtype=np.int64), np.zeros(len(labels), dtype=bool)
    parts[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % PARTS
    for part in range(min(PARTS, len(labels))):
        own, others = parts == part, parts != part
        chosen = 0.5
        if others.any():
            chosen = best_threshold(probabilities[others], labels[others], weights[others], score)
        is_positive[own] = probabilities[own] >= chosen
    return is_positive


def _counts(hits: Array, predicted: Array) -> tuple[Array, Array, Array]:
    """Return the counts (T, 2) of both classes from the hits and the predictions (T,) of the positive one.

    All rows count as positive in the last entry, which so has the number of rows, and of positive ones.
    """
    total, positive = predicted[-1], hits[-1]
    negative_hits = np.maximum((total - positive) - (predicted - hits), 0.0)
    actual = np.broadcast_to(np.array([total - positive, positive]), (len(hits), 2))
    return np.stack([negative_hits, hits], axis=1), np.stack([total - predicted, predicted], axis=1), actual

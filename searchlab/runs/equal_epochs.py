"""Scores of trials at equal epochs, so that one that was stopped early is compared with one that was trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array

MIN_SHARE = 0.75  # of the trials, which must have reached the epoch at which all are compared


def common_epoch(complete: Sequence[int], pruned: Sequence[int]) -> int | None:
    """Return the last epoch, from 1, that at least three quarters of the trials reached; None where none was trained.

    A complete trial counts as having reached every epoch, because it has no more of them. So the epoch is the last one
    where no trial was pruned.

    Args:
        complete: Number of epochs of each complete trial.
        pruned: Number of epochs of each pruned trial. Trials of 0 epochs do not count.

    Example:
        >>> from searchlab.runs.equal_epochs import common_epoch
        >>> common_epoch([9], [1, 3, 3]), common_epoch([5, 20], []), common_epoch([], [])
        (3, 20, None)
    """
    stopped = sorted((length for length in pruned if length), reverse=True)
    total = sum(map(bool, complete)) + len(stopped)
    needed = math.ceil(MIN_SHARE * total) - (total - len(stopped))  # pruned trials that must have reached it
    return stopped[needed - 1] if needed > 0 else max([*complete, *pruned], default=0) or None


def folds_until(curve: Sequence[Sequence[float]], epoch: int, goal: str) -> Array | None:
    """Return the fold scores after the epoch with the best mean of the first `epoch` ones; None without a finite mean.

    A trial with fewer epochs than `epoch` is judged by all that it has: it had ended, or was stopped as one of the
    worst.

    Args:
        curve: Scores by epoch and fold (E, K).
        epoch: The epoch at which trials are compared, from 1.
        goal: "max" or "min".

    Returns:
        Scores (K,).

    Example:
        >>> from searchlab.runs.equal_epochs import folds_until
        >>> curve = [[0.5, 0.7], [0.8, 0.8], [0.9, 0.9]]
        >>> folds_until(curve, 2, "max").tolist()
        [0.8, 0.8]
    """
    scores = np.array(curve[:epoch], dtype=np.float64)  # (epochs, folds)
    if not scores.size:
        return None
    finite = np.asarray(np.isfinite(scores).all(axis=1))
    if not finite.any():
        return None
    sign = 1.0 if goal == "max" else -1.0
    means = np.where(finite, sign * np.where(finite[:, None], scores, 0.0).mean(axis=1), -np.inf)
    best: Array = scores[int(means.argmax())]
    return best

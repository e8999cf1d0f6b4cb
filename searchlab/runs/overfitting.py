"""Overfitting as a property of a learning curve: the network goes on improving on its training rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal

MIN_EPOCHS = 5  # with both scores; fewer show no course
WINDOW_SHARE = 5  # the scores of a fifth of these epochs are averaged, so that no single epoch decides
MIN_SIGNAL = 2.0  # a fall counts from twice its standard error over folds, and from twice the noise of the curve


def is_overfitted(scores: Sequence[Sequence[float]], training_scores: Sequence[Sequence[float]], goal: Goal) -> bool:
    """Return whether held-out scores fell after their best epoch while their gap to the training scores grew.

    Only the epochs with both scores count. Two windows of a
    fifth of these epochs each are compared, one around the epoch with the best mean and one at the end; they must not
    overlap, so a curve that is best at its end is not overfitted. From the first to the second,

    - the held-out score falls, in the mean over folds, by more than twice the standard error over folds of this fall,
      and by more than twice the median change of the mean from one epoch to the next: the best epoch was chosen among
      noisy ones, and so lies a little above the others in any case;
    - the gap, how much better the training score is than the held-out score, grows by more than twice its standard
      error over folds.

    So a score that falls because training itself gets worse, as with a learning rate that is too high, does not count:
    there the training score falls as well.

    Args:
        scores: Held-out scores by epoch and fold.
        training_scores: Scores on training rows by epoch and fold; those of an epoch are empty where not measured.
        goal: Which way is better.

    Returns:
        False also where fewer than five epochs have both scores, or where a score is not finite.

    Reference:
        Prechelt (1998), "Early stopping - but when?": training goes on while the held-out error rises.

    Example:
        >>> from searchlab.runs.overfitting import is_overfitted
        >>> held_out = [[0.6], [0.8], [0.9], [0.9], [0.85], [0.8], [0.75], [0.7], [0.65], [0.6]]
        >>> training = [[0.6], [0.8], [0.9], [0.95], [1.0], [1.0], [1.0], [1.0], [1.0], [1.0]]
        >>> is_overfitted(held_out, training, "max"), is_overfitted(held_out, held_out, "max")
        (True, False)
    """
    pairs = [pair for pair in zip(scores, training_scores, strict=False) if pair[1]]
    if len(pairs) < MIN_EPOCHS:
        return False
    held_out, training = np.array(pairs).swapaxes(0, 1) * (1.0 if goal == "max" else -1.0)  # (epochs, folds) each
    if not (np.isfinite(held_out).all() and np.isfinite(training).all()):
        return False
    means, window = held_out.mean(axis=1), max(1, len(pairs) // WINDOW_SHARE)
    start = max(0, int(means.argmax()) - window // 2)  # of the window around the best epoch
    if start + window > len(pairs) - window:
        return False
    best, end = slice(start, start + window), slice(len(pairs) - window, None)
    fall = held_out[best].mean(axis=0) - held_out[end].mean(axis=0)  # (folds,)
    growth = (training - held_out)[end].mean(axis=0) - (training - held_out)[best].mean(axis=0)
    noise = float(np.median(np.abs(np.diff(means))))
    is_falling = fall.mean() > MIN_SIGNAL * max(_standard_error(fall), noise)
    return bool(is_falling and growth.mean() > MIN_SIGNAL * _standard_error(growth))


def _standard_error(values: Array) -> float:
    """Return the standard error of the mean of the values (folds,); 0 for a single fold, whose spread is not known."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0

"""Probabilities of classes from the scores of a network, on the host."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array


def softmax(scores: Array) -> Array:
    """Return the softmax (N, C) of scores; a row with a score that is not finite gives NaN for every class.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.class_probabilities import softmax
        >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    scores = np.asarray(scores, np.float64)
    finite = np.isfinite(scores).all(axis=1, keepdims=True)
    safe = np.where(finite, scores, 0.0)
    with np.errstate(under="ignore"):  # the probability of a very unlikely class is rounded to 0
        powers = np.exp(safe - safe.max(axis=1, keepdims=True, initial=-np.inf))
        shares: Array = np.where(finite, powers / powers.sum(axis=1, keepdims=True), np.nan)
    return shares

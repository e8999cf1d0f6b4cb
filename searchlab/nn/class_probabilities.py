"""Probabilities of classes from the scores of a network."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, xp_of


def softmax(scores: Array) -> Array:
    """Return the softmax (N, C) of scores, on the host; a row with a score that is not finite gives NaN for each class.

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


def decide(shares: Array, threshold: float | None = None) -> Array:
    """Return the predicted class (N,) from the probabilities (N, C) of classes, on the host.

    Args:
        shares: Probabilities of C classes.
        threshold: The probability of class 1 from which on a row of two classes is in it; default None, where the
            likeliest class is predicted.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.class_probabilities import decide
        >>> shares = np.array([[0.8, 0.2], [0.95, 0.05]])
        >>> decide(shares).tolist(), decide(shares, threshold=0.1).tolist()
        ([0, 0], [1, 0])
    """
    classes: Array = shares.argmax(axis=1) if threshold is None else (shares[:, 1] >= threshold).astype(np.int64)
    return classes


def positive_probability(scores: Array) -> Array:
    """Return the probability of class 1, the positive one, from the scores (..., 2) of two classes, in float64.

    It is the softmax of class 1, on the device of the scores.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.class_probabilities import positive_probability
        >>> positive_probability(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [0.5, 0.0]
    """
    difference = scores[..., 1].astype(np.float64) - scores[..., 0]
    probability: Array = 0.5 + 0.5 * xp_of(scores).tanh(0.5 * difference)
    return probability

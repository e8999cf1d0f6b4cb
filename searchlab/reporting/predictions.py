"""What a network answered to rows that it had not seen: the plain values behind the pictures of a winner.

Without matplotlib: whoever collects the answers need not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array


@dataclass(frozen=True)
class Predictions:
    """Inputs x (N, F), true classes (N,), the network's scores (N, C), the height and width of a row that is an image,
    and what the classes are called."""

    x: Array
    truth: Array
    scores: Array
    image: tuple[int, int] | None = None
    names: tuple[str, ...] | None = None


def probabilities(scores: Array) -> Array:
    """Softmax (N, C) of scores; NaN all along a row that holds one that is not finite."""
    scores = np.asarray(scores, np.float64)
    finite = np.isfinite(scores).all(axis=1, keepdims=True)
    safe = np.where(finite, scores, 0.0)
    with np.errstate(under="ignore"):  # a hopeless class has probability 0
        powers = np.exp(safe - safe.max(axis=1, keepdims=True, initial=-np.inf))
        shares: Array = np.where(finite, powers / powers.sum(axis=1, keepdims=True), np.nan)
    return shares


def class_name(number: int, names: Sequence[str] | None, unnamed: str = "") -> str:
    """What a class is called; without a name, its number after `unnamed`."""
    return names[number] if names is not None and number < len(names) else f"{unnamed}{number}"

"""The predictions of a network for rows that it was not trained on: the values behind the figures of a winner.

This module does not need matplotlib, which takes half a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.backend import Array
from searchlab.data.image_shape import ImageShape


@dataclass(frozen=True)
class Predictions:
    """Inputs with their classes and the scores of a classifier.

    Attributes:
        x: Inputs (N, F).
        labels: True classes (N,).
        scores: Scores (N, C) of the network, before the softmax.
        image_shape: (height, width) or (height, width, channels) of an input that is an image, else None.
        class_names: Names of the classes, where they have any.
        threshold: The probability of class 1 from which on a row of two classes is in it; None: the likeliest class.
    """

    x: Array
    labels: Array
    scores: Array
    image_shape: ImageShape | None = None
    class_names: tuple[str, ...] | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class NumberPredictions:
    """Numbers and what a network predicts for them.

    Attributes:
        targets: True numbers (N, O), in their own unit.
        predicted: Predicted numbers (N, O).
        names: Names of the O numbers, where they have any.
    """

    targets: Array
    predicted: Array
    names: tuple[str, ...] | None = None


def class_name(number: int, names: Sequence[str] | None, prefix: str = "") -> str:
    """Return the name of a class, or where it has none, its number after `prefix`."""
    return names[number] if names is not None and number < len(names) else f"{prefix}{number}"

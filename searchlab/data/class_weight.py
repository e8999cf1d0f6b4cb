"""Weights of classes, by which a rare class counts as much as a frequent one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from searchlab.backend import Array
from searchlab.data.class_names import class_names
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.errors import UserMistake
from searchlab.wording import count

ClassWeight: TypeAlias = Literal["balanced"] | Mapping[str | int, float] | Sequence[float]


def class_weights(weight: ClassWeight, data: LoadedDataset, split: Split) -> Array:
    """Return the weight of each class for each of R replicas, (R, C) of float64, on the host.

    Args:
        weight: "balanced", a weight for some classes by name or number, or one weight for each class.
        data: The rows, with labels.
        split: The rows of each replica; "balanced" counts its own training rows.

    Raises:
        UserMistake: When there are no classes, or the weights do not fit them.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Examples, Split
        >>> from searchlab.data.class_weight import class_weights
        >>> data = Examples(np.ones((5, 1), np.float32), np.array([0, 0, 0, 1, 1]), outputs=2)
        >>> class_weights("balanced", data, Split.from_folds([np.arange(4)], [np.array([4])])).round(3).tolist()
        [[0.667, 2.0]]
    """
    labels = data.labels
    if labels is None:
        raise UserMistake("class_weight needs classes, and the targets of this data are none; leave it out.")
    classes = int(data.sizes[-1])
    if weight == "balanced":
        own = zip(split.train.index, split.train.counts, strict=True)
        return np.stack([_balanced(labels[rows[:n]], classes) for rows, n in own])
    given = _weights_by_class(weight, classes, class_names(data))
    if not (np.isfinite(given) & (given >= 0.0)).all() or not given.any():
        raise UserMistake(f"class_weight takes finite weights of at least 0, not all of them 0; got {weight!r}.")
    return given[None].repeat(split.folds, axis=0)


def _balanced(labels: Array, classes: int) -> Array:
    """Return n / (k * count) for each of C classes, where k classes occur; a class that does not has weight 0."""
    counts = np.bincount(labels, minlength=classes)
    occurs = counts > 0
    weights: Array = np.where(occurs, len(labels) / (occurs.sum() * np.maximum(counts, 1)), 0.0)
    return weights


def _weights_by_class(weight: object, classes: int, names: Sequence[str] | None) -> Array:
    """Return the weight of each class (C,); one that a dict does not mention has weight 1."""
    if isinstance(weight, str) or not isinstance(weight, (Mapping, Sequence)):
        raise UserMistake(f"class_weight takes 'balanced', a dict or one weight for each class, got {weight!r}.")
    if not isinstance(weight, Mapping):
        if len(weight) != classes:
            raise UserMistake(
                f"class_weight has {count(len(weight), 'weight')}, and there are {count(classes, 'class')}."
            )
        return np.array(weight, dtype=np.float64)
    numbers: dict[str | int, int] = {name: number for number, name in enumerate(names or ())}
    numbers |= {number: number for number in range(classes)}
    weights = np.ones(classes)
    for name, value in weight.items():
        if name not in numbers:
            known = ", ".join(map(repr, names if names is not None else range(classes)))
            raise UserMistake(f"class_weight has the class {name!r}, and the classes are {known}.")
        weights[numbers[name]] = value
    return weights

"""Shuffled row numbers, in which the rows of a class or of a group stand side by side."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array


def shuffled_by_class(labels: Array, generator: np.random.Generator) -> Array:
    """Return all row numbers (N,): one class after the other, the rows of each class shuffled."""
    shuffled = generator.permutation(len(labels))
    order: Array = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return order


def shuffled_by_group(groups: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Return all row numbers (N,), one group after the other in a shuffled order, and where each group ends (G,)."""
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = generator.permutation(len(sizes))
    places = np.empty(len(sizes), dtype=np.int64)
    places[order] = np.arange(len(sizes))
    return np.argsort(places[group_of_row], kind="stable"), np.cumsum(sizes[order])

"""Drawing the rows that no sweep may see, where a data set brings none of its own."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.data.splits import class_by_class
from searchlab.errors import UserMistake


def draw_locked(rows: int, part: float, seed: int, labels: Array | None = None, groups: Array | None = None) -> Array:
    """Which of the rows are locked (N,), about this part of them: whole groups, or else near this part of each class.

    Raises UserMistake when not enough would remain to train on.
    """
    generator = np.random.default_rng(seed)
    wanted = max(1, round(rows * part))
    locked = np.zeros(rows, dtype=bool)
    if groups is not None:
        locked[np.isin(groups, _draw_groups(groups, min(wanted, rows - 1), generator))] = True
        return locked
    order = generator.permutation(rows) if labels is None else class_by_class(labels, generator)
    stays = np.zeros(rows, dtype=bool)  # one row, or one of each class, is there to train on whatever is drawn
    stays[0] = True
    if labels is not None:
        stays[1:] = labels[order][1:] != labels[order][:-1]
    free = order[~stays]
    if wanted > len(free):
        kept = "a row" if labels is None else f"a row of each of {stays.sum()} classes"
        raise UserMistake(f"test={part} would lock {wanted} of {rows} rows and not leave {kept} to train on.")
    locked[free[((np.arange(wanted) + 0.5) * len(free) / wanted).astype(int)]] = True  # evenly, so from every class
    return locked


def _draw_groups(groups: Array, wanted: int, generator: np.random.Generator) -> list[int]:
    """Groups drawn one by one, each that still fits into `wanted` rows; the smallest where none does."""
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise UserMistake("all rows are of one group, so that no whole group can be locked; give x_test and y_test.")
    drawn, total = [], 0
    for group in generator.permutation(len(names)):
        if total + sizes[group] <= wanted:
            drawn.append(names[group])
            total += sizes[group]
    return drawn or [names[sizes.argmin()]]

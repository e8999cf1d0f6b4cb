"""The draw of test rows, for data sets that do not define their own."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.data.shuffles import shuffled_by_class
from searchlab.errors import UserMistake
from searchlab.wording import count


def draw_test_rows(
    rows: int, test_size: float, seed: int, *, labels: Array | None = None, groups: Array | None = None
) -> Array:
    """Return which of the rows are test rows, booleans (N,).

    About `test_size` of the rows are drawn: whole groups where `groups` (N,) are given, else nearly the same share of
    each class of `labels` (N,).

    Raises:
        UserMistake: When too few rows would be left to train on.
    """
    generator = np.random.default_rng(seed)
    wanted = max(1, round(rows * test_size))
    is_test = np.zeros(rows, dtype=bool)
    if groups is not None:
        is_test[np.isin(groups, _draw_groups(groups, min(wanted, rows - 1), generator))] = True
        return is_test
    order = generator.permutation(rows) if labels is None else shuffled_by_class(labels, generator)
    is_reserved = np.zeros(rows, dtype=bool)  # one row, or one of each class, always stays to train on
    is_reserved[0] = True
    if labels is not None:
        is_reserved[1:] = labels[order][1:] != labels[order][:-1]
    candidates = order[~is_reserved]
    if wanted > len(candidates):
        needed = "a row" if labels is None else f"a row of each of {is_reserved.sum()} classes"
        raise UserMistake(
            f"test_size={test_size} takes {wanted} of {count(rows, 'row')} and does not leave {needed} to train on."
        )
    evenly = ((np.arange(wanted) + 0.5) * len(candidates) / wanted).astype(int)  # and so from every class
    is_test[candidates[evenly]] = True
    return is_test


def _draw_groups(groups: Array, wanted: int, generator: np.random.Generator) -> list[int]:
    """Return groups drawn one by one until they hold about `wanted` rows; the smallest group where all are too large.

    The last one is drawn where it brings their rows nearer to `wanted`, so that large groups are drawn as often as
    small ones; to fill the rest with groups that fit would prefer small ones. One group always stays to train on.
    """
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise UserMistake(
            "all rows belong to one group, so no group can be left out for testing; give x_test and y_test."
        )
    drawn, total = [], 0
    for group in generator.permutation(len(names))[:-1]:
        rows = total + sizes[group]
        if rows - wanted <= wanted - total:
            drawn.append(names[group])
            total = rows
        elif drawn:
            break
    return drawn or [names[sizes.argmin()]]

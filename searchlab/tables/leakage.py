"""Columns that alone predict the target of every training row: most often the target in disguise."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, to_host
from searchlab.data.examples import Examples

MIN_ROWS = 50  # fewer rows are predicted by chance
MAX_VALUES = 0.1  # distinct values as a share of the rows, up to which their classes are compared
CORRELATION = 1 - 1e-9


def disguised_columns(rows: Examples) -> list[str]:
    """Return a sentence for each column that alone predicts the target of these training rows.

    Of classes, each value of the column, or each side of a threshold, has one class; or it is empty for one class
    alone. Of numbers, its correlation with the target is 1. Columns without names are not looked at.

    Example:
        >>> import numpy as np
        >>> from searchlab import Arrays
        >>> from searchlab.tables.leakage import disguised_columns
        >>> y = np.arange(100) % 2
        >>> data = Arrays(np.stack([y * 5.0, np.arange(100)], axis=1), y, feature_names=("paid", "row"))
        >>> disguised_columns(data.training())
        ["the column 'paid' alone predicts the target of every training row: drop=['paid'] leaves it out"]
    """
    if len(rows) < MIN_ROWS or rows.feature_names is None:
        return []
    x, y = to_host(rows.x), to_host(rows.y)
    predicts = _separates_classes if rows.labels is not None else _equals_a_target
    found = [name for column, name in enumerate(rows.feature_names) if predicts(x[:, column], y)]
    return [
        f"the column {name!r} alone predicts the target of every training row: drop=[{name!r}] leaves it out"
        for name in found
    ]


def _separates_classes(values: Array, y: Array) -> bool:
    classes = len(np.unique(y))
    is_empty = np.isnan(values)
    if is_empty.any() and classes == 2 and len(np.unique(y[is_empty])) == 1 == len(np.unique(y[~is_empty])):
        return True
    order = np.argsort(values, kind="stable")  # NaN comes last, as one value
    ordered, labels = values[order], y[order]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]) & ~is_empty[order][:-1]))
    groups = np.minimum.reduceat(labels, starts)
    is_pure = bool((groups == np.maximum.reduceat(labels, starts)).all())
    has_thresholds = int((groups[1:] != groups[:-1]).sum()) == classes - 1
    return is_pure and classes > 1 and (len(starts) <= MAX_VALUES * len(y) or has_thresholds)


def _equals_a_target(values: Array, y: Array) -> bool:
    numbers = values.astype(np.float64)
    if np.isnan(numbers).any() or numbers.std() == 0.0:
        return False
    centered = numbers - numbers.mean()
    with np.errstate(under="ignore"):
        for target in (y.reshape(len(y), -1).astype(np.float64)).T:
            deviation = target - target.mean()
            norm = np.sqrt((centered**2).sum() * (deviation**2).sum())
            if norm > 0 and abs((centered * deviation).sum()) / norm > CORRELATION:
                return True
    return False

"""A validation scheme that a column of the data defines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.data.splits import Split, Splittable
from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number

ALWAYS_TRAINING = ("-1", "train")  # values of rows that no fold holds out


@dataclass(frozen=True)
class Predefined:
    """Folds that a column of the data names: each of its values is a fold, which holds out the rows with this value.

    Rows with the value -1 or "train" are never held out. The column is one of `Csv(drop=...)`, `Frame(drop=...)` or
    `Arrays(columns=...)`.

    Args:
        column: The name of the column.
        folds: Number of its values, without -1 and "train"; default 1, as of a column with "train" and "valid".

    Raises:
        UserMistake: When the data has no such column, or another number of values in its training rows.

    Reference:
        Pedregosa et al. (2011), scikit-learn's PredefinedSplit.

    Example:
        >>> import numpy as np
        >>> from searchlab import Arrays, Predefined
        >>> x, y, part = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1], ["train", "train", "valid", "valid"]
        >>> data = Arrays(x, y, x_test=x, y_test=y, columns={"part": part})
        >>> split = Predefined("part").split(data.training())
        >>> split.train.index.tolist(), split.held_out.index.tolist()
        ([[0, 1]], [[2, 3]])
    """

    column: str
    folds: int = 1

    def __post_init__(self) -> None:
        if not is_whole_number(self.folds) or self.folds < 1:
            raise UserMistake(f"Predefined(folds=...) takes a number of at least 1, got {self.folds!r}.")

    def split(self, data: Splittable) -> Split:
        """Return the split in which each fold holds out the rows with its value, the smallest value first."""
        columns: Mapping[str, Array] = getattr(data, "columns", {})
        if self.column not in columns:
            known = "Csv and Frame have those of drop=, Arrays those of columns="
            if columns:
                known = f"it has {', '.join(map(repr, columns))}"
            raise UserMistake(f"the data has no column {self.column!r} that is no input; {known}.")
        values = columns[self.column]
        is_fold = ~np.isin(values.astype(str), ALWAYS_TRAINING)
        names = np.unique(values[is_fold])
        if len(names) != self.folds:
            raise UserMistake(
                f"the column {self.column!r} has {len(names)} values besides -1 and 'train' among the training rows; "
                f"{self} needs {self.folds}: say folds={len(names)}."
            )
        held_out = [np.flatnonzero(is_fold & (values == name)) for name in names]
        train = [np.setdiff1d(np.arange(len(values)), rows) for rows in held_out]
        if not all(len(rows) for rows in train):
            raise UserMistake(f"the column {self.column!r} leaves no row to train on.")
        return Split.from_folds(train, held_out)

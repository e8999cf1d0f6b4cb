"""A validation scheme of rows in the order of time: it trains on the past and holds out what follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.splits import Split, Splittable
from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number


@dataclass(frozen=True)
class TimeSeriesSplit:
    """k folds of rows in the order of time: each holds out a block, and trains on the rows before it.

    The later folds have more training rows. All folds make as many training steps in an epoch: as many as the rows of
    the last fold need, and a fold with fewer rows reads them again, in another order. `max_train_size` makes the
    training parts more equal.

    Rows are in the order of the data set. Test rows that the data set draws at random lie between them: bring the last
    rows as test rows of your own, as `x_test` of `Arrays` and `Npz`.

    Args:
        folds: k, the number of folds, at least 2.
        max_train_size: Largest number of training rows of a fold, the latest ones; default None, all before the block.
        test_size: Number of rows that each fold holds out; default None, as many as k + 1 equal blocks have.
        gap: Number of rows between the training rows and the held-out rows that neither has; default 0.

    Raises:
        UserMistake: When an argument is out of its range, there are too few rows, or the data is a text.

    Reference:
        Pedregosa et al. (2011), scikit-learn's TimeSeriesSplit, whose folds these are.

    Example:
        >>> from searchlab.data import Spiral, TimeSeriesSplit
        >>> split = TimeSeriesSplit(3).split(Spiral(points=4, classes=2).training())
        >>> [rows[:count].tolist() for rows, count in zip(split.train.index, split.train.counts)]
        [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
        >>> split.held_out.index.tolist()
        [[2, 3], [4, 5], [6, 7]]
    """

    folds: int
    max_train_size: int | None = None
    test_size: int | None = None
    gap: int = 0

    def __post_init__(self) -> None:
        if not is_whole_number(self.folds) or self.folds < 2:
            raise UserMistake(f"TimeSeriesSplit needs at least 2 folds, got {self.folds!r}; Holdout has a single one.")
        for name, least in (("max_train_size", 1), ("test_size", 1), ("gap", 0)):
            value = getattr(self, name)
            if value is not None and (not is_whole_number(value) or value < least):
                raise UserMistake(f"TimeSeriesSplit({name}=...) takes a number of at least {least}, got {value!r}.")

    def split(self, data: Splittable) -> Split:
        """Return the split of one block of held-out rows after another, the last one at the end of the rows."""
        if data.is_ordered:
            raise UserMistake(f"TimeSeriesSplit needs rows, and this data is a text; use Blocked({self.folds}).")
        rows = len(data)
        size = self.test_size or rows // (self.folds + 1)
        starts = rows - size * np.arange(self.folds, 0, -1)
        if not size or starts[0] - self.gap < 1:
            raise UserMistake(
                f"{self} needs at least {max(size, 1) * self.folds + self.gap + 1} training rows, and there are {rows}."
            )
        train = [np.arange(start - self.gap)[-(self.max_train_size or rows) :] for start in starts]
        held_out = [np.arange(start, start + size) for start in starts]
        return Split.from_folds(train, held_out, epoch_rows=max(len(part) for part in train))

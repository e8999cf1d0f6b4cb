"""Which rows each fold trains on and which it is validated on: row numbers, with the fold as axis 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from searchlab.backend import Array

LATER = {"later": True}  # metadata of a field that was added later: at its default it changes no fingerprint


@dataclass(frozen=True)
class Rows:
    """Row numbers of K folds, padded to one width.

    Args:
        index: Row numbers (K, width), on the host. Row k begins with `counts[k]` row numbers of fold k; the rest is
            padding that repeats them.
        counts: How many of each fold's row numbers are real, (K,), on the host.
        fold_sizes: The distinct numbers of rows of all folds of the split, smallest first; default those of `counts`.
            The rows of some of the folds keep them, so that these folds are scored alike alone and with the others.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Rows
        >>> rows = Rows.from_folds([np.array([7, 8, 9]), np.array([4])])
        >>> rows.index.tolist(), rows.counts.tolist()
        ([[7, 8, 9], [4, 4, 4]], [3, 1])
    """

    index: Array
    counts: Array
    fold_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.fold_sizes:
            object.__setattr__(self, "fold_sizes", tuple(sorted(set(self.counts.tolist()))))

    @classmethod
    def from_folds(cls, folds: list[Array]) -> Rows:
        """Return the rows of one array of row numbers (n,) per fold, padded by repeating a fold's first rows."""
        counts = np.array([len(fold) for fold in folds])
        return cls(np.stack([np.resize(fold, counts.max()) for fold in folds]), counts)

    def __getitem__(self, folds: Array) -> Rows:
        return Rows(self.index[folds], self.counts[folds], self.fold_sizes)


@dataclass(frozen=True)
class Split:
    """The rows to train on and the rows held out, for each of K folds.

    An epoch has as many batches as fit in `epoch_rows`, so that folds of unequal size advance together and a fold
    trains alike alone and fused with others. Larger folds leave out other rows in each epoch, and smaller ones begin
    anew, in another order. Indexing with fold
    numbers (R,) gives the split of R replicas that train on these folds.

    Args:
        train: The rows to train on: index (K, width), counts (K,).
        held_out: The rows to validate on: index (K, width), counts (K,).
        min_train_rows: The number of training rows of the smallest fold.
        epoch_rows: The number of training rows that every fold reads in an epoch; default `min_train_rows`.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Digits, KFold
        >>> split = KFold(5).split(Digits().training())
        >>> split.folds, split.min_train_rows, split.held_out.counts.tolist()
        (5, 1149, [288, 288, 287, 287, 287])
        >>> split[np.array([0, 0, 4])].folds  # three replicas, two of them on fold 0
        3
    """

    train: Rows
    held_out: Rows
    min_train_rows: int
    epoch_rows: int = 0

    def __post_init__(self) -> None:
        if not self.epoch_rows:
            object.__setattr__(self, "epoch_rows", self.min_train_rows)

    @classmethod
    def from_folds(cls, train: list[Array], held_out: list[Array], *, epoch_rows: int = 0) -> Split:
        """Return the split of one array of row numbers (n,) per fold on each side.

        Args:
            train: Rows to train on, by fold.
            held_out: Rows to validate on, by fold.
            epoch_rows: Number of rows that every fold reads in an epoch; default 0, as many as the smallest has.
        """
        smallest = min(len(rows) for rows in train)
        return cls(Rows.from_folds(train), Rows.from_folds(held_out), smallest, epoch_rows)

    @property
    def folds(self) -> int:
        """K, the number of folds."""
        return len(self.train.counts)

    def __getitem__(self, folds: Array) -> Split:
        return Split(self.train[folds], self.held_out[folds], self.min_train_rows, self.epoch_rows)


class Splittable(Protocol):
    """N rows that folds can be cut from, and what a validation scheme needs to know about them, on the host.

    Example:
        >>> from searchlab.data import Spiral, Splittable
        >>> data: Splittable = Spiral(points=2, classes=3).training()
        >>> len(data), data.labels.tolist(), data.groups, data.is_ordered, data.validation_rows
        (6, [0, 0, 1, 1, 2, 2], None, False, None)
    """

    def __len__(self) -> int: ...

    @property
    def labels(self) -> Array | None:
        """The class of each row (N,), whole numbers; None where targets are not classes."""

    @property
    def groups(self) -> Array | None:
        """The group of each row (N,), whole numbers; None where rows are independent."""

    @property
    def is_ordered(self) -> bool:
        """Whether rows depend on the rows before them, as in text, so that they must not be shuffled."""

    @property
    def validation_rows(self) -> Array | None:
        """The row numbers (n,) of the validation part that the publisher of the data defines; None if there is none."""


def fold_count(validation: Validation) -> int:
    """Return the number of folds of a scheme, those of all its repeats together.

    Example:
        >>> from searchlab.data import Holdout, KFold
        >>> from searchlab.data.splits import fold_count
        >>> fold_count(KFold(5, repeats=3)), fold_count(Holdout())
        (15, 1)
    """
    return validation.folds * int(getattr(validation, "repeats", 1))


class Validation(Protocol):
    """A validation scheme: how training rows are cut into rows to train on and rows to validate on.

    `KFold`, `StratifiedKFold`, `GroupKFold`, `StratifiedGroupKFold`, `TimeSeriesSplit`, `Blocked`, `Predefined` and
    `Holdout` are validation schemes. A custom one needs `folds` and `split`; it never sees test rows. One that repeats
    its folds with other shuffles also has `repeats`, and its split has `folds` times `repeats` folds.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Digits, Split, Validation
        >>> class FirstThousand:
        ...     folds = 1
        ...     def split(self, data):
        ...         return Split.from_folds([np.arange(1000)], [np.arange(1000, len(data))])
        >>> scheme: Validation = FirstThousand()
        >>> scheme.split(Digits().training()).held_out.counts.tolist()
        [437]
    """

    @property
    def folds(self) -> int:
        """K, the number of folds, and so of networks that a trial trains."""

    def split(self, data: Splittable) -> Split:
        """Return the split of these training rows.

        Raises:
            UserMistake: When there are too few rows, or when they lack what the scheme needs, as class labels.
        """

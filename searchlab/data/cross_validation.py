"""Validation schemes that hold out each row once: k folds, shuffled, by class, by group, or in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.data.splits import Split, Splittable, Validation
from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number


@dataclass(frozen=True)
class KFold:
    """k folds of nearly equal size, from one shuffle of all training rows.

    Where rows have groups, whole groups are shuffled, and no group has rows on both sides of a fold; `GroupKFold` makes
    folds of more equal size.

    Args:
        folds: k, the number of folds, at least 2.
        seed: Seed of the shuffle, default 0. The folds depend on it alone.

    Raises:
        UserMistake: When there are fewer than 2 folds, fewer rows than folds, or rows that must stay in order.

    Example:
        >>> from searchlab.data import KFold, Spiral
        >>> KFold(3).split(Spiral(points=10, classes=2).training()).held_out.counts.tolist()
        [7, 7, 6]
    """

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)

    def split(self, data: Splittable) -> Split:
        """Return the split in which each row is held out by one fold and trained on by the others."""
        _reject_ordered_rows(self, data)
        generator = np.random.default_rng(self.seed)
        if data.groups is None:
            _require_rows(self, len(data))
            return _hold_out_each(np.array_split(generator.permutation(len(data)), self.folds))
        rows, ends = shuffled_by_group(data.groups, generator)  # the ends of the groups are where the rows may be cut
        _require_groups(self, len(ends))
        ideal = np.arange(1, self.folds) * len(rows) / self.folds
        first, last = np.arange(1, self.folds), len(ends) - np.arange(self.folds - 1, 0, -1)
        cuts = np.clip(np.abs(ends[:, None] - ideal).argmin(axis=0) + 1, first, last)  # groups before each cut
        return _hold_out_each(np.split(rows, ends[np.maximum.accumulate(cuts - first) + first - 1]))


@dataclass(frozen=True)
class StratifiedKFold:
    """k folds of nearly equal size, each with nearly the same share of every class.

    Args:
        folds: k, the number of folds, at least 2.
        seed: Seed of the shuffle within each class, default 0.

    Raises:
        UserMistake: When there are fewer than 2 folds, no class labels, fewer than k rows of a class, or rows that must
            stay in order.

    Reference:
        Kohavi (1995), A study of cross-validation and bootstrap, section 2.2.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Spiral, StratifiedKFold
        >>> data = Spiral(points=10, classes=3).training()
        >>> split = StratifiedKFold(5).split(data)
        >>> np.bincount(data.y[split.held_out.index[0]]).tolist()  # rows of each class that fold 0 holds out
        [2, 2, 2]
    """

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)

    def split(self, data: Splittable) -> Split:
        """Return the split that deals out each class's shuffled rows to the folds in turn.

        Each class begins with the fold after the one that the class before it ended with.
        """
        _reject_ordered_rows(self, data)
        labels = data.labels
        if labels is None:
            raise UserMistake("StratifiedKFold needs class labels, and these rows have none; KFold does not need them.")
        classes, counts = np.unique(labels, return_counts=True)
        if not len(counts) or counts.min() < self.folds:
            rarest = f"class {classes[counts.argmin()]} has {counts.min()}" if len(counts) else "there are no rows"
            raise UserMistake(
                f"StratifiedKFold({self.folds}) needs at least {self.folds} training rows of each class, and {rarest}."
            )
        order = shuffled_by_class(labels, np.random.default_rng(self.seed))
        return _hold_out_each([order[fold :: self.folds] for fold in range(self.folds)])


@dataclass(frozen=True)
class GroupKFold:
    """k folds of nearly equal size that keep groups whole: no group has rows on both sides of a fold.

    Args:
        folds: k, the number of folds, at least 2.
        seed: Seed of the order of groups of equal size, default 0.

    Raises:
        UserMistake: When there are fewer than 2 folds, no groups, fewer groups than folds, or rows that must stay in
            order.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Examples, GroupKFold
        >>> patients = np.repeat([0, 1, 2, 3], [5, 4, 3, 2])
        >>> data = Examples(np.ones((14, 2), np.float32), np.arange(14) % 2, outputs=2, groups=patients)
        >>> split = GroupKFold(2).split(data)
        >>> [sorted(set(patients[rows].tolist())) for rows in split.held_out.index]
        [[0, 3], [1, 2]]
    """

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)

    def split(self, data: Splittable) -> Split:
        """Return the split that puts the largest group first, each into the fold with the fewest rows so far."""
        _reject_ordered_rows(self, data)
        if data.groups is None:
            raise UserMistake("GroupKFold needs groups, and these rows have none; give the data set its groups.")
        _, group_of_row, sizes = np.unique(data.groups, return_inverse=True, return_counts=True)
        _require_groups(self, len(sizes))
        shuffled = np.random.default_rng(self.seed).permutation(len(sizes))
        fold_sizes, fold_of_group = np.zeros(self.folds, dtype=int), np.empty(len(sizes), dtype=int)
        for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            fold_of_group[group] = fold_sizes.argmin()
            fold_sizes[fold_of_group[group]] += sizes[group]
        return _hold_out_each([np.flatnonzero(fold_of_group[group_of_row] == fold) for fold in range(self.folds)])


@dataclass(frozen=True)
class Blocked:
    """k contiguous blocks of nearly equal size: nothing is shuffled, so it suits text and time series.

    Args:
        folds: k, the number of blocks, at least 2.

    Raises:
        UserMistake: When there are fewer than 2 folds or fewer rows than folds.

    Example:
        >>> from searchlab.data import Blocked, Spiral
        >>> Blocked(3).split(Spiral(points=4, classes=2).training()).held_out.index.tolist()
        [[0, 1, 2], [3, 4, 5], [6, 7, 6]]
    """

    folds: int

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)

    def split(self, data: Splittable) -> Split:
        """Return the split in which each fold holds out one block and trains on the others, joined in order."""
        _require_rows(self, len(data))
        return _hold_out_each(np.array_split(np.arange(len(data)), self.folds))


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


def _require_groups(validation: KFold | GroupKFold, groups: int) -> None:
    if groups < validation.folds:
        scheme = f"{type(validation).__name__}({validation.folds})"
        raise UserMistake(
            f"{scheme} needs at least {validation.folds} groups among the training rows, and there are {groups}."
        )


def _require_two_folds(validation: Validation, folds: int) -> None:
    if not is_whole_number(folds) or folds < 2:
        kind = type(validation).__name__
        raise UserMistake(f"{kind} needs at least 2 folds, got {folds!r}; Holdout(0.2) validates on a single part.")


def _require_rows(validation: KFold | Blocked, rows: int) -> None:
    if validation.folds > rows:
        scheme = f"{type(validation).__name__}({validation.folds})"
        raise UserMistake(f"{scheme} needs at least {validation.folds} training rows, and there are {rows}.")


def _reject_ordered_rows(validation: Validation, data: Splittable) -> None:
    if data.is_ordered:
        kind, folds = type(validation).__name__, validation.folds
        raise UserMistake(
            f"{kind} shuffles rows, and the rows of this data set depend on their order; Blocked({folds}) and "
            "Holdout() keep them in order."
        )


def _hold_out_each(parts: list[Array]) -> Split:
    """Return one fold per part, which holds out that part and trains on the others."""
    train = [np.concatenate(parts[:fold] + parts[fold + 1 :]) for fold in range(len(parts))]
    return Split.from_folds(train, parts)

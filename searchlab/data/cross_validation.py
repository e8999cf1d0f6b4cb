"""Validation schemes that hold out each row once in a repeat: k folds, shuffled, by class, by group, or in order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from searchlab.backend import Array
from searchlab.data.class_names import class_word
from searchlab.data.shuffles import shuffled_by_class, shuffled_by_group
from searchlab.data.splits import LATER, Split, Splittable, Validation
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
        repeats: Number of shuffles, each of which gives k folds more; default 1. A trial trains k times as many
            networks, and its mean depends less on which rows are held out together.

    Raises:
        UserMistake: When there are fewer than 2 folds, fewer rows than folds, or rows that must stay in order.

    Example:
        >>> from searchlab.data import KFold, Spiral
        >>> KFold(3).split(Spiral(points=10, classes=2).training()).held_out.counts.tolist()
        [7, 7, 6]
    """

    folds: int
    seed: int = 0
    repeats: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)
        _require_repeats(self, self.repeats)

    def split(self, data: Splittable) -> Split:
        """Return the split in which each row is held out by one fold of each repeat and trained on by the others."""
        _reject_ordered_rows(self, data)
        return _hold_out_each(*[self._parts(data, generator) for generator in _generators(self.seed, self.repeats)])

    def _parts(self, data: Splittable, generator: np.random.Generator) -> list[Array]:
        """Return the rows that each fold of a repeat holds out."""
        if data.groups is None:
            _require_rows(self, len(data))
            return np.array_split(generator.permutation(len(data)), self.folds)
        rows, ends = shuffled_by_group(data.groups, generator)  # the ends of the groups are where the rows may be cut
        _require_groups(self, len(ends))
        ideal = np.arange(1, self.folds) * len(rows) / self.folds
        first, last = np.arange(1, self.folds), len(ends) - np.arange(self.folds - 1, 0, -1)
        cuts = np.clip(np.abs(ends[:, None] - ideal).argmin(axis=0) + 1, first, last)  # groups before each cut
        return np.split(rows, ends[np.maximum.accumulate(cuts - first) + first - 1])


@dataclass(frozen=True)
class StratifiedKFold:
    """k folds of nearly equal size, each with nearly the same share of every class.

    Args:
        folds: k, the number of folds, at least 2.
        seed: Seed of the shuffle within each class, default 0.
        repeats: Number of shuffles, each of which gives k folds more; default 1.

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
    repeats: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)
        _require_repeats(self, self.repeats)

    def split(self, data: Splittable) -> Split:
        """Return the split that deals out each class's shuffled rows to the folds in turn.

        Each class begins with the fold after the one that the class before it ended with.
        """
        _reject_ordered_rows(self, data)
        labels = _require_frequent_classes(self, data)
        orders = [shuffled_by_class(labels, generator) for generator in _generators(self.seed, self.repeats)]
        return _hold_out_each(*[[order[fold :: self.folds] for fold in range(self.folds)] for order in orders])


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
class StratifiedGroupKFold:
    """k folds that keep groups whole, each with nearly the same share of every class, as far as groups allow it.

    Args:
        folds: k, the number of folds, at least 2.
        seed: Seed of the order of groups whose classes are spread alike, default 0.

    Raises:
        UserMistake: When there are fewer than 2 folds, no class labels, no groups, fewer groups than folds, fewer rows
            of a class than folds, or rows that must stay in order.

    Reference:
        Pedregosa et al. (2011), scikit-learn's StratifiedGroupKFold.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Examples, StratifiedGroupKFold
        >>> patients, sick = np.repeat(np.arange(6), 4), np.repeat([1, 0, 0, 1, 0, 0], 4)
        >>> data = Examples(np.ones((24, 2), np.float32), sick, outputs=2, groups=patients)
        >>> split = StratifiedGroupKFold(2).split(data)
        >>> [np.bincount(sick[rows]).tolist() for rows in split.held_out.index]
        [[8, 4], [8, 4]]
    """

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _require_two_folds(self, self.folds)

    def split(self, data: Splittable) -> Split:
        """Return the split that puts each group into the fold where the classes then are spread most evenly.

        The groups whose rows are spread most unevenly over the classes come first.
        """
        _reject_ordered_rows(self, data)
        labels = _require_frequent_classes(self, data)
        if data.groups is None:
            raise UserMistake("StratifiedGroupKFold needs groups, and these rows have none; use StratifiedKFold.")
        names, group_of_row = np.unique(data.groups, return_inverse=True)
        _require_groups(self, len(names))
        counts = np.zeros((len(names), int(labels.max()) + 1))  # rows of each group and class
        np.add.at(counts, (group_of_row, labels), 1.0)
        shares, fold_of_group = np.zeros((self.folds, counts.shape[1])), np.empty(len(names), dtype=int)
        of_group = counts / np.maximum(counts.sum(axis=0), 1.0)  # (groups, classes): the share of the class's rows
        shuffled = np.random.default_rng(self.seed).permutation(len(names))
        for group in shuffled[np.argsort(-counts.std(axis=1)[shuffled], kind="stable")]:
            spread = [_spread_with(shares, fold, of_group[group]) for fold in range(self.folds)]
            sizes = shares.sum(axis=1)
            fold = min(range(self.folds), key=lambda fold: (round(spread[fold], 12), sizes[fold]))
            fold_of_group[group] = fold
            shares[fold] += of_group[group]
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


def _generators(seed: int, repeats: int) -> list[np.random.Generator]:
    """Return the generator of each repeat; that of the first is the one of a scheme without repeats."""
    return [np.random.default_rng([seed, repeat] if repeat else seed) for repeat in range(repeats)]


def _require_frequent_classes(validation: StratifiedKFold | StratifiedGroupKFold, data: Splittable) -> Array:
    """Return the labels (N,); raise UserMistake where there are none, or fewer rows of a class than folds."""
    kind, folds, labels = type(validation).__name__, validation.folds, data.labels
    if labels is None:
        other = "KFold" if isinstance(validation, StratifiedKFold) else "GroupKFold"
        raise UserMistake(f"{kind} needs class labels, and these rows have none; {other} does not need them.")
    classes, counts = np.unique(labels, return_counts=True)
    if not len(counts) or counts.min() < folds:
        rarest = "there are no rows"
        if len(counts):
            rarest = f"class {class_word(data, int(classes[counts.argmin()]))} has {counts.min()}"
        raise UserMistake(f"{kind}({folds}) needs at least {folds} training rows of each class, and {rarest}.")
    return labels


def _require_repeats(validation: Validation, repeats: int) -> None:
    if not is_whole_number(repeats) or repeats < 1:
        raise UserMistake(f"{type(validation).__name__}(repeats=...) takes a number of at least 1, got {repeats!r}.")


def _require_groups(validation: KFold | GroupKFold | StratifiedGroupKFold, groups: int) -> None:
    if groups < validation.folds:
        scheme = f"{type(validation).__name__}({validation.folds})"
        raise UserMistake(
            f"{scheme} needs at least {validation.folds} groups among the training rows, and there are {groups}."
        )


def _spread_with(shares: Array, fold: int, group: Array) -> float:
    """Return how unevenly classes are spread over folds (K, C) once this fold has a group's shares (C,) too."""
    enlarged = shares.copy()
    enlarged[fold] += group
    return float(enlarged.std(axis=0).mean())


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


def _hold_out_each(*repeats: list[Array]) -> Split:
    """Return one fold per part of each repeat, which holds out that part and trains on the others of its repeat."""
    train = [np.concatenate(parts[:fold] + parts[fold + 1 :]) for parts in repeats for fold in range(len(parts))]
    return Split.from_folds(train, [part for parts in repeats for part in parts])

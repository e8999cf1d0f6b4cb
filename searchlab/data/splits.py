"""Which rows each fold trains on and which it is judged by: row numbers with the fold as axis 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake


@dataclass(frozen=True)
class Rows:
    """Row numbers (F, width) of F folds and how many of each row are real (F,); the rest is padding."""

    index: Array
    counts: Array

    @classmethod
    def of(cls, folds: list[Array]) -> Rows:
        """Rows from one array of row numbers per fold, padded to the longest by repeating a fold's first rows."""
        counts = np.array([len(fold) for fold in folds])
        return cls(np.stack([np.resize(fold, counts.max()) for fold in folds]), counts)

    def __getitem__(self, folds: Array) -> Rows:
        return Rows(self.index[folds], self.counts[folds])


@dataclass(frozen=True)
class Split:
    """For each of K folds the rows to train on and the rows held out.

    `shortest` is the number of training rows that every fold has: an epoch is as many batches as fit in it, so that
    folds of unequal size move on together, alone or fused. Larger folds leave out other rows in each epoch.
    """

    train: Rows
    held_out: Rows
    shortest: int

    @classmethod
    def of(cls, train: list[Array], held_out: list[Array]) -> Split:
        """A split from one array of row numbers per fold on each side."""
        return cls(Rows.of(train), Rows.of(held_out), min(len(rows) for rows in train))

    @property
    def folds(self) -> int:
        """K, the number of folds."""
        return len(self.train.counts)

    def __getitem__(self, folds: Array) -> Split:
        """The split of replicas that train on these folds, in this order and as often as named."""
        return Split(self.train[folds], self.held_out[folds], self.shortest)


class Divisible(Protocol):
    """Rows that folds can be cut from, and what is known of each on the host."""

    def __len__(self) -> int: ...

    @property
    def labels(self) -> Array | None:
        """The class of each row (N,), whole numbers on the host; None where targets are not classes."""

    @property
    def groups(self) -> Array | None:
        """The group of each row (N,), whole numbers on the host; None where rows are independent."""

    @property
    def ordered(self) -> bool:
        """Whether rows follow from those before them, so that none may be shuffled."""

    @property
    def validation(self) -> Array | None:
        """The numbers (n,), on the host, of the rows that the data's publisher sets apart to judge by; None if none."""


class Validation(Protocol):
    """A way to judge a trial without the test rows."""

    @property
    def folds(self) -> int:
        """How many networks a trial trains."""

    def split(self, table: Divisible) -> Split:
        """The split of these training rows; raises UserMistake when they are too few or lack what it cuts by."""


@dataclass(frozen=True)
class KFold:
    """k folds of near equal size, from one shuffle of all training rows that depends on `seed` alone."""

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least_two(self, self.folds)

    def split(self, table: Divisible) -> Split:
        """Each row is held out by one fold and trained on by the others."""
        rows = len(table)
        _refuse_ordered(self, table)
        _enough(self, rows)
        return _each_held_out(np.array_split(np.random.default_rng(self.seed).permutation(rows), self.folds))


@dataclass(frozen=True)
class StratifiedKFold:
    """k folds of near equal size, each with near the same share of every class (Kohavi 1995, section 2.2)."""

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least_two(self, self.folds)

    def split(self, table: Divisible) -> Split:
        """Each class's shuffled rows are dealt out in turn, going on with the fold where the class before stopped."""
        _refuse_ordered(self, table)
        labels = table.labels
        if labels is None:
            raise UserMistake("StratifiedKFold cuts by class, and these rows have no class labels; KFold needs none.")
        classes, counts = np.unique(labels, return_counts=True)
        if not len(counts) or counts.min() < self.folds:
            rare = f"class {classes[counts.argmin()]} has {counts.min()}" if len(counts) else "there are none"
            raise UserMistake(
                f"StratifiedKFold({self.folds}) needs at least {self.folds} training rows of each class, and {rare}."
            )
        order = class_by_class(labels, np.random.default_rng(self.seed))
        return _each_held_out([order[fold :: self.folds] for fold in range(self.folds)])


@dataclass(frozen=True)
class GroupKFold:
    """k folds of near equal size that keep groups whole: no group has rows on both sides of a fold."""

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least_two(self, self.folds)

    def split(self, table: Divisible) -> Split:
        """The largest group goes first, each into the fold with the fewest rows so far; `seed` orders equal groups."""
        _refuse_ordered(self, table)
        if table.groups is None:
            raise UserMistake("GroupKFold cuts by group, and these rows have no groups; give the data set its groups.")
        _, group_of, sizes = np.unique(table.groups, return_inverse=True, return_counts=True)
        if len(sizes) < self.folds:
            raise UserMistake(
                f"GroupKFold({self.folds}) needs at least {self.folds} groups among the training rows, "
                f"and there are {len(sizes)}."
            )
        shuffled = np.random.default_rng(self.seed).permutation(len(sizes))
        filled, fold_of = np.zeros(self.folds, dtype=int), np.empty(len(sizes), dtype=int)
        for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            fold_of[group] = filled.argmin()
            filled[fold_of[group]] += sizes[group]
        return _each_held_out([np.flatnonzero(fold_of[group_of] == fold) for fold in range(self.folds)])


@dataclass(frozen=True)
class Blocked:
    """k contiguous blocks of near equal size, for rows that follow from those before them: nothing is shuffled."""

    folds: int

    def __post_init__(self) -> None:
        _at_least_two(self, self.folds)

    def split(self, table: Divisible) -> Split:
        """Each block is held out by one fold and the others, joined in order, are trained on."""
        rows = len(table)
        _enough(self, rows)
        return _each_held_out(np.array_split(np.arange(rows), self.folds))


@dataclass(frozen=True)
class Holdout:
    """One part of the training rows, drawn by `seed`, held out to judge by: a single fold.

    Of rows that follow from those before them it is the part that their publisher sets apart, else the last.
    """

    fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserMistake(f"Holdout takes a fraction between 0 and 1, got {self.fraction!r}.")

    @property
    def folds(self) -> int:
        """One."""
        return 1

    def split(self, table: Divisible) -> Split:
        """The held-out part is the fraction rounded, and at least one row."""
        rows = len(table)
        if table.ordered and table.validation is not None:
            return Split.of([np.setdiff1d(np.arange(rows), table.validation)], [table.validation])
        held = max(1, round(rows * self.fraction))
        if held >= rows:
            raise UserMistake(f"Holdout({self.fraction}) leaves nothing to train on of {rows} training rows.")
        if table.ordered:
            return Split.of([np.arange(rows - held)], [np.arange(rows - held, rows)])
        shuffled = np.random.default_rng(self.seed).permutation(rows)
        return Split.of([shuffled[held:]], [shuffled[:held]])


@dataclass(frozen=True)
class EveryRow:
    """All training rows and none held out: how the winner is fitted in the end."""

    @property
    def folds(self) -> int:
        """One."""
        return 1

    def split(self, table: Divisible) -> Split:
        """All rows, in one fold."""
        return Split.of([np.arange(len(table))], [np.arange(0)])


def class_by_class(labels: Array, generator: np.random.Generator) -> Array:
    """All row numbers (N,): one class after the other, the rows of each shuffled."""
    shuffled = generator.permutation(len(labels))
    order: Array = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return order


def _at_least_two(validation: Validation, folds: int) -> None:
    if not isinstance(folds, int) or folds < 2:
        kind = type(validation).__name__
        raise UserMistake(f"{kind} needs at least 2 folds, got {folds!r}; Holdout(0.2) judges by one part.")


def _enough(validation: KFold | Blocked, rows: int) -> None:
    if validation.folds > rows:
        told = f"{type(validation).__name__}({validation.folds})"
        raise UserMistake(f"{told} needs at least {validation.folds} training rows, and there are {rows}.")


def _refuse_ordered(validation: Validation, table: Divisible) -> None:
    if table.ordered:
        kind, folds = type(validation).__name__, validation.folds
        raise UserMistake(
            f"{kind} shuffles rows, and each of these follows from those before it; Blocked({folds}) and Holdout() "
            "keep them in order."
        )


def _each_held_out(parts: list[Array]) -> Split:
    """One fold for each part, which holds out that part and trains on the others."""
    return Split.of([np.concatenate(parts[:fold] + parts[fold + 1 :]) for fold in range(len(parts))], parts)

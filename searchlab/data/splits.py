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


class Validation(Protocol):
    """A way to judge a trial without the test rows."""

    @property
    def folds(self) -> int:
        """How many networks a trial trains."""

    def split(self, rows: int) -> Split:
        """The split of `rows` training rows; raises UserMistake when there are too few."""


@dataclass(frozen=True)
class KFold:
    """k folds of near equal size, from one shuffle of all training rows that depends on `seed` alone."""

    folds: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.folds, int) or self.folds < 2:
            raise UserMistake(f"KFold needs at least 2 folds, got {self.folds!r}; Holdout(0.2) judges by one part.")

    def split(self, rows: int) -> Split:
        """Each row is held out by one fold and trained on by the others."""
        if self.folds > rows:
            raise UserMistake(f"KFold({self.folds}) needs at least {self.folds} training rows, and there are {rows}.")
        parts = np.array_split(np.random.default_rng(self.seed).permutation(rows), self.folds)
        rest = [np.concatenate(parts[:fold] + parts[fold + 1 :]) for fold in range(self.folds)]
        return Split.of(rest, parts)


@dataclass(frozen=True)
class Holdout:
    """One part of the training rows, drawn by `seed`, held out to judge by: a single fold."""

    fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserMistake(f"Holdout takes a fraction between 0 and 1, got {self.fraction!r}.")

    @property
    def folds(self) -> int:
        """One."""
        return 1

    def split(self, rows: int) -> Split:
        """The held-out part is the fraction rounded, and at least one row."""
        held = max(1, round(rows * self.fraction))
        if held >= rows:
            raise UserMistake(f"Holdout({self.fraction}) leaves nothing to train on of {rows} training rows.")
        shuffled = np.random.default_rng(self.seed).permutation(rows)
        return Split.of([shuffled[held:]], [shuffled[:held]])


@dataclass(frozen=True)
class EveryRow:
    """All training rows and none held out: how the winner is fitted in the end."""

    @property
    def folds(self) -> int:
        """One."""
        return 1

    def split(self, rows: int) -> Split:
        """All rows, in one fold."""
        return Split.of([np.arange(rows)], [np.arange(0)])

"""Validation schemes with a single fold: one part held out, or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.shuffles import shuffled_by_group
from searchlab.data.splits import Split, Splittable
from searchlab.errors import UserMistake


@dataclass(frozen=True)
class Holdout:
    """A single fold that holds out one part of the training rows.

    Independent rows are drawn at random, and whole groups where rows have groups. Of rows in order, as text, it holds
    out the validation part that the publisher of the data defines, or the last rows where there is none.

    Args:
        fraction: Share of the training rows to hold out, between 0 and 1; default 0.2.
        seed: Seed of the draw, default 0.

    Raises:
        UserMistake: When the fraction is not between 0 and 1, or leaves no row to train on.

    Example:
        >>> from searchlab.data import Holdout, Spiral
        >>> split = Holdout(0.25).split(Spiral(points=10, classes=2).training())
        >>> split.folds, split.train.counts.tolist(), split.held_out.counts.tolist()
        (1, [15], [5])
    """

    fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserMistake(f"Holdout takes a fraction between 0 and 1, got {self.fraction!r}.")

    @property
    def folds(self) -> int:
        """1."""
        return 1

    def split(self, data: Splittable) -> Split:
        """Return the split; the held-out part is the fraction of the rows, rounded, and at least one row."""
        rows = len(data)
        if data.is_ordered and data.validation_rows is not None:
            return Split.from_folds([np.setdiff1d(np.arange(rows), data.validation_rows)], [data.validation_rows])
        held_out = max(1, round(rows * self.fraction))
        if held_out >= rows:
            raise UserMistake(f"Holdout({self.fraction}) leaves no row to train on: there are {rows} training rows.")
        if data.is_ordered:
            return Split.from_folds([np.arange(rows - held_out)], [np.arange(rows - held_out, rows)])
        generator = np.random.default_rng(self.seed)
        if data.groups is None:
            shuffled = generator.permutation(rows)
        else:
            shuffled, ends = shuffled_by_group(data.groups, generator)
            if len(ends) < 2:
                raise UserMistake(f"Holdout({self.fraction}) holds out whole groups, and all rows belong to one.")
            held_out = int(ends[:-1][np.abs(ends[:-1] - held_out).argmin()])
        return Split.from_folds([shuffled[held_out:]], [shuffled[:held_out]])


@dataclass(frozen=True)
class EveryRow:
    """A single fold that trains on all rows and holds out none: how the winner is refitted.

    Example:
        >>> from searchlab.data import EveryRow, Spiral
        >>> split = EveryRow().split(Spiral(points=10, classes=2).training())
        >>> split.train.counts.tolist(), split.held_out.counts.tolist()
        ([20], [0])
    """

    @property
    def folds(self) -> int:
        """1."""
        return 1

    def split(self, data: Splittable) -> Split:
        """Return the split that trains on all rows."""
        return Split.from_folds([np.arange(len(data))], [np.arange(0)])

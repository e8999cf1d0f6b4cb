"""A validation scheme whose folds are trained several times, each time with other random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.splits import Split, Splittable, Validation, fold_count


@dataclass(frozen=True)
class Repeated:
    """The folds of another scheme several times: each copy of a fold has a seed of its own, and the same rows.

    Args:
        validation: The scheme with K folds.
        copies: Number S of copies of each fold, so that there are S K folds: first all folds, then all of them again.

    Example:
        >>> from searchlab.data import KFold, Spiral
        >>> from searchlab.data.repeated import Repeated
        >>> split = Repeated(KFold(2), 3).split(Spiral(points=10, classes=2).training())
        >>> split.folds, bool((split.train.index[0] == split.train.index[4]).all())
        (6, True)
    """

    validation: Validation
    copies: int

    @property
    def folds(self) -> int:
        """S K."""
        return fold_count(self.validation) * self.copies

    def split(self, data: Splittable) -> Split:
        """Return the split with every fold repeated."""
        split = self.validation.split(data)
        return split[np.tile(np.arange(split.folds), self.copies)]

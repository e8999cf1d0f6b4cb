"""What TPE reads of a study's trials, as arrays: kept between draws, so that a draw need not read trials again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from searchlab.backend import Array

COMPLETE, PRUNED, INFEASIBLE, RUNNING = range(4)  # in the order in which TPE calls trials good


class ObservationTable:
    """One row for each trial: its rank key, and the values of its parameters as Optuna's estimators take them.

    Args:
        sign: 1 where a smaller score is better, and -1 where a larger one is.

    Attributes:
        distributions: The distribution of each parameter by name, in the order of the columns.
        mixed: Names of the parameters that trials have with different distributions.
    """

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._row_of: dict[int, int] = {}  # by number of the trial
        # state, two numbers that rank the trials of the state, smaller first, and the number of the structure
        self._keys: Array = np.zeros((0, 4))
        self._values: Array = np.zeros((0, 0))  # (rows, parameters); NaN for a parameter that the trial has not
        self._structures: dict[frozenset[str], int] = {}  # number of each set of parameters that trials have
        self.distributions: dict[str, BaseDistribution] = {}
        self.mixed: set[str] = set()

    def __len__(self) -> int:
        return len(self._row_of)

    def set(self, trial: FrozenTrial) -> None:
        """Add a trial, or replace what was known of it."""
        row = self._row_of.setdefault(trial.number, len(self._row_of))
        columns = [self._column(name, distribution) for name, distribution in trial.distributions.items()]
        self._reserve(row)
        structure = self._structures.setdefault(frozenset(trial.distributions), len(self._structures))
        self._keys[row] = *self._key(trial), structure
        self._values[row] = math.nan
        for column, (name, value) in zip(columns, trial.params.items(), strict=True):
            self._values[row, column] = trial.distributions[name].to_internal_repr(value)

    def keep(self, numbers: Iterable[int]) -> None:
        """Forget the trials with other numbers."""
        kept = {number: self._row_of[number] for number in sorted(numbers)}
        rows = list(kept.values())
        self._keys, self._values = self._keys[rows], self._values[rows]
        self._row_of = {number: row for row, number in enumerate(kept)}

    def rows(self, numbers: Sequence[int]) -> Array:
        """Return the rows of the trials with these numbers."""
        return np.fromiter((self._row_of[number] for number in numbers), dtype=np.intp, count=len(numbers))

    def ranked(self, rows: Array) -> Array:
        """Return the positions in `rows`, best trial first and running ones last; of equal ones the first comes first.

        Trials are ranked as Optuna's TPE ranks them: complete ones by score, then pruned ones, those that were trained
        for longest first, then infeasible ones by how far they violate the constraint.
        """
        state, first, second = self._keys[rows, :3].T
        return np.lexsort((second, first, state))

    def count_ended(self, rows: Array) -> int:
        """Return how many of these rows are of trials that have ended."""
        return int((self._keys[rows, 0] != RUNNING).sum())

    def values(self, rows: Array, names: Sequence[str]) -> dict[str, Array]:
        """Return the values of these parameters, of those of these rows that have all of them."""
        known = list(self.distributions)
        found = self._values[rows][:, [known.index(name) for name in names]]  # (n, names)
        found = found[~np.isnan(found).any(axis=1)]
        return dict(zip(names, found.T, strict=True))

    def structures(self, rows: Array) -> list[frozenset[str]]:
        """Return the distinct sets of parameters of the trials in these rows that have ended."""
        state, structure = self._keys[rows][:, [0, 3]].T
        known = list(self._structures)
        return [known[int(number)] for number in np.unique(structure[state != RUNNING]).tolist()]

    def _column(self, name: str, distribution: BaseDistribution) -> int:
        known = self.distributions.setdefault(name, distribution)
        if known is not distribution and known != distribution:
            self.mixed.add(name)
        return list(self.distributions).index(name)

    def _reserve(self, row: int) -> None:
        """Make room for a row, and for the columns of all known parameters."""
        rows, columns = self._values.shape
        more_rows, more_columns = max(64, rows) if row >= rows else 0, len(self.distributions) - columns
        if more_rows or more_columns:
            self._values = np.pad(self._values, ((0, more_rows), (0, more_columns)), constant_values=math.nan)
            self._keys = np.pad(self._keys, ((0, more_rows), (0, 0)))

    def _key(self, trial: FrozenTrial) -> tuple[float, float, float]:
        if trial.state is TrialState.RUNNING:  # its constraint may not be known yet
            return RUNNING, 0.0, 0.0
        violation = sum(value for value in trial.constraints.values() if value > 0)
        if violation > 0:
            return INFEASIBLE, violation, 0.0
        if trial.state is TrialState.COMPLETE:
            return COMPLETE, self._sign * (trial.value or 0.0), 0.0
        return PRUNED, *_pruned_key(trial.intermediate_values, self._sign)


def _pruned_key(values: Mapping[int, float], sign: float) -> tuple[float, float]:
    """Return what ranks a pruned trial: its last step, later first, and the value there; those without one are last."""
    if not values:
        return 1.0, 0.0
    step, value = max(values.items())
    return -step, math.inf if math.isnan(value) else sign * value

"""Pruning: from the curves recorded so far to who goes on. Pure, deterministic, and no trial waits for another."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from searchlab.errors import UserMistake
from searchlab.sweep.curves import Curves
from searchlab.sweep.race import lag_of


class Judge(Protocol):
    """Whoever decides which trials are stopped: a pruner, or what asks one of Optuna's."""

    def due(self, epoch: int) -> bool:
        """Whether it may stop a trial after this epoch, counted from 1."""

    def why_stop(self, curves: Curves, trial: int) -> str | None:
        """The reason why this trial is stopped at its newest epoch, one short sentence; None to go on."""


class Pruner(ABC):
    """Says when a trial is stopped: a frozen value, whose arguments are part of what tells two sweeps apart."""

    @abstractmethod
    def due(self, epoch: int) -> bool:
        """Whether it may stop a trial after this epoch, counted from 1."""

    @abstractmethod
    def why_stop(self, curves: Curves, trial: int) -> str | None:
        """The reason why this trial is stopped at its newest epoch, one sentence with the numbers; None to go on."""

    def decisive(self, epoch: int) -> bool:
        """Whether so many may be stopped after this epoch that a worker waits for the answer, short as its epochs be.

        Where few are, it is cheaper to hear a short epoch later.
        """
        return self.due(epoch)

    def refuse(self, folds: int) -> None:
        """Raise UserMistake where it cannot work with so many folds."""
        return None


@dataclass(frozen=True)
class NoPruning(Pruner):
    """Every trial runs to its end."""

    def due(self, epoch: int) -> bool:
        """Never."""
        return False

    def why_stop(self, curves: Curves, trial: int) -> None:
        """None: no trial is stopped."""


@dataclass(frozen=True)
class Race(Pruner):
    """Stops a trial that is clearly behind the leader after as many epochs, compared in pairs, fold by fold.

    From epoch `grace` on, a t test over folds (see `searchlab.sweep.race`) is made after every epoch: the n-th at level
    `level` / (n (n + 1)), which sum up to `level`, so that looking often does not make it stop more by chance. A gap
    that is closing is taken to close as much again, and a gap that one fold makes is none. It needs two folds or more.
    """

    level: float = 0.05
    grace: int = 2

    def __post_init__(self) -> None:
        whole("Race", "grace", self.grace, 1)
        if isinstance(self.level, bool) or not isinstance(self.level, (int, float)) or not 0.0 < self.level < 1.0:
            raise UserMistake(f"Race(level=...) lies between 0 and 1, such as 0.05; got {self.level!r}.")

    def refuse(self, folds: int) -> None:
        """Refuse a single fold: there is nothing to pair."""
        if folds < 2:
            raise UserMistake("Race() compares trials fold by fold, and there is one fold only: KFold or Halving().")

    def due(self, epoch: int) -> bool:
        """From the end of the grace on."""
        return epoch >= self.grace

    def decisive(self, epoch: int) -> bool:
        """Never: it stops one here and one there."""
        return False

    def why_stop(self, curves: Curves, trial: int) -> str | None:
        """How far it is behind, where that is no chance."""
        epoch = curves.length(trial)
        if not self.due(epoch) or curves.leads(trial):
            return None
        looks = epoch - self.grace + 1
        enough = self.level / (looks * (looks + 1))
        lag = lag_of(curves, trial, enough)
        if lag is None or lag.chance > enough:
            return None
        leader = curves.trials[lag.leader]
        return f"{lag.gap:.3g} behind trial {leader} after epoch {epoch}, by chance with p = {lag.chance:.2g}"


@dataclass(frozen=True)
class Halving(Pruner):
    """Asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020).

    After epochs `first`, `first` times `reduction`, and so on, a trial goes on when it is among the best
    1 / `reduction` of all that have come so far, or among the best `least`. Trials are ranked by the mean over their
    folds and their latest `window` epochs. Between these epochs a `race` stops what is clearly behind; None for none.
    The trial with the best epoch of all so far always goes on.
    """

    reduction: int = 3
    first: int = 2
    least: int = 2
    window: int = 2
    race: Race | None = field(default_factory=Race)

    def __post_init__(self) -> None:
        whole("Halving", "reduction", self.reduction, 2)
        for name in ("first", "least", "window"):
            whole("Halving", name, getattr(self, name), 1)
        if not isinstance(self.race, Race | None):
            raise UserMistake(f"Halving(race=...) takes a Race() or None, got {self.race!r}.")

    def due(self, epoch: int) -> bool:
        """Whether the epoch is a rung, or the race is on."""
        return self.is_rung(epoch) or (self.race is not None and self.race.due(epoch))

    def decisive(self, epoch: int) -> bool:
        """At rungs."""
        return self.is_rung(epoch)

    def is_rung(self, epoch: int) -> bool:
        """Whether trials are ranked after this epoch."""
        rung = self.first
        while rung < epoch:
            rung *= self.reduction
        return rung == epoch

    def why_stop(self, curves: Curves, trial: int) -> str | None:
        """Its rank, where that is too low, or what the race says."""
        ranked = self._why_too_low(curves, trial) if self.is_rung(curves.length(trial)) else None
        return ranked or (self.race.why_stop(curves, trial) if self.race else None)

    def _why_too_low(self, curves: Curves, trial: int) -> str | None:
        ahead, count = curves.standing(trial, self.window)
        stay = max(self.least, math.ceil(count / self.reduction))
        if ahead < stay or curves.leads(trial):
            return None
        return f"rank {ahead + 1} of {count} after epoch {curves.length(trial)}, where the best {stay} go on"


@dataclass(frozen=True)
class Median(Pruner):
    """The median stopping rule (Golovin et al., "Google Vizier", 2017).

    From epoch `first` on, a trial is stopped when its best epoch so far is worse than the median of the other trials'
    averages up to the same epoch. At least `least` others must have come as far.
    """

    first: int = 2
    least: int = 5

    def __post_init__(self) -> None:
        for name in ("first", "least"):
            whole("Median", name, getattr(self, name), 1)

    def due(self, epoch: int) -> bool:
        """From the first epoch on at which it decides."""
        return epoch >= self.first

    def why_stop(self, curves: Curves, trial: int) -> str | None:
        """The best it has reached and the median, where that is better."""
        epoch, row = curves.length(trial), curves.row(trial)
        others = curves.rows_at(epoch)
        others = others[others != row]
        if not self.due(epoch) or len(others) < self.least:
            return None
        best, median = curves.best[row, epoch - 1], np.median(curves.means[others, :epoch].mean(axis=1))
        if not best < median:
            return None
        sign = 1.0 if curves.goal == "max" else -1.0
        return f"at best {sign * best:.4g}, worse than the median after epoch {epoch}, {sign * median:.4g}"


@dataclass(frozen=True)
class OptunaPruner(Pruner):
    """A pruner object of Optuna's as it is; `Sweep(pruner=...)` makes one of any such object.

    It is told the means over folds. Its class and its settings tell two sweeps apart.
    """

    pruner: Any = field(compare=False)
    settings: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if not is_optuna_pruner(self.pruner):
            raise UserMistake(f"OptunaPruner(...) takes a pruner object of Optuna's, got {self.pruner!r}.")
        object.__setattr__(self, "settings", _settings(self.pruner))

    def due(self, epoch: int) -> bool:
        """Always: Optuna's pruners do not say what they wait for."""
        return True

    def why_stop(self, curves: Curves, trial: int) -> str | None:
        """Raises TypeError: a study of Optuna's must be asked, and the service alone has one."""
        raise TypeError("searchlab.service.study.pruners.judge_of knows how to ask one of Optuna's pruners")

    def __repr__(self) -> str:
        return f"OptunaPruner({self.settings})"


def is_optuna_pruner(given: object) -> bool:
    """Whether this is a pruner object of Optuna's, by what it can do: no import of Optuna is needed to tell."""
    return not isinstance(given, type) and callable(getattr(given, "prune", None))


def _settings(pruner: Any) -> str:
    """The class and the plain settings of a pruner object, and of one that it wraps."""
    kept = {name.strip("_"): value for name, value in sorted(vars(pruner).items())}
    told = {name: _settings(value) for name, value in kept.items() if is_optuna_pruner(value)}
    told |= {name: repr(value) for name, value in kept.items() if isinstance(value, bool | int | float | str | None)}
    return f"{type(pruner).__name__}({', '.join(f'{name}={text}' for name, text in told.items())})"


def whole(pruner: str, argument: str, given: Any, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if type(given) is not int or given < least:
        raise UserMistake(f"{pruner}({argument}=...) is a whole number of at least {least}, got {given!r}.")

"""Asynchronous successive halving."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from searchlab.errors import UserMistake
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner, whole
from searchlab.pruning.race import Race


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

    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
        """Its rank, where that is too low, or what the race says."""
        ranked = self._why_too_low(curves, trial) if self.is_rung(curves.length(trial)) else None
        return ranked or (self.race.why_stop(curves, trial) if self.race else None)

    def _why_too_low(self, curves: LearningCurves, trial: int) -> str | None:
        ahead, count = curves.standing(trial, self.window)
        stay = max(self.least, math.ceil(count / self.reduction))
        if ahead < stay or curves.leads(trial):
            return None
        return f"rank {ahead + 1} of {count} after epoch {curves.length(trial)}, where the best {stay} go on"

"""Asynchronous successive halving."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from searchlab.errors import UserMistake
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner, validate_whole_number
from searchlab.pruning.race import Race


@dataclass(frozen=True)
class Halving(Pruner):
    """Asynchronous successive halving (ASHA), the default pruner.

    The rungs are the epochs `first_rung`, `first_rung` times `reduction_factor`, and so on. At a rung, a trial
    continues when it is among the best 1 / `reduction_factor` of all trials that have reached the rung so far, or among
    the best `min_survivors`. Trials are ranked by their mean over folds and over their latest `window` epochs. Between
    rungs, `race` stops trials that are clearly behind. The trial with the best epoch of all so far always continues.

    Args:
        reduction_factor: Of so many trials at a rung, one continues; at least 2, default 3.
        first_rung: Epoch of the first rung; default 2.
        min_survivors: Number of trials that continue at a rung in any case; default 2.
        window: Number of latest epochs over which scores are averaged; default 2.
        race: Pruner between the rungs; None for none. Default `Race()`.

    Raises:
        UserMistake: When an argument has the wrong type or is out of its range.

    Reference:
        Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020).

    Example:
        >>> from searchlab import Halving
        >>> from searchlab.pruning.learning_curves import LearningCurves
        >>> curves = LearningCurves("max")
        >>> for trial, score in enumerate([0.9, 0.8, 0.7, 0.6]):
        ...     epoch = curves.add_epoch(trial, [score, score])
        >>> Halving(first_rung=1).stop_reason(curves, trial=2)
        'rank 3 of 4 after epoch 1; the best 2 continue'
        >>> [epoch for epoch in range(1, 60) if Halving().is_rung(epoch)]
        [2, 6, 18, 54]
    """

    reduction_factor: int = 3
    first_rung: int = 2
    min_survivors: int = 2
    window: int = 2
    race: Race | None = field(default_factory=Race)

    def __post_init__(self) -> None:
        validate_whole_number("Halving", "reduction_factor", self.reduction_factor, 2)
        for name in ("first_rung", "min_survivors", "window"):
            validate_whole_number("Halving", name, getattr(self, name), 1)
        if not isinstance(self.race, Race | None):
            raise UserMistake(f"Halving(race=...) takes a Race() or None, got {self.race!r}.")

    def is_due(self, epoch: int) -> bool:
        """Return whether the epoch is a rung, or the race may stop a trial after it."""
        return self.is_rung(epoch) or (self.race is not None and self.race.is_due(epoch))

    def worker_waits(self, epoch: int) -> bool:
        """Return whether the epoch is a rung, where most trials stop."""
        return self.is_rung(epoch)

    def is_rung(self, epoch: int) -> bool:
        """Return whether trials are ranked after this epoch, counted from 1."""
        rung = self.first_rung
        while rung < epoch:
            rung *= self.reduction_factor
        return rung == epoch

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return the rank of the trial, where it is too low at a rung, or else the reason of the race."""
        reason = self._low_rank_reason(curves, trial) if self.is_rung(curves.last_epoch(trial)) else None
        return reason or (self.race.stop_reason(curves, trial) if self.race else None)

    def _low_rank_reason(self, curves: LearningCurves, trial: int) -> str | None:
        rank, count = curves.rank(trial, self.window)
        survivors = max(self.min_survivors, math.ceil(count / self.reduction_factor))
        if rank <= survivors or curves.has_best_epoch(trial):
            return None
        return f"rank {rank} of {count} after epoch {curves.last_epoch(trial)}; the best {survivors} continue"

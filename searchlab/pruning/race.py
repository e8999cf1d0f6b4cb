"""Racing: stop a trial whose paired gap to the leader is not chance."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.paired_test import lag_of
from searchlab.pruning.pruner import Pruner, whole


@dataclass(frozen=True)
class Race(Pruner):
    """Stops a trial that is clearly behind the leader after as many epochs, compared in pairs, fold by fold.

    From epoch `grace` on, a t test over folds (see `searchlab.pruning.paired_test`) runs after every epoch: the n-th at
    level `level` / (n (n + 1)). These sum to `level`, so repeated looks do not stop more trials by chance. A gap that
    is closing is assumed to close by as much again, and a gap that a single fold causes does not count. It needs two
    folds or more.
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

    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
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

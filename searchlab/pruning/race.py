"""Racing: stop a trial whose distance to the leader, fold by fold, is statistically significant."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.numeric_types import is_number
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.paired_test import compare_with_leader
from searchlab.pruning.pruner import Pruner, validate_whole_number


@dataclass(frozen=True)
class Race(Pruner):
    """A pruner that stops a trial which is significantly behind the leader after as many epochs.

    From `first_epoch` on, a paired t test over folds (see `searchlab.pruning.paired_test`) compares the trial with the
    leader after every epoch. The n-th test has the significance level `alpha` / (n (n + 1)). These levels sum to
    `alpha`, so repeated tests do not stop more trials by chance. A gap that is closing is assumed to close by as much
    again, and a gap that a single fold causes does not count.

    Args:
        alpha: Significance level over all tests of a trial, between 0 and 1; default 0.05.
        first_epoch: First epoch after which trials may stop; default 2.

    Raises:
        UserMistake: When an argument is out of its range, or, by `validate`, when there are fewer than two folds.

    Example:
        >>> from searchlab import Race
        >>> from searchlab.pruning.learning_curves import LearningCurves
        >>> curves = LearningCurves("max")
        >>> for _ in range(3):
        ...     epoch = curves.add_epoch(0, [0.90, 0.88, 0.91])
        ...     epoch = curves.add_epoch(1, [0.50, 0.49, 0.53])
        >>> Race().stop_reason(curves, trial=1)
        '0.39 behind trial 0 after epoch 3, p = 0.00011'
    """

    alpha: float = 0.05
    first_epoch: int = 2

    def __post_init__(self) -> None:
        validate_whole_number("Race", "first_epoch", self.first_epoch, 1)
        if not is_number(self.alpha) or not 0.0 < self.alpha < 1.0:
            raise UserMistake(f"Race(alpha=...) takes a number between 0 and 1, such as 0.05; got {self.alpha!r}.")

    def validate(self, folds: int) -> None:
        """Raise UserMistake for a single fold: a paired test needs at least two."""
        if folds < 2:
            raise UserMistake(
                "Race() compares trials fold by fold and needs two folds or more, got one fold; "
                "use KFold, or another pruner such as Halving()."
            )

    def is_due(self, epoch: int) -> bool:
        """Return whether the epoch is `first_epoch` or later."""
        return epoch >= self.first_epoch

    def worker_waits(self, epoch: int) -> bool:
        """Return False: few trials stop after any one epoch."""
        return False

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return the gap to the leader and its p value, where the gap is significant."""
        epoch = curves.last_epoch(trial)
        if not self.is_due(epoch) or curves.has_best_epoch(trial):
            return None
        tests = epoch - self.first_epoch + 1
        alpha = self.alpha / (tests * (tests + 1))
        result = compare_with_leader(curves, trial, alpha)
        if result is None or result.p_value > alpha:
            return None
        leader = curves.trials[result.leader_row]
        return f"{result.gap:.3g} behind trial {leader} after epoch {epoch}, p = {result.p_value:.2g}"

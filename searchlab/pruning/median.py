"""The median stopping rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner, validate_whole_number


@dataclass(frozen=True)
class Median(Pruner):
    """The median stopping rule: stop a trial whose best epoch is worse than the median of the other trials.

    After each epoch from `first_epoch` on, the best mean over folds that the trial has reached is compared with the
    median of the other trials' averages over all epochs up to the same one.

    Args:
        first_epoch: First epoch after which trials may stop; default 2.
        min_trials: Number of other trials that must have reached the same epoch; default 5.

    Raises:
        UserMistake: When an argument is not a whole number of at least 1.

    Reference:
        Golovin et al., "Google Vizier: A Service for Black-Box Optimization" (2017).

    Example:
        >>> from searchlab import Median
        >>> from searchlab.pruning.learning_curves import LearningCurves
        >>> curves = LearningCurves("max")
        >>> for trial, score in enumerate([0.9, 0.8, 0.5]):
        ...     epoch = curves.add_epoch(trial, [score, score])
        >>> pruner = Median(first_epoch=1, min_trials=2)
        >>> pruner.stop_reason(curves, trial=2)
        'at best 0.5, worse than the median after epoch 1, 0.85'
        >>> pruner.stop_reason(curves, trial=0) is None
        True
    """

    first_epoch: int = 2
    min_trials: int = 5

    def __post_init__(self) -> None:
        for name in ("first_epoch", "min_trials"):
            validate_whole_number("Median", name, getattr(self, name), 1)

    def is_due(self, epoch: int) -> bool:
        """Return whether the epoch is `first_epoch` or later."""
        return epoch >= self.first_epoch

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return the best mean of the trial and the median, where the median is better."""
        epoch, row = curves.last_epoch(trial), curves.row_of(trial)
        others = curves.rows_with_epoch(epoch)
        others = others[others != row]
        if not self.is_due(epoch) or len(others) < self.min_trials:
            return None
        best, median = curves.best_means[row, epoch - 1], np.median(curves.fold_means[others, :epoch].mean(axis=1))
        if not best < median:
            return None
        sign = 1.0 if curves.goal == "max" else -1.0
        return f"at best {sign * best:.4g}, worse than the median after epoch {epoch}, {sign * median:.4g}"

"""A stop after a number of epochs that is known in advance, as for trials that are run again."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner


@dataclass(frozen=True)
class FixedEpochs(Pruner):
    """A pruner that stops each trial after a number of epochs of its own.

    Args:
        epochs: Number of epochs of each trial, by its number.

    Example:
        >>> from searchlab.pruning.fixed_epochs import FixedEpochs
        >>> from searchlab.pruning.learning_curves import LearningCurves
        >>> curves = LearningCurves("max")
        >>> epoch = curves.add_epoch(0, [0.4, 0.5])
        >>> FixedEpochs((1, 5)).stop_reason(curves, 0)
        'after its 1 epoch'
    """

    epochs: tuple[int, ...]

    def is_due(self, epoch: int) -> bool:
        """Return whether a trial ends after this epoch."""
        return epoch in self.epochs

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return the number of epochs where the trial has had all of its own."""
        epochs = self.epochs[trial]
        if curves.last_epoch(trial) < epochs:
            return None
        return f"after its {epochs} epoch{'' if epochs == 1 else 's'}"

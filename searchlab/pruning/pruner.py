"""The interface of a pruner, which decides from the learning curves so far which trials stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number
from searchlab.pruning.learning_curves import LearningCurves


class StoppingRule(Protocol):
    """The decision whether a trial stops, as a search and a replay use it: a `Pruner`, or a call of Optuna's pruner."""

    def is_due(self, epoch: int) -> bool:
        """Return whether it may stop a trial after this epoch, counted from 1."""

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return why the trial stops after its last epoch, in one short sentence; None where it continues."""


class Pruner(ABC):
    """The base class of pruners: frozen dataclasses that hold arguments and no state.

    The same curves must always give the same decision, so that a sweep can be resumed and replayed. The arguments are
    part of what identifies a sweep. `searchlab.testing.check_pruner` checks the rules that a pruner must keep.

    Example:
        >>> from dataclasses import dataclass
        >>> from searchlab.pruning import Pruner
        >>> from searchlab.pruning.learning_curves import LearningCurves
        >>> @dataclass(frozen=True)
        ... class Threshold(Pruner):
        ...     minimum: float
        ...
        ...     def is_due(self, epoch):
        ...         return epoch >= 3
        ...
        ...     def stop_reason(self, curves, trial):
        ...         epoch = curves.last_epoch(trial)
        ...         best = curves.best_means[curves.row_of(trial), epoch - 1]
        ...         if not self.is_due(epoch) or best >= self.minimum:
        ...             return None
        ...         return f"at best {best:.4g} after epoch {epoch}, below {self.minimum}"
        >>> curves = LearningCurves("max")
        >>> for scores in [[0.4, 0.5], [0.5, 0.6], [0.5, 0.5]]:
        ...     epoch = curves.add_epoch(0, scores)
        >>> Threshold(0.7).stop_reason(curves, 0)
        'at best 0.55 after epoch 3, below 0.7'
    """

    @abstractmethod
    def is_due(self, epoch: int) -> bool:
        """Return whether the pruner may stop a trial after this epoch.

        Args:
            epoch: Number of epochs trained, from 1.
        """

    @abstractmethod
    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return why a trial stops after its last epoch, in one sentence with the numbers; None where it continues.

        Args:
            curves: The learning curves of all trials so far.
            trial: Number of the trial; it has at least one epoch.
        """

    def worker_waits(self, epoch: int) -> bool:
        """Return whether the worker waits for the decision after this epoch, even where its epochs are short.

        It is worthwhile where many trials may stop. Where few may stop, it is cheaper to train the next epoch while
        the decision is on its way, and to drop the stopped trials one short epoch later.

        Args:
            epoch: Number of epochs trained, from 1.
        """
        return self.is_due(epoch)

    def validate(self, folds: int) -> None:
        """Check that the pruner can work with a sweep of this many folds.

        Args:
            folds: Number of folds.

        Raises:
            UserMistake: When it cannot.
        """
        return None


@dataclass(frozen=True)
class NoPruning(Pruner):
    """A pruner that stops no trial.

    Example:
        >>> from searchlab import NoPruning
        >>> NoPruning().is_due(10)
        False
    """

    def is_due(self, epoch: int) -> bool:
        """Return False."""
        return False

    def stop_reason(self, curves: LearningCurves, trial: int) -> None:
        """Return None."""


def validate_whole_number(pruner: str, argument: str, value: Any, minimum: int) -> None:
    """Raise UserMistake unless the value is a whole number of at least `minimum`."""
    if not is_whole_number(value) or value < minimum:
        raise UserMistake(f"{pruner}({argument}=...) takes a whole number of at least {minimum}, got {value!r}.")

"""Early stopping: a trial ends when its score has stopped improving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.numeric_types import is_number, is_whole_number


@dataclass(frozen=True)
class EarlyStopping:
    """A rule that ends a trial when the mean score over its folds has not improved for `patience` epochs.

    The value of a trial is that of its best epoch anyway, so a trial that stops early is complete, not pruned.

    Args:
        patience: Number of epochs in a row without improvement after which a trial ends; default 5.
        min_delta: A score improves only if it is better than the best one by more than this; default 0.0.

    Raises:
        UserMistake: When `patience` is not a whole number of at least 1, or `min_delta` is negative or not finite.

    Reference:
        Prechelt, "Early Stopping - But When?" (1998); this is the simplest of the rules it compares.

    Example:
        >>> from searchlab import EarlyStopping
        >>> rule = EarlyStopping(patience=2)
        >>> rule.should_stop([0.5, 0.8, 0.7], "max")
        False
        >>> rule.should_stop([0.5, 0.8, 0.7, 0.8], "max")
        True
    """

    patience: int = 5
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if not is_whole_number(self.patience) or self.patience < 1:
            raise UserMistake(
                f"EarlyStopping(patience=...) takes a number of epochs of at least 1, got {self.patience!r}."
            )
        delta = self.min_delta
        if not is_number(delta) or not 0 <= delta < math.inf:
            raise UserMistake(f"EarlyStopping(min_delta=...) takes a finite number of at least 0, got {delta!r}.")

    def should_stop(self, means: Sequence[float], goal: Goal) -> bool:
        """Return whether a trial with these scores ends.

        Args:
            means: Mean score over the folds after each epoch, the first epoch first. NaN is never an improvement.
            goal: Direction of the metric, "max" or "min".

        Returns:
            True where `patience` epochs in a row have brought no improvement.
        """
        best, epochs_since_best = -math.inf, 0
        for mean in means:
            value = mean if goal == "max" else -mean
            improves = value > best + self.min_delta
            best, epochs_since_best = (value, 0) if improves else (best, epochs_since_best + 1)
            if epochs_since_best >= self.patience:
                return True
        return False

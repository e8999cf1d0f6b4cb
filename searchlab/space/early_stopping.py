"""Early stopping: when a trial's curve says that its best epoch lies behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.metrics import Goal


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a trial once the mean over its folds has not improved by more than `min_delta` for `patience` epochs.

    What to wait for and how long is Prechelt's question in "Early Stopping - But When?" (1998); this is the simplest of
    the answers. A trial is worth its best epoch anyway, so one that stops is complete, not pruned.
    """

    patience: int = 5
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.patience, int) or isinstance(self.patience, bool) or self.patience < 1:
            raise UserMistake(f"EarlyStopping(patience=...) is a number of epochs, at least 1; got {self.patience!r}.")
        delta = self.min_delta
        if isinstance(delta, bool) or not isinstance(delta, (int, float)) or not 0 <= delta < math.inf:
            raise UserMistake(f"EarlyStopping(min_delta=...) is a number of at least 0; got {delta!r}.")

    def done(self, means: Sequence[float], goal: Goal) -> bool:
        """Whether a trial with these means by epoch is done. NaN never improves."""
        best, waited = -math.inf, 0
        for mean in means:
            value = mean if goal == "max" else -mean
            best, waited = (value, 0) if value > best + self.min_delta else (best, waited + 1)
            if waited >= self.patience:
                return True
        return False

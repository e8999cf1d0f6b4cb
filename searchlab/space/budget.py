"""The budget of a search: limits other than the number of trials."""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.numeric_types import is_number, is_whole_number
from searchlab.wording import count


@dataclass(frozen=True)
class BudgetUsage:
    """What a search has used so far.

    Attributes:
        seconds: Search time, over all runs of the sweep together.
        epochs: Trained epochs of all trials together.
        best_score: Best score of a complete trial; None while no trial is complete.
        trials_since_best: Trials that have ended since the best score was reached.
    """

    seconds: float = 0.0
    epochs: int = 0
    best_score: float | None = None
    trials_since_best: int = 0


@dataclass(frozen=True)
class Budget:
    """Limits of a search; the search ends at the limit that is reached first.

    Trials that are training at that moment finish their epoch and are pruned. The sweep then has a winner as usual, and
    can be resumed with a larger budget.

    Args:
        seconds: Search time in seconds, over all runs of the sweep together; default None for no limit.
        epochs: Trained epochs of all trials together; default None for no limit.
        target: Score of the primary metric that a complete trial has to reach; default None for no target.
        patience: Number of ended trials in a row without a better score; default None for no limit. Trials that violate
            the constraint do not count.

    Raises:
        UserMistake: When a limit is not a number above 0, or the target is not a finite number.

    Example:
        >>> from searchlab import Budget
        >>> from searchlab.space.budget import BudgetUsage
        >>> budget = Budget(seconds=3600, target=0.98)
        >>> budget.exhausted_reason(BudgetUsage(seconds=60, best_score=0.97), "max")
        >>> budget.exhausted_reason(BudgetUsage(seconds=90, best_score=0.985), "max")
        'a trial reached 0.985, and the target is 0.98'
    """

    seconds: float | None = None
    epochs: int | None = None
    target: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not _is_above_zero(self.seconds):
            raise UserMistake(f"Budget(seconds=...) takes a number above 0, got {self.seconds!r}.")
        for name in ("epochs", "patience"):
            value = getattr(self, name)
            if value is not None and (not is_whole_number(value) or value < 1):
                raise UserMistake(f"Budget({name}=...) takes a whole number of at least 1, got {value!r}.")
        if self.target is not None and not _is_finite_number(self.target):
            raise UserMistake(f"Budget(target=...) takes a finite number, got {self.target!r}.")

    def exhausted_reason(self, usage: BudgetUsage, goal: Goal) -> str | None:
        """Return the reason why the search ends, or None while the budget is not used up.

        Args:
            usage: What the search has used so far.
            goal: Direction of the primary metric, "max" or "min".

        Returns:
            The limit that is reached, in words; None where no limit is reached.
        """
        best = usage.best_score
        if self.target is not None and best is not None and _reaches(best, self.target, goal):
            return f"a trial reached {best:.4g}, and the target is {self.target:.4g}"
        if self.seconds is not None and usage.seconds >= self.seconds:
            verb = "second is" if self.seconds == 1 else "seconds are"
            return f"its {self.seconds:g} {verb} used up"
        if self.epochs is not None and usage.epochs >= self.epochs:
            return f"its {count(self.epochs, 'epoch')} {'is' if self.epochs == 1 else 'are'} used up"
        if self.patience is not None and best is not None and usage.trials_since_best >= self.patience:
            row = "the last trial was" if self.patience == 1 else f"{usage.trials_since_best} trials in a row were"
            return f"{row} no better than {best:.4g}"
        return None


def _reaches(score: float, target: float, goal: Goal) -> bool:
    return score >= target if goal == "max" else score <= target


def _is_finite_number(value: object) -> bool:
    return is_number(value) and math.isfinite(value)


def _is_above_zero(value: object) -> bool:
    return _is_finite_number(value) and value > 0  # type: ignore[operator]

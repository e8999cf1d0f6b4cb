"""The budget: when a search is over before its trials are used up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.metrics import Goal


@dataclass(frozen=True)
class Spent:
    """What a search has used up: seconds, epochs of all trials together, and what its ended trials reached.

    `best` is the best score of a complete trial, None while there is none; `since_best` counts the trials that have
    ended since it was reached.
    """

    seconds: float = 0.0
    epochs: int = 0
    best: float | None = None
    since_best: int = 0


@dataclass(frozen=True)
class Budget:
    """Ends a search at whatever comes first; what is None does not end it.

    `seconds` of searching, over all its runs together; `epochs` of all trials together; a complete trial that reaches
    the score `target`; `patience`, so many ended trials without a better one. Trials at work when it ends finish their
    epoch and are pruned.
    """

    seconds: float | None = None
    epochs: int | None = None
    target: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not _above_zero(self.seconds):
            raise UserMistake(f"Budget(seconds=...) is a number above 0, got {self.seconds!r}.")
        for name in ("epochs", "patience"):
            given = getattr(self, name)
            if given is not None and (type(given) is not int or given < 1):
                raise UserMistake(f"Budget({name}=...) is a whole number of at least 1, got {given!r}.")
        if self.target is not None and not _finite(self.target):
            raise UserMistake(f"Budget(target=...) is a score, got {self.target!r}.")

    def why_over(self, spent: Spent, goal: Goal) -> str | None:
        """Why the search is over, having spent this; None while it is not."""
        if self.target is not None and spent.best is not None and _reaches(spent.best, self.target, goal):
            return f"a trial reached {spent.best:.4g}, and {self.target:.4g} was the target"
        if self.seconds is not None and spent.seconds >= self.seconds:
            return f"its {self.seconds:g} seconds are used up"
        if self.epochs is not None and spent.epochs >= self.epochs:
            return f"its {self.epochs:,} epochs are used up"
        if self.patience is not None and spent.best is not None and spent.since_best >= self.patience:
            return f"{spent.since_best} trials in a row were no better than {spent.best:.4g}"
        return None


def _reaches(score: float, target: float, goal: Goal) -> bool:
    return score >= target if goal == "max" else score <= target


def _finite(number: object) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)


def _above_zero(number: object) -> bool:
    return _finite(number) and number > 0  # type: ignore[operator]

"""The interface of a pruner: from the curves recorded so far to the trials that stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from searchlab.errors import UserMistake
from searchlab.pruning.learning_curves import LearningCurves


class StoppingRule(Protocol):
    """Whoever decides which trials are stopped: a pruner, or what asks one of Optuna's."""

    def due(self, epoch: int) -> bool:
        """Whether it may stop a trial after this epoch, counted from 1."""

    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
        """The reason why this trial is stopped at its newest epoch, one short sentence; None to go on."""


class Pruner(ABC):
    """Says when a trial is stopped: a frozen value, whose arguments are part of what tells two sweeps apart."""

    @abstractmethod
    def due(self, epoch: int) -> bool:
        """Whether it may stop a trial after this epoch, counted from 1."""

    @abstractmethod
    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
        """The reason why this trial is stopped at its newest epoch, one sentence with the numbers; None to go on."""

    def decisive(self, epoch: int) -> bool:
        """Whether so many may be stopped after this epoch that a worker waits for the answer, short as its epochs be.

        Where few are, it is cheaper to hear a short epoch later.
        """
        return self.due(epoch)

    def refuse(self, folds: int) -> None:
        """Raise UserMistake where it cannot work with so many folds."""
        return None


@dataclass(frozen=True)
class NoPruning(Pruner):
    """Every trial runs to its end."""

    def due(self, epoch: int) -> bool:
        """Never."""
        return False

    def why_stop(self, curves: LearningCurves, trial: int) -> None:
        """None: no trial is stopped."""


def whole(pruner: str, argument: str, given: Any, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if type(given) is not int or given < least:
        raise UserMistake(f"{pruner}({argument}=...) is a whole number of at least {least}, got {given!r}.")

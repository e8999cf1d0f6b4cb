"""Pruning: from the curves recorded so far to who goes on. Pure, deterministic, and no trial waits for another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from searchlab.errors import UserMistake
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner


@dataclass(frozen=True)
class OptunaPruner(Pruner):
    """A pruner object of Optuna's as it is; `Sweep(pruner=...)` makes one of any such object.

    It is told the means over folds. Its class and its settings tell two sweeps apart.
    """

    pruner: Any = field(compare=False)
    settings: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if not is_optuna_pruner(self.pruner):
            raise UserMistake(f"OptunaPruner(...) takes a pruner object of Optuna's, got {self.pruner!r}.")
        object.__setattr__(self, "settings", _settings(self.pruner))

    def due(self, epoch: int) -> bool:
        """Always: Optuna's pruners do not say what they wait for."""
        return True

    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
        """Raises TypeError: a study of Optuna's must be asked, and the service alone has one."""
        raise TypeError("searchlab.study.optuna_pruners.stopping_rule_of knows how to ask one of Optuna's pruners")

    def __repr__(self) -> str:
        return f"OptunaPruner({self.settings})"


def is_optuna_pruner(given: object) -> bool:
    """Whether this is a pruner object of Optuna's, by what it can do: no import of Optuna is needed to tell."""
    return not isinstance(given, type) and callable(getattr(given, "prune", None))


def _settings(pruner: Any) -> str:
    """The class and the plain settings of a pruner object, and of one that it wraps."""
    kept = {name.strip("_"): value for name, value in sorted(vars(pruner).items())}
    told = {name: _settings(value) for name, value in kept.items() if is_optuna_pruner(value)}
    told |= {name: repr(value) for name, value in kept.items() if isinstance(value, bool | int | float | str | None)}
    return f"{type(pruner).__name__}({', '.join(f'{name}={text}' for name, text in told.items())})"

"""A pruner of Optuna as the pruner of a sweep. This module does not import Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from searchlab.errors import UserMistake
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner


@dataclass(frozen=True)
class OptunaPruner(Pruner):
    """A pruner object of Optuna, used as it is.

    `Sweep(pruner=...)` wraps such an object by itself. It receives the means over folds as intermediate values. Its
    class and its arguments are part of what identifies a sweep. It decides only inside a study, where
    `searchlab.study.optuna_pruners.create_stopping_rule` calls it.

    Args:
        pruner: A pruner object of Optuna, such as `optuna.pruners.MedianPruner()`.

    Attributes:
        configuration: The class and the plain arguments of the pruner object, and of one that it wraps.

    Raises:
        UserMistake: When `pruner` is not a pruner object: a class, or an object without a method `prune`.

    Example:
        >>> import optuna
        >>> from searchlab import OptunaPruner
        >>> OptunaPruner(optuna.pruners.ThresholdPruner(lower=0.2))
        OptunaPruner(ThresholdPruner(interval_steps=1, lower=0.2, n_warmup_steps=0, upper=inf))
    """

    pruner: Any = field(compare=False)
    configuration: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if not is_optuna_pruner(self.pruner):
            raise UserMistake(
                "OptunaPruner(...) takes a pruner object of Optuna, such as optuna.pruners.MedianPruner(), "
                f"got {self.pruner!r}."
            )
        object.__setattr__(self, "configuration", _configuration(self.pruner))

    def is_due(self, epoch: int) -> bool:
        """Return True: pruners of Optuna do not say after which epochs they decide."""
        return True

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Raise TypeError: only a study can call a pruner of Optuna."""
        raise TypeError("a pruner of Optuna needs a study: use searchlab.study.optuna_pruners.create_stopping_rule")

    def __repr__(self) -> str:
        return f"OptunaPruner({self.configuration})"


def is_optuna_pruner(value: object) -> bool:
    """Return whether this is a pruner object of Optuna: an object with a method `prune`. Optuna is not imported."""
    return not isinstance(value, type) and callable(getattr(value, "prune", None))


def _configuration(pruner: Any) -> str:
    """Return the class and the plain arguments of a pruner object, and of one that it wraps."""
    attributes = {name.strip("_"): value for name, value in sorted(vars(pruner).items())}
    arguments = {name: _configuration(value) for name, value in attributes.items() if is_optuna_pruner(value)}
    plain = (bool, int, float, str, type(None))
    arguments |= {name: repr(value) for name, value in attributes.items() if isinstance(value, plain)}
    return f"{type(pruner).__name__}({', '.join(f'{name}={text}' for name, text in arguments.items())})"

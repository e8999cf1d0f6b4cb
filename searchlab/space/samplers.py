"""The samplers that a sweep may name; `searchlab.study.samplers` turns each into a sampler of Optuna."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from searchlab.errors import UserMistake
from searchlab.space.domains import Domain, Float, Int
from searchlab.space.grid import GridPoints, enumerate_grid, shuffle_in_batches

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

# the methods by which a sampler object of Optuna is recognized
OPTUNA_SAMPLER_METHODS = ("infer_relative_search_space", "sample_relative", "sample_independent")


class Sampler(ABC):
    """A choice of how points of the space are drawn: a frozen value that is part of a sweep's fingerprint.

    Attributes:
        startup_trials: Number of first trials that are drawn one by one, before the sampler draws groups.
        exhaustive: Whether the sampler has a finite number of points, so that a sweep may leave `trials` out.
        multi_objective: Whether the sampler accepts several metrics.
    """

    startup_trials: ClassVar[int] = 0
    exhaustive: ClassVar[bool] = False
    multi_objective: ClassVar[bool] = True

    @abstractmethod
    def grid_points(self, sweep: Sweep) -> GridPoints | None:
        """Return the points that are tried, where they are known in advance; None where each is drawn for its trial."""

    def one_trial_per_group(self, sweep: Sweep) -> bool:
        """Return whether each trial trains alone, as a sampler may not learn from trials with a given structure."""
        return False

    def validate(self, sweep: Sweep) -> None:
        """Raise UserMistake where the sampler cannot search this sweep."""
        if len(sweep.metrics) > 1 and not self.multi_objective:
            raise UserMistake(
                f"{self} takes one metric, and metric=(...) has {len(sweep.metrics)}; use TPE() for several metrics."
            )


@dataclass(frozen=True)
class TPE(Sampler):
    """The tree-structured Parzen estimator, the default sampler: it draws points near the best earlier trials.

    The first 10 trials are drawn at random, one by one: a group would repeat one structure among them.

    Reference:
        Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011).

    Example:
        >>> from searchlab import TPE
        >>> TPE().startup_trials
        10
    """

    startup_trials: ClassVar[int] = 10

    def grid_points(self, sweep: Sweep) -> None:
        """Return None: each point depends on the results of the earlier ones."""


@dataclass(frozen=True)
class Random(Sampler):
    """Independent random points, drawn on the scale of each range.

    Example:
        >>> from searchlab import Random
        >>> Random().startup_trials, Random().multi_objective
        (0, True)
    """

    def grid_points(self, sweep: Sweep) -> None:
        """Return None: each point is drawn for its trial."""


@dataclass(frozen=True)
class QuasiRandom(Sampler):
    """Scrambled Sobol points: independent of the results, as with `Random`, but spread evenly over the space.

    Each open argument has a dimension of its own, conditional ones too; trial n is point n of the sequence.

    Reference:
        Sobol (1967); Owen, "Scrambling Sobol' and Niederreiter-Xing Points" (1998).

    Example:
        >>> from searchlab import QuasiRandom
        >>> QuasiRandom().exhaustive
        False
    """

    def grid_points(self, sweep: Sweep) -> None:
        """Return None: the sequence has no end, and each point is drawn for its trial."""


@dataclass(frozen=True)
class CmaEs(Sampler):
    """Covariance matrix adaptation (CMA-ES), for a few numeric arguments that depend on each other.

    It adapts the ranges that are open in every trial; choices and conditional arguments are drawn at random. Where a
    range is part of the structure, each trial trains alone: from a trial with a given structure it would not learn.
    The first trial is drawn at random. It takes one metric.

    Reference:
        Hansen and Ostermeier, "Completely Derandomized Self-Adaptation in Evolution Strategies" (2001).

    Example:
        >>> from searchlab import CmaEs
        >>> CmaEs().startup_trials, CmaEs().multi_objective
        (1, False)
    """

    startup_trials: ClassVar[int] = 1
    multi_objective: ClassVar[bool] = False

    def grid_points(self, sweep: Sweep) -> None:
        """Return None: each point depends on the results of the earlier ones."""

    def one_trial_per_group(self, sweep: Sweep) -> bool:
        """Return whether a structural range is open; structural choices are drawn at random and may be given."""
        return any(
            isinstance(domain, (Float, Int)) and not per_replica for _, domain, per_replica in sweep.iter_arguments()
        )


@dataclass(frozen=True)
class Grid(Sampler):
    """Every combination of the open arguments, once; a `Float` needs a `step`.

    A sweep with this sampler may leave `trials` out.

    Example:
        >>> from models.mlp import MLP
        >>> from searchlab import SGD, Accuracy, Choice, Grid, KFold, Space, Spiral, Sweep, Trainer
        >>> sweep = Sweep(
        ...     name="grid", data=Spiral(), validation=KFold(5), metric=Accuracy(), sampler=Grid(),
        ...     model=Space(MLP, hidden=Choice(8, 16)), optimizer=Space(SGD, lr=Choice(0.1, 0.5, 1.0)),
        ...     training=Space(Trainer, epochs=10),
        ... )
        >>> sweep.resolve_trials()
        6
    """

    exhaustive: ClassVar[bool] = True

    def grid_points(self, sweep: Sweep) -> GridPoints:
        """Return every combination, in order.

        Raises:
            UserMistake: When a range has no step, or there are too many combinations.
        """
        return enumerate_grid(sweep)


@dataclass(frozen=True)
class BruteForce(Sampler):
    """Every combination of the open arguments, once, in a shuffled order.

    The combinations are those of `Grid`. They are shuffled in batches of equal structure, so that they still train
    fused, and so that a search that ends early has seen points from the whole space. The order is always the same.

    Example:
        >>> from searchlab import BruteForce
        >>> BruteForce().exhaustive
        True
    """

    exhaustive: ClassVar[bool] = True

    def grid_points(self, sweep: Sweep) -> GridPoints:
        """Return every combination, shuffled in batches of equal structure.

        Raises:
            UserMistake: When a range has no step, or there are too many combinations.
        """
        return shuffle_in_batches(enumerate_grid(sweep))


@dataclass(frozen=True)
class OptunaSampler(Sampler):
    """A sampler object of Optuna, used as it is, with its own seed.

    `Sweep(sampler=...)` wraps such an object by itself. A study uses one copy of it. When an interrupted sweep is
    resumed, the copy gets a new seed so that it does not repeat its first draws; the points then differ from those of
    an uninterrupted run. Only the class of the sampler is part of the sweep's fingerprint.

    Args:
        sampler: A sampler object of Optuna, such as `optuna.samplers.RandomSampler(seed=0)`.

    Attributes:
        name: Name of the sampler's class.

    Raises:
        UserMistake: When `sampler` is not a sampler object of Optuna.

    Example:
        >>> import optuna
        >>> from searchlab import OptunaSampler
        >>> OptunaSampler(optuna.samplers.RandomSampler(seed=0))
        OptunaSampler(RandomSampler(...))
    """

    sampler: Any = field(compare=False)
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if not is_optuna_sampler(self.sampler):
            raise UserMistake(
                "OptunaSampler(...) takes a sampler object of Optuna, such as optuna.samplers.RandomSampler(), "
                f"got {self.sampler!r}."
            )
        object.__setattr__(self, "name", type(self.sampler).__name__)

    def grid_points(self, sweep: Sweep) -> None:
        """Return None: Optuna draws each point for its trial."""

    def one_trial_per_group(self, sweep: Sweep) -> bool:
        """Return whether structure is open: many samplers learn nothing from trials with some values given."""
        return any(isinstance(domain, Domain) and not per_replica for _, domain, per_replica in sweep.iter_arguments())

    def __repr__(self) -> str:
        return f"OptunaSampler({self.name}(...))"


def is_optuna_sampler(value: object) -> bool:
    """Return whether this is a sampler object of Optuna, told by its methods without importing Optuna."""
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in OPTUNA_SAMPLER_METHODS)

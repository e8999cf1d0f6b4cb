"""The samplers a sweep may ask for: who chooses the points of the space that are tried. The study knows how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from searchlab.errors import UserMistake
from searchlab.space.domains import Domain, Float, Int
from searchlab.space.grid import Plan, plan, shuffled

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

PROPOSES = ("infer_relative_search_space", "sample_relative", "sample_independent")  # what makes an Optuna sampler


class Sampler(ABC):
    """Chooses the points that are tried: a frozen value, whose arguments are part of what tells two sweeps apart."""

    start_up: ClassVar[int] = 0  # trials that it draws one by one before it has learnt enough to draw groups
    exhaustive: ClassVar[bool] = False  # whether it has an end of its own, so that a sweep need not say one
    compromises: ClassVar[bool] = True  # whether it may be given several metrics

    @abstractmethod
    def plan(self, sweep: Sweep) -> Plan | None:
        """The points it tries, where they are known beforehand; None where each is drawn in its turn."""

    def alone(self, sweep: Sweep) -> bool:
        """Whether every trial is a group of its own: the sampler learns nothing from trials with a structure given."""
        return False

    def refuse(self, sweep: Sweep) -> None:
        """Raises UserMistake where it cannot search such a sweep at all."""
        if len(sweep.metrics) > 1 and not self.compromises:
            raise UserMistake(f"{self} searches by one metric and metric=(...) has several; TPE() takes them all.")


@dataclass(frozen=True)
class TPE(Sampler):
    """Tree-structured Parzen estimator: draws where earlier trials were good (Bergstra et al. 2011)."""

    start_up: ClassVar[int] = 10  # as many as it draws at random: a group would repeat one structure among them

    def plan(self, sweep: Sweep) -> None:
        """None: each point depends on what came of those before."""


@dataclass(frozen=True)
class Random(Sampler):
    """Draws every trial at random, on a range's own scale, whatever came of those before."""

    def plan(self, sweep: Sweep) -> None:
        """None: each point is drawn in its turn."""


@dataclass(frozen=True)
class QuasiRandom(Sampler):
    """Scrambled Sobol points (Sobol 1967; Owen 1998): as blind as Random, but spread evenly over the whole space.

    Each open argument has a dimension of its own, conditional ones too; trial n is point n.
    """

    def plan(self, sweep: Sweep) -> None:
        """None: the points are countless, and each is drawn in its turn."""


@dataclass(frozen=True)
class CmaEs(Sampler):
    """Covariance matrix adaptation (Hansen & Ostermeier 2001): for a handful of numbers that work on each other.

    It adapts the ranges that are open in every trial; choices and conditional arguments are drawn at random. Where a
    range is structure, trials train one by one: one whose structure is given would teach it nothing.
    """

    start_up: ClassVar[int] = 1  # drawn at random, and alone
    compromises: ClassVar[bool] = False

    def plan(self, sweep: Sweep) -> None:
        """None: each point depends on what came of those before."""

    def alone(self, sweep: Sweep) -> bool:
        """Where a structural range is open; what it draws at random anyway may as well be given."""
        return any(isinstance(domain, (Float, Int)) and not per_replica for _, domain, per_replica in sweep.walk())


@dataclass(frozen=True)
class Grid(Sampler):
    """Tries every combination of the open arguments once; a range of fractions needs a `step`."""

    exhaustive: ClassVar[bool] = True

    def plan(self, sweep: Sweep) -> Plan:
        """Every combination, in order; raises UserMistake where they cannot be counted up."""
        return plan(sweep)


@dataclass(frozen=True)
class BruteForce(Sampler):
    """Tries every combination once, as Grid does, in an order so mixed that an early end has seen the whole space."""

    exhaustive: ClassVar[bool] = True

    def plan(self, sweep: Sweep) -> Plan:
        """Every combination, shuffled in batches that train fused; raises UserMistake as Grid does."""
        return shuffled(plan(sweep))


@dataclass(frozen=True)
class OptunaSampler(Sampler):
    """A sampler object of Optuna's as it is, its own seed included; `Sweep(sampler=...)` makes one of any such object.

    A study uses one copy of it. When an interrupted sweep goes on, the copy is seeded afresh, lest it repeat its first
    draws: what it then draws is not what it would have drawn unbroken. Its class alone tells two sweeps apart.
    """

    sampler: Any = field(compare=False)
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if not is_optuna(self.sampler):
            raise UserMistake(f"OptunaSampler(...) takes a sampler object of Optuna's, got {self.sampler!r}.")
        object.__setattr__(self, "name", type(self.sampler).__name__)

    def plan(self, sweep: Sweep) -> None:
        """None: Optuna draws each point in its turn."""

    def alone(self, sweep: Sweep) -> bool:
        """Where structure is open: many samplers learn nothing from trials with some values given."""
        return any(isinstance(domain, Domain) and not per_replica for _, domain, per_replica in sweep.walk())

    def __repr__(self) -> str:
        return f"OptunaSampler({self.name}(...))"


def is_optuna(given: object) -> bool:
    """Whether this is a sampler object of Optuna's, by what it can do: no import of Optuna is needed to tell."""
    return not isinstance(given, type) and all(callable(getattr(given, name, None)) for name in PROPOSES)

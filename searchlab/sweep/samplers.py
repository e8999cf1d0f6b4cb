"""The samplers a sweep may ask for: who chooses the points of the space that are tried. The study knows how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from searchlab.sweep.grid import Plan, plan

if TYPE_CHECKING:
    from searchlab.sweep.sweep import Sweep


class Sampler(ABC):
    """Chooses the points that are tried: a frozen value, whose arguments are part of what tells two sweeps apart."""

    start_up: ClassVar[int] = 0  # trials that it draws one by one before it has learnt enough to draw groups
    exhaustive: ClassVar[bool] = False  # whether it has an end of its own, so that a sweep need not say one

    @abstractmethod
    def plan(self, sweep: Sweep) -> Plan | None:
        """The points it tries, where they are known beforehand; None where each is drawn in its turn."""


@dataclass(frozen=True)
class TPE(Sampler):
    """Tree-structured Parzen estimator: draws where earlier trials were good."""

    start_up: ClassVar[int] = 10  # as many as it draws at random: a group would repeat one structure among them

    def plan(self, sweep: Sweep) -> None:
        """None: each point depends on what came of those before."""


@dataclass(frozen=True)
class Random(Sampler):
    """Draws every trial at random, on a range's own scale, whatever came of those before."""

    def plan(self, sweep: Sweep) -> None:
        """None: each point is drawn in its turn."""


@dataclass(frozen=True)
class Grid(Sampler):
    """Tries every combination of the open arguments once; a range of fractions needs a `step`."""

    exhaustive: ClassVar[bool] = True

    def plan(self, sweep: Sweep) -> Plan:
        """Every combination; raises UserMistake where they cannot be counted up."""
        return plan(sweep)

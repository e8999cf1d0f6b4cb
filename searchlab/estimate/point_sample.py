"""A sample of the points that a search will try: those of its grid, or points drawn at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from searchlab.errors import UserMistake
from searchlab.space.constraints import ConstraintChecker
from searchlab.space.domains import Choice, Domain, Float, Int, ParameterValues, Scalar
from searchlab.space.sweep import Sweep

MAX_SAMPLE_POINTS = 400  # of a search with more trials
MIN_SAMPLE_POINTS = 200  # drawn at random, so that the frequency of each structure is known also for few trials
MAX_DRAWS_PER_POINT = 50  # of points that violate the constraint, on average, before drawing ends


@dataclass(frozen=True)
class PointSample:
    """Points as a search will try them, in order; a sample represents all trials.

    Attributes:
        points: The parameters of each trial by path.
        structure_ends: Where the points are known in advance, the end of the consecutive points with the structure of
            each; None otherwise.
    """

    points: Sequence[ParameterValues]
    structure_ends: Sequence[int] | None

    @property
    def longest_structure_run(self) -> int | None:
        """The largest number of consecutive points of one structure; None where points are not known in advance."""
        if not self.structure_ends:
            return None
        return max((end - start for start, end in enumerate(self.structure_ends)), default=1)


def sample_points(sweep: Sweep, trials: int) -> PointSample:
    """Return the points of a grid, or whole structures of a large grid; for other samplers, random points.

    Raises:
        UserMistake: When every random point violates the constraint.
    """
    grid = sweep.grid_points()
    if not grid:
        return PointSample(_random_points(sweep, max(MIN_SAMPLE_POINTS, min(trials, MAX_SAMPLE_POINTS))), None)
    bounds = sorted({0, *(end for end in grid.structure_ends if end < trials), trials})
    runs = list(pairwise(bounds))[:: max(1, trials // MAX_SAMPLE_POINTS)]
    points: list[ParameterValues] = []
    ends: list[int] = []
    for start, end in runs:
        ends += [len(points) + end - start] * (end - start)
        points += grid.points[start:end]
    return PointSample(points, ends)


def _random_points(sweep: Sweep, count: int) -> list[ParameterValues]:
    """Return this many random points that satisfy the constraint, each value on the scale of its range."""
    generator, constraint = np.random.default_rng(0), ConstraintChecker(sweep, sweep.data.training)
    points: list[ParameterValues] = []
    for _ in range(MAX_DRAWS_PER_POINT * count):
        point: dict[str, Scalar] = {}

        def suggest(path: str, domain: Domain, point: dict[str, Scalar] = point) -> Scalar:
            return point.setdefault(path, _random_value(domain, generator))

        sweep.suggest_configuration(suggest)
        if constraint.violation(point) <= 0:
            points.append(point)
        if len(points) == count:
            break
    if not points:
        raise UserMistake(
            f"all of {MAX_DRAWS_PER_POINT * count:,} random points violate the constraint; relax it or the space."
        )
    return points


def _random_value(domain: Domain, generator: np.random.Generator) -> Scalar:
    if isinstance(domain, Choice):
        labels = list(domain.labels)
        return labels[int(generator.integers(len(labels)))]
    if not isinstance(domain, (Float, Int)):
        raise TypeError(f"no value can be drawn from {domain!r}")
    if domain.log:
        value = math.exp(generator.uniform(math.log(domain.low), math.log(domain.high)))
        return round(value) if isinstance(domain, Int) else min(max(value, domain.low), domain.high)
    if domain.step is None:
        return float(generator.uniform(domain.low, domain.high))
    steps = int((domain.high - domain.low) / domain.step + 1e-9)
    return domain.low + domain.step * int(generator.integers(steps + 1))

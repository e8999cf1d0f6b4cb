"""The cost of structures that are not measured, from those that are.

The seconds of a step are close to a power of the width of a layer, of the number of layers, or of the batch size, so
their logarithm is close to a linear function of the logarithms of these numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from searchlab.backend import Array
from searchlab.estimate.timing import StructureTiming
from searchlab.fusion.memory import CostKey
from searchlab.space.domains import Scalar

RIDGE = 0.01  # of the linear function: it exists for one measured structure, and hardly changes for several
CATEGORY_WEIGHT = 0.5  # in a distance: two categories differ in two columns


def extrapolate(features: StructureFeatures, measured: Mapping[int, StructureTiming]) -> list[StructureTiming]:
    """Return a timing of every structure: as measured where trials were timed side by side.

    Other structures gain as much side by side as the nearest of those. What one trial of them takes is as measured, or
    follows the power law of all that were measured.

    Args:
        features: The features of all structures.
        measured: Timings of some structures, at least one.
    """
    costs = np.array(  # (measured, 3)
        [
            (timing.speed.seconds_per_step(1), timing.speed.steps_per_epoch, timing.scoring_seconds[1])
            for timing in measured.values()
        ]
    )
    predicted = features.predict(list(measured), costs)  # (structures, 3)
    predicted[list(measured)] = costs
    with_group_sizes = [number for number, timing in measured.items() if timing.has_group_sizes] or list(measured)
    timings = []
    for number, (step_seconds, steps_per_epoch, scoring_seconds) in enumerate(predicted.tolist()):
        nearest = measured[features.nearest(number, with_group_sizes)]
        memory = measured[features.nearest(number, measured)].memory
        timings.append(
            StructureTiming(
                replace(
                    nearest.speed,
                    step_seconds=_scaled(nearest.speed.step_seconds, step_seconds),
                    steps_per_epoch=max(1, round(steps_per_epoch)),
                ),
                _scaled(nearest.scoring_seconds, scoring_seconds),
                memory,
            )
        )
    return timings


class StructureFeatures:
    """The features of some structures: a column for the logarithm of each number, and one for each other value.

    A number that only some structures have is 0 in the others, which have a column in common.
    """

    def __init__(self, keys: Sequence[CostKey]) -> None:
        """Take the cost keys of the structures."""
        values = [dict(key) for key in keys]
        paths = sorted({path for value in values for path in value})
        numbers = [[_logarithm(value.get(path)) for path in paths] for value in values]
        categories = sorted({(path, _category(value.get(path))) for value in values for path in paths})
        membership = [[float(_category(value.get(path)) == name) for path, name in categories] for value in values]
        self._columns = np.hstack([np.array(numbers), np.array(membership)])  # (structures, features)
        self._weights = np.array([1.0] * len(paths) + [CATEGORY_WEIGHT] * len(categories))

    def measuring_order(self, shares: Sequence[float]) -> list[int]:
        """Return the structures in the order in which they should be measured.

        The first is the most frequent; each of the next has the largest product of its share of the trials with the
        distance to the nearest of those before it.

        Args:
            shares: Share of all trials of each structure.
        """
        order = [int(np.argmax(shares))]
        distance = self._distances(order[0])
        while len(order) < len(shares):
            priority = np.array(shares) * distance
            priority[order] = -1.0
            order.append(int(np.argmax(priority)))
            distance = np.minimum(distance, self._distances(order[-1]))
        return order

    def nearest(self, structure: int, candidates: Collection[int]) -> int:
        """Return which of the candidates is nearest to a structure."""
        distances = self._distances(structure)
        return min(candidates, key=lambda candidate: distances[candidate])

    def predict(self, measured: Sequence[int], costs: Array) -> Array:
        """Return the costs of every structure (structures, costs) by power laws that are fitted to those measured.

        Args:
            measured: The structures that were measured, at least one.
            costs: Their costs (measured, costs).
        """
        columns = self._columns[measured]  # (measured, features)
        logarithms = np.log(np.maximum(costs, np.finfo(float).tiny))  # (measured, costs)
        center, mean = columns.mean(axis=0), logarithms.mean(axis=0)
        system = (columns - center).T @ (columns - center) + RIDGE * np.eye(columns.shape[1])
        slopes = np.linalg.solve(system, (columns - center).T @ (logarithms - mean))  # (features, costs)
        found: Array = np.exp(mean + (self._columns - center) @ slopes)
        return found

    def _distances(self, structure: int) -> Array:
        """Return the distance (structures,) of every structure to one of them."""
        found: Array = np.abs(self._columns - self._columns[structure]) @ self._weights
        return found


def _scaled(seconds: Mapping[int, float], of_one: float) -> dict[int, float]:
    """Return seconds by trials side by side, scaled so that those of one trial are as given."""
    return {trials: value * of_one / seconds[1] if seconds[1] else of_one for trials, value in seconds.items()}


def _is_number(value: Scalar | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _logarithm(value: Scalar | None) -> float:
    return float(np.log2(1.0 + abs(float(value)))) if value is not None and _is_number(value) else 0.0


def _category(value: Scalar | None) -> str:
    return "number" if _is_number(value) else repr(value)

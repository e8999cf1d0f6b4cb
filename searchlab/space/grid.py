"""The grid: every combination of the open arguments of a sweep.

The combinations are found by suggesting a configuration again and again with scripted values. The space is known only
by the arguments that it asks for, so conditions hold here as they do for every other sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import accumulate, chain, groupby, islice, pairwise, product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from searchlab.errors import UserMistake
from searchlab.space.domains import Choice, Domain, Float, Int, Scalar
from searchlab.space.space import Suggest

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

MAX_GRID_POINTS = 100_000  # listed in about a second; a search of more trials is better served by another sampler
SHUFFLE_BATCH = 8  # points of one structure that stay together: most of the gain of fusing (bench/fused.py)


class GridValue(NamedTuple):
    """A value of an open argument, and its position among the values that the argument takes."""

    path: str
    position: int
    value: Scalar


GridPoint: TypeAlias = tuple[GridValue, ...]


@dataclass(frozen=True)
class GridPoints:
    """Points that are known before the first trial: trial n tries point n.

    Attributes:
        points: The parameters of each trial by path; points of equal structure are consecutive.
        structure_ends: For each point, the end of the consecutive points with its structure.
        structure_count: Number of different structures.
    """

    points: Sequence[dict[str, Scalar]]
    structure_ends: Sequence[int]
    structure_count: int

    def structure_run(self, number: int) -> int:
        """Return how many consecutive points, from this one on, have its structure; 0 beyond the last point."""
        return self.structure_ends[number] - number if number < len(self.structure_ends) else 0


def enumerate_grid(sweep: Sweep) -> GridPoints:
    """Return every combination of a sweep's open arguments; those that differ only per replica are consecutive.

    The order depends on the names and the options of the arguments, not on their order in the sweep file, because a
    sweep is resumed by trial number.

    Raises:
        UserMistake: When a range has no step, or there are more than MAX_GRID_POINTS combinations.
    """
    per_replica_paths = {path for path, _, per_replica in sweep.iter_arguments() if per_replica}
    parts = [_enumerate_part(partial(sweep.suggest_part, part)) for part in sweep.parts]
    _validate_count(math.prod(map(len, parts)), exact=all(len(points) <= MAX_GRID_POINTS for points in parts))
    combined: Iterator[GridPoint] = (tuple(chain.from_iterable(point)) for point in product(*parts))
    split_points = sorted(_split_by_structure(point, per_replica_paths) for point in combined)
    points: list[dict[str, Scalar]] = []
    ends: list[int] = []
    for _, same_structure in groupby(split_points, key=lambda split: split[0]):
        points += [{path: value for path, _, value in structure + rest} for structure, rest in same_structure]
        ends += [len(points)] * (len(points) - len(ends))
    return GridPoints(points, ends, len(set(ends)))


def shuffle_in_batches(grid: GridPoints) -> GridPoints:
    """Return the same points in shuffled batches of equal structure, at most SHUFFLE_BATCH each.

    The order is always the same. The points of a structure are mixed among its batches, and its batches come at equal
    distances, so that any first part of the points has about the same share of every structure.
    """
    generator = np.random.default_rng(0)
    batches: list[tuple[float, list[int]]] = []  # position in the order, from 0 to 1, and numbers of the points
    for start, end in pairwise([0, *sorted(set(grid.structure_ends))]):
        numbers, offset = (start + generator.permutation(end - start)).tolist(), generator.random()
        count = -(-len(numbers) // SHUFFLE_BATCH)
        batches += [
            ((offset + batch) / count, numbers[batch * SHUFFLE_BATCH : (batch + 1) * SHUFFLE_BATCH])
            for batch in range(count)
        ]
    mixed = [batch for _, batch in sorted(batches)]
    ends = [end for batch, end in zip(mixed, accumulate(map(len, mixed)), strict=True) for _ in batch]
    return GridPoints([grid.points[number] for batch in mixed for number in batch], ends, grid.structure_count)


def enumerate_points(configure: Callable[[Suggest], object]) -> Iterator[GridPoint]:
    """Yield every combination of the values that `configure` asks for.

    After each call, the last value that has a successor is replaced by it, and `configure` is called again.
    """
    known_values: dict[str, Sequence[Scalar]] = {}
    script: list[int] | None = []
    while script is not None:
        point = _run_script(configure, script, known_values)
        yield point
        script = _next_script(point, known_values)


def _run_script(
    configure: Callable[[Suggest], object], script: Sequence[int], known_values: dict[str, Sequence[Scalar]]
) -> GridPoint:
    """Return the values of one call: those of the script as far as it goes, then the first value of each argument."""
    chosen: list[GridValue] = []

    def suggest(path: str, domain: Domain) -> Scalar:
        if path not in known_values:
            known_values[path] = _grid_values(path, domain)
        position = script[len(chosen)] if len(chosen) < len(script) else 0
        chosen.append(GridValue(path, position, known_values[path][position]))
        return chosen[-1].value

    configure(suggest)
    return tuple(chosen)


def _next_script(point: GridPoint, known_values: dict[str, Sequence[Scalar]]) -> list[int] | None:
    """Return the script of the next point; None after the last one."""
    positions = [value.position for value in point]
    for last in reversed(range(len(point))):
        if positions[last] + 1 < len(known_values[point[last].path]):
            return [*positions[:last], positions[last] + 1]
    return None


def _grid_values(path: str, domain: Domain) -> Sequence[Scalar]:
    """Return every value of an argument; a logarithmic scale has no effect on whole numbers."""
    if isinstance(domain, Choice):
        return list(domain.labels)
    if isinstance(domain, Int):
        return range(domain.low, domain.high + 1, domain.step)
    if isinstance(domain, Float) and domain.step is not None:
        low, high, step = (Decimal(str(number)) for number in (domain.low, domain.high, domain.step))
        count = int((high - low) / step) + 1  # in decimals, so that 0.1 + 2 * 0.1 is 0.3, as the user wrote it
        _validate_count(count, exact=False)
        return [float(low + step * position) for position in range(count)]
    raise UserMistake(
        f"Grid() tries every value, and {path} is a range without a step; use Choice(...) or Float(..., step=...)."
    )


def _enumerate_part(configure: Callable[[Suggest], object]) -> list[GridPoint]:
    """Return the combinations of one part; where there are too many, one more than allowed."""
    return list(islice(enumerate_points(configure), MAX_GRID_POINTS + 1))


def _validate_count(count: int, *, exact: bool) -> None:
    if count > MAX_GRID_POINTS:
        text = f"{count:,}" if exact else f"more than {MAX_GRID_POINTS:,}"
        raise UserMistake(
            f"the grid has {text} combinations, and Grid() takes at most {MAX_GRID_POINTS:,}: "
            "leave fewer values open, or use TPE() or Random() with trials=."
        )


def _split_by_structure(point: GridPoint, per_replica_paths: set[str]) -> tuple[GridPoint, GridPoint]:
    """Return the structural values of a point and its per-replica values, each in the order of the paths."""
    values = sorted(point)
    structure = tuple(value for value in values if value.path not in per_replica_paths)
    return structure, tuple(value for value in values if value.path in per_replica_paths)

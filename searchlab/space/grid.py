"""The grid: every combination of the open arguments, found by drawing again and again with a scripted answer.

Nothing is known of the space but what it asks, so a condition holds here as it does in any other draw.
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
from searchlab.space.space import Ask

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

LARGEST_GRID = 100_000  # combinations: a second to write down; who has the time to train more has a better sampler
BATCH = 8  # points of one structure that a shuffled plan keeps together: most of what fusing gains (bench/fused.py)


class Answer(NamedTuple):
    """One value of one open argument, and its place among the values that argument takes."""

    path: str
    place: int
    value: Scalar


Point: TypeAlias = tuple[Answer, ...]


@dataclass(frozen=True)
class Plan:
    """Points known before the first is tried: trial n tries point n. Those of equal structure lie side by side."""

    points: Sequence[dict[str, Scalar]]
    ends: Sequence[int]  # for each point, where those end that lie beside it and have its structure
    structures: int  # different ones among the points

    def alike(self, number: int) -> int:
        """How many points from this one on have its structure, itself included; 0 beyond the last."""
        return self.ends[number] - number if number < len(self.ends) else 0


def plan(sweep: Sweep) -> Plan:
    """Every combination of a sweep's open arguments, those that differ in per-replica arguments alone side by side.

    The order depends on the arguments' names and options, not on the order a file lists arguments in: a killed sweep
    goes on by number. Raises UserMistake for a range without steps and for more than LARGEST_GRID combinations.
    """
    free = {path for path, _, per_replica in sweep.walk() if per_replica}
    parts = [_all(partial(sweep.draw_part, part)) for part in sweep.parts]
    _check(math.prod(map(len, parts)), exact=all(len(points) <= LARGEST_GRID for points in parts))
    whole: Iterator[Point] = (tuple(chain.from_iterable(point)) for point in product(*parts))
    halves = sorted(_halves(point, free) for point in whole)
    points: list[dict[str, Scalar]] = []
    ends: list[int] = []
    for _, block in groupby(halves, key=lambda halves: halves[0]):
        points += [{path: value for path, _, value in structure + rest} for structure, rest in block]
        ends += [len(points)] * (len(points) - len(ends))
    return Plan(points, ends, len(set(ends)))


def shuffled(plan: Plan) -> Plan:
    """The same points in batches of equal structure, at most BATCH each, in an order that is always the same.

    Which points share a batch is mixed, and the batches of a structure come at equal distances: any first part of the
    points holds about as large a part of every structure.
    """
    mixing = np.random.default_rng(0)
    batches: list[tuple[float, list[int]]] = []  # where it comes, from 0 to 1, and its points
    for begin, end in pairwise([0, *sorted(set(plan.ends))]):
        order, first = (begin + mixing.permutation(end - begin)).tolist(), mixing.random()
        count = -(-len(order) // BATCH)
        batches += [((first + at) / count, order[at * BATCH : (at + 1) * BATCH]) for at in range(count)]
    mixed = [batch for _, batch in sorted(batches)]
    ends = [end for batch, end in zip(mixed, accumulate(map(len, mixed)), strict=True) for _ in batch]
    return Plan([plan.points[at] for batch in mixed for at in batch], ends, plan.structures)


def combinations(draw: Callable[[Ask], object]) -> Iterator[Point]:
    """Every way to answer what `draw` asks: it is drawn again with the last answer changed that leaves another."""
    known: dict[str, Sequence[Scalar]] = {}
    script: list[int] | None = []
    while script is not None:
        point = _play(draw, script, known)
        yield point
        script = _following(point, known)


def _play(draw: Callable[[Ask], object], script: Sequence[int], known: dict[str, Sequence[Scalar]]) -> Point:
    """What was answered in one draw: by the script as far as it goes, then with the first value of each argument."""
    answers: list[Answer] = []

    def ask(path: str, domain: Domain) -> Scalar:
        values = known[path] if path in known else known.setdefault(path, _values(path, domain))
        place = script[len(answers)] if len(answers) < len(script) else 0
        answers.append(Answer(path, place, values[place]))
        return values[place]

    draw(ask)
    return tuple(answers)


def _following(point: Point, known: dict[str, Sequence[Scalar]]) -> list[int] | None:
    """The script of the point after this one; None after the last."""
    places = [answer.place for answer in point]
    for at in reversed(range(len(point))):
        if places[at] + 1 < len(known[point[at].path]):
            return [*places[:at], places[at] + 1]
    return None


def _values(path: str, domain: Domain) -> Sequence[Scalar]:
    """Every value that an argument takes; a logarithmic scale changes nothing in whole numbers."""
    if isinstance(domain, Choice):
        return list(domain.labels)
    if isinstance(domain, Int):
        return range(domain.low, domain.high + 1, domain.step)
    if isinstance(domain, Float) and domain.step is not None:
        low, high, step = (Decimal(str(number)) for number in (domain.low, domain.high, domain.step))
        count = int((high - low) / step) + 1  # in decimals: 0.1 + 2 * 0.1 is 0.3, as it was written
        _check(count, exact=False)
        return [float(low + step * position) for position in range(count)]
    raise UserMistake(f"Grid() tries every value, and {path} is a range without step: use Choice or step=.")


def _all(draw: Callable[[Ask], object]) -> list[Point]:
    """Its combinations; one too many, and no more, where there are too many."""
    return list(islice(combinations(draw), LARGEST_GRID + 1))


def _check(size: int, *, exact: bool) -> None:
    if size > LARGEST_GRID:
        told = f"{size:,}" if exact else f"more than {LARGEST_GRID:,}"
        raise UserMistake(
            f"the grid has {told} combinations, and Grid() goes up to {LARGEST_GRID:,}: "
            "leave fewer values open, or use TPE() or Random() with trials=."
        )


def _halves(point: Point, free: set[str]) -> tuple[Point, Point]:
    """What is structure and what is not, each in the order of the paths."""
    answers = sorted(point)
    structure = tuple(answer for answer in answers if answer.path not in free)
    return structure, tuple(answer for answer in answers if answer.path in free)

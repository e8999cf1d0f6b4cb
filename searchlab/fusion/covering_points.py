"""A few points of a space that together take every option of every choice, and both ends of the ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from searchlab.space.domains import Choice, Domain, Float, Int, Scalar
from searchlab.space.sweep import Sweep

MAX_POINTS = 100  # of a space; one with more options than that is covered in part


def covering_points(sweep: Sweep) -> Iterator[dict[str, Scalar]]:
    """Yield points until every value of `_values_to_cover` that can be reached is part of one of them.

    The first point takes the smallest number of each range and the first option of each choice. A space of a million
    combinations takes as many points as its longest choice has options.
    """
    per_replica = {path: differs for path, _, differs in sweep.iter_arguments()}
    visits: dict[str, int] = {}  # by path: how many points have had this argument
    uncovered: dict[str, set[int]] = {}  # by path: positions of values that no point has had
    idle = 0
    for _ in range(MAX_POINTS):
        point, is_new = _next_point(sweep, per_replica, visits, uncovered)
        idle = 0 if is_new else idle + 1
        if is_new:
            yield point
        if idle > max((len(values) for values in uncovered.values()), default=0) and not any(uncovered.values()):
            return
        if idle > MAX_POINTS // 2:
            return


def with_largest(sweep: Sweep, point: Mapping[str, Scalar], only: str | None = None) -> dict[str, Scalar]:
    """Return the point with the largest value of each number that shapes the model, or of this one alone.

    Arguments that this opens take the first of their values to cover.
    """
    per_replica = {path: differs for path, _, differs in sweep.iter_arguments()}
    changed: dict[str, Scalar] = {}

    def suggest(path: str, domain: Domain) -> Scalar:
        values = _values_to_cover(path, domain, per_replica[path])
        largest = _largest(domain) if only in (None, path) and _shapes_model(path, per_replica[path]) else None
        changed[path] = point.get(path, values[0]) if largest is None else largest
        return changed[path]

    sweep.suggest_configuration(suggest)
    return changed


def _shapes_model(path: str, per_replica: bool) -> bool:
    return path.startswith("model.") and not per_replica


def _largest(domain: Domain) -> Scalar | None:
    """Return the largest number of a domain; None where it has other values."""
    if isinstance(domain, (Float, Int)):
        return domain.high
    numbers = _numbers(domain)
    return max(numbers) if numbers else None


def _numbers(domain: Domain) -> list[int | float]:
    """Return the options of a choice where all of them are numbers, and otherwise none."""
    labels = list(domain.labels) if isinstance(domain, Choice) else []
    numbers = [label for label in labels if isinstance(label, (int, float)) and not isinstance(label, bool)]
    return numbers if len(numbers) == len(labels) else []


def _next_point(
    sweep: Sweep, per_replica: dict[str, bool], visits: dict[str, int], uncovered: dict[str, set[int]]
) -> tuple[dict[str, Scalar], bool]:
    """Return a point with the next value of each argument that is open in it, and whether any of them is new."""
    point: dict[str, Scalar] = {}
    is_new = False

    def suggest(path: str, domain: Domain) -> Scalar:
        nonlocal is_new
        values = _values_to_cover(path, domain, per_replica[path])
        position = visits.get(path, 0) % len(values)
        visits[path] = visits.get(path, 0) + 1
        left = uncovered.setdefault(path, set(range(len(values))))
        is_new |= position in left
        left.discard(position)
        point[path] = values[position]
        return point[path]

    sweep.suggest_configuration(suggest)
    return point, is_new


def _values_to_cover(path: str, domain: Domain, per_replica: bool) -> list[Scalar]:
    """Return the values of an argument that points have to cover.

    A large structure takes time and memory, so of the numbers that make up a model's structure only the smallest is
    covered; `with_largest` gives the others.
    """
    if isinstance(domain, (Float, Int)):
        ends: list[Scalar] = [domain.low, domain.high]
    elif numbers := _numbers(domain):
        ends = [min(numbers), max(numbers)]
    else:
        return list(domain.labels) if isinstance(domain, Choice) else []
    return ends[:1] if _shapes_model(path, per_replica) else ends

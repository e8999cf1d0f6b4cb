"""The smallest and the largest structure of a space, by whatever measure of a point one has."""

from __future__ import annotations

from collections.abc import Callable

from searchlab.space.domains import Choice, Domain, Float, Int, Scalar
from searchlab.space.sweep import Sweep

Weigh = Callable[[dict[str, Scalar]], float]


def extreme(sweep: Sweep, *, largest: bool, weigh: Weigh | None = None) -> dict[str, Scalar]:
    """A point at the small or the large end of every number, and of every choice the option that weighs so.

    Choices are settled one after the other, so that a space of a million structures takes a few weighings; without
    `weigh`, the first option stands.
    """
    chosen: dict[str, Scalar] = {}

    def draw(given: dict[str, Scalar]) -> tuple[dict[str, Scalar], list[tuple[str, Choice]]]:
        point: dict[str, Scalar] = {}
        undecided: list[tuple[str, Choice]] = []

        def ask(path: str, domain: Domain) -> Scalar:
            point[path] = given[path] if path in given else _end(domain, largest)
            if isinstance(domain, Choice) and path not in given and not _numbers(domain) and len(domain.labels) > 1:
                undecided.append((path, domain))
            return point[path]

        sweep.draw(ask)
        return point, undecided

    point, undecided = draw(chosen)
    while weigh and undecided:
        path, choice = undecided[0]
        weights = {name: weigh(draw({**chosen, path: name})[0]) for name in choice.labels}
        chosen[path] = (max if largest else min)(weights, key=lambda name: weights[name])
        point, undecided = draw(chosen)
    return point


def _end(domain: Domain, largest: bool) -> Scalar:
    if isinstance(domain, (Float, Int)):
        return domain.high if largest else domain.low
    assert isinstance(domain, Choice)
    numbers = _numbers(domain)
    return (max(numbers) if largest else min(numbers)) if numbers else next(iter(domain.labels))


def _numbers(choice: Choice) -> list[float]:
    """The options, where all of them are numbers; else none."""
    found = [option for option in choice.options if isinstance(option, (int, float)) and not isinstance(option, bool)]
    return found if len(found) == len(choice.options) else []

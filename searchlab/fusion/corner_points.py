"""The points of a space with the smallest and the largest structure, by some measure of their cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from searchlab.space.domains import Choice, Domain, Float, Int, ParameterValues, Scalar
from searchlab.space.sweep import Sweep

Cost: TypeAlias = Callable[[dict[str, Scalar]], float]
"""A function that measures the cost of a point, such as its bytes or its seconds."""


def corner_point(sweep: Sweep, *, largest: bool, cost: Cost | None = None) -> dict[str, Scalar]:
    """Return the point with the smallest or largest number of each range and the option of smallest or largest cost.

    Choices are settled one after the other, so that a space of a million structures takes few measurements of `cost`.
    Without `cost`, each choice takes its first option.
    """
    chosen: dict[str, Scalar] = {}
    point, undecided = _corner_and_choices(sweep, chosen, largest)
    while cost and undecided:
        path, choice = undecided[0]
        costs = {
            label: cost(_corner_and_choices(sweep, {**chosen, path: label}, largest)[0]) for label in choice.labels
        }
        chosen[path] = (max if largest else min)(costs, key=lambda label: costs[label])
        point, undecided = _corner_and_choices(sweep, chosen, largest)
    return point


def _corner_and_choices(
    sweep: Sweep, chosen: ParameterValues, largest: bool
) -> tuple[dict[str, Scalar], list[tuple[str, Choice]]]:
    """Return the corner point with these options chosen, and its choices that are still undecided."""
    point: dict[str, Scalar] = {}
    undecided: list[tuple[str, Choice]] = []

    def suggest(path: str, domain: Domain) -> Scalar:
        point[path] = chosen[path] if path in chosen else _end_of_domain(domain, largest)
        if (
            isinstance(domain, Choice)
            and path not in chosen
            and not _numeric_options(domain)
            and len(domain.labels) > 1
        ):
            undecided.append((path, domain))
        return point[path]

    sweep.suggest_configuration(suggest)
    return point, undecided


def _end_of_domain(domain: Domain, largest: bool) -> Scalar:
    """Return the smallest or the largest number of a domain, or the first option of a choice without numbers."""
    if isinstance(domain, (Float, Int)):
        return domain.high if largest else domain.low
    if not isinstance(domain, Choice):
        raise TypeError(f"{domain!r} has no smallest and no largest value")
    numbers = _numeric_options(domain)
    return (max(numbers) if largest else min(numbers)) if numbers else next(iter(domain.labels))


def _numeric_options(choice: Choice) -> list[float]:
    """Return the options where all of them are numbers, and otherwise none."""
    numbers = [option for option in choice.options if isinstance(option, (int, float)) and not isinstance(option, bool)]
    return numbers if len(numbers) == len(choice.options) else []

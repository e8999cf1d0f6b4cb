"""Trials grouped by the value of one parameter, and which parameters deserve a picture of that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchlab.reporting.figures.trials import TrialCurve, folds_at_best, valued
from searchlab.reporting.style import Numbers

MOST_VALUES = 12  # more boxes than these are not read; a parameter with more values is cut into ranges
RANGES = 5
ENOUGH = 4  # complete trials before a number deserves a picture of its own
ABSENT = object()


@dataclass(frozen=True)
class Group:
    """The trials with one value: the scores of every fold of the complete ones, and how many failed."""

    label: str
    points: Numbers
    complete: int
    failed: int


@dataclass(frozen=True)
class Grouping:
    """The groups in the order they are shown, and the trials left out: without the parameter, and pruned."""

    groups: list[Group]
    lacking: int
    pruned: int


def by_value(trials: Iterable[TrialCurve], parameter: str, goal: str) -> Grouping:
    """Group the trials that ended by the value of this parameter: a path, or the last word of several paths."""
    ended = [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED", "FAIL")]
    having = [trial for trial in ended if value_of(trial, parameter) is not ABSENT]
    shown = [trial for trial in having if trial.state != "PRUNED"]
    places = bundles([value_of(trial, parameter) for trial in shown])
    groups = [_group(label, [shown[place] for place in members], goal) for label, members in places.items()]
    return Grouping(groups, len(ended) - len(having), len(having) - len(shown))


def value_of(trial: TrialCurve, parameter: str) -> Any:
    """What the trial has under this path, or else under the first path that ends in it; ABSENT if under none."""
    if parameter in trial.parameters:
        return trial.parameters[parameter]
    ends = (value for path, value in trial.parameters.items() if path.endswith(f".{parameter}"))
    return next(ends, ABSENT)


def bundles(values: Sequence[Any]) -> dict[str, list[int]]:
    """The places of equal values under their label: numbers by size, many of them as ranges; words as they come."""
    numbers = {place: float(value) for place, value in enumerate(values) if _is_number(value)}
    found = _ranges(numbers) if len(set(numbers.values())) > MOST_VALUES else _each(numbers)
    for place, value in enumerate(values):
        if place not in numbers:
            found.setdefault(str(value), []).append(place)
    return found


def worth_boxes(trials: Iterable[TrialCurve], most: int = 6) -> list[str]:
    """The parameters whose values deserve boxes, the one whose groups' means differ most first.

    A word may take 2 to 12 values; a number too, over 4 trials or more, if its values come back in further trials
    or nothing else varies: what never comes back was drawn from a range, and its values are no groups.
    """
    finite = dict(valued(trials, "COMPLETE"))
    complete = [trial for trial in trials if trial.number in finite and trial.state == "COMPLETE"]
    told = {name: _told(complete, name) for name in _names(complete)}  # name: values and scores of those who have it
    varying = {name: pair for name, pair in told.items() if len(set(map(str, pair[0]))) > 1}
    worth = {name: pair for name, pair in varying.items() if _has_groups(pair[0], alone=len(varying) == 1)}
    return sorted(worth, key=lambda name: -_spread(*worth[name]))[:most]


def _group(label: str, trials: Sequence[TrialCurve], goal: str) -> Group:
    points = [_points(trial, goal) for trial in trials if trial.state == "COMPLETE"]
    points = [row for row in points if len(row)]
    together = np.concatenate(points) if points else np.empty(0)
    return Group(label, together, len(points), sum(trial.state == "FAIL" for trial in trials))


def _points(trial: TrialCurve, goal: str) -> Numbers:
    """The folds of a trial, or its value where they are not known."""
    folds = folds_at_best(trial, goal) if trial.curve else np.empty(0)
    value = np.array([math.nan if trial.value is None else trial.value])
    return folds if len(folds) else value[np.isfinite(value)]


def _each(numbers: Mapping[int, float]) -> dict[str, list[int]]:
    """In as few digits, from four on, as tell all of them apart."""
    values = sorted(set(numbers.values()))
    digits = next((few for few in range(4, 17) if len({_brief(value, few) for value in values}) == len(values)), 17)
    return {_brief(value, digits): [place for place in numbers if numbers[place] == value] for value in values}


def _ranges(numbers: Mapping[int, float]) -> dict[str, list[int]]:
    """As many values in each range, as far as equal ones allow; a range is named by the values that lie in it."""
    places, values = np.array(list(numbers)), np.array(list(numbers.values()))
    cuts = np.quantile(values, np.arange(1, RANGES) / RANGES)
    ranges, found = np.searchsorted(cuts, values, side="right"), dict[str, list[int]]()
    for number in np.unique(ranges):
        inside = values[ranges == number]
        name = f"{_brief(float(inside.min()))} – {_brief(float(inside.max()))}"  # noqa: RUF001, a dash between numbers is no hyphen
        found.setdefault(name, []).extend(places[ranges == number].tolist())
    return found


def _brief(value: float, digits: int = 3) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"


def _names(trials: Iterable[TrialCurve]) -> list[str]:
    """Every path once; those of one last word under it alone, unless a trial has two of them at a time."""
    paths: dict[str, set[str]] = {}
    together: set[str] = set()
    for trial in trials:
        words = [path.split(".")[-1] for path in trial.parameters]
        together |= {word for word in words if words.count(word) > 1}
        for path, word in zip(trial.parameters, words, strict=True):
            paths.setdefault(word, set()).add(path)
    pooled = {word for word, found in paths.items() if len(found) > 1 and word not in together}
    return [name for word, found in paths.items() for name in ([word] if word in pooled else sorted(found))]


def _told(trials: Iterable[TrialCurve], parameter: str) -> tuple[list[Any], list[float]]:
    pairs = [(value_of(trial, parameter), trial.value or 0.0) for trial in trials]
    return [value for value, _ in pairs if value is not ABSENT], [
        score for value, score in pairs if value is not ABSENT
    ]


def _has_groups(values: Sequence[Any], *, alone: bool) -> bool:
    distinct = len(set(map(str, values)))
    if not 2 <= distinct <= MOST_VALUES:
        return False
    return not all(map(_is_number, values)) or (len(values) >= ENOUGH and (alone or 2 * distinct <= len(values)))


def _spread(values: Sequence[Any], scores: Sequence[float]) -> float:
    means = [np.mean([scores[place] for place in places]) for places in bundles(values).values()]
    return float(max(means) - min(means))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

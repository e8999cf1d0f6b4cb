"""Trials grouped by the value of one parameter, and the choice of the parameters whose groups deserve a figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchlab.reporting.figures.plotted_trial import EqualEpochs, PlottedTrial, at_equal_epochs
from searchlab.reporting.formats import parameter_name
from searchlab.reporting.style import FloatArray

MAX_VALUES = 12  # boxes in one figure; a numeric parameter with more values is divided into ranges
RANGES = 5
MIN_TRIALS = 4  # with a score, that a numeric parameter needs for a figure of its own
ABSENT = object()


@dataclass(frozen=True)
class ParameterGroup:
    """The trials with one value of a parameter.

    Attributes:
        label: The value, or the range of values.
        complete_scores: The score of every fold of the complete trials.
        pruned_scores: The same of the pruned trials.
        complete: Number of complete trials.
        pruned: Number of pruned trials.
        failed: Number of failed trials.
    """

    label: str
    complete_scores: FloatArray
    pruned_scores: FloatArray
    complete: int
    pruned: int
    failed: int

    @property
    def scores(self) -> FloatArray:
        """The score of every fold of the complete and the pruned trials."""
        joined: FloatArray = np.concatenate([self.complete_scores, self.pruned_scores])
        return joined


@dataclass(frozen=True)
class ParameterGroups:
    """The groups in the order in which they are shown, how many trials are in none of them, and how all are judged."""

    groups: list[ParameterGroup]
    without_parameter: int
    judged: EqualEpochs


def group_by_value(trials: Iterable[PlottedTrial], parameter: str, goal: str) -> ParameterGroups:
    """Group the trials that have ended by the value of a parameter, given as a path or the last part of paths.

    Complete and pruned trials are judged at equal epochs: a box of the complete ones alone would show only those that
    were good enough not to be pruned, and a box of final scores would make a pruned trial seem worse than it was.
    """
    ended = [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED", "FAIL")]
    having = [trial for trial in ended if parameter_value_of(trial, parameter) is not ABSENT]
    rows = rows_by_label([parameter_value_of(trial, parameter) for trial in having])
    judged = at_equal_epochs(ended, goal)
    groups = [_group(label, [having[row] for row in members], judged) for label, members in rows.items()]
    return ParameterGroups(groups, len(ended) - len(having), judged)


def parameter_value_of(trial: PlottedTrial, parameter: str) -> Any:
    """Return the trial's value under this path, else under the first path that ends in it, else ABSENT."""
    if parameter in trial.parameters:
        return trial.parameters[parameter]
    return next((value for path, value in trial.parameters.items() if path.endswith(f".{parameter}")), ABSENT)


def rows_by_label(values: Sequence[Any]) -> dict[str, list[int]]:
    """Return the rows of equal values under their label: numbers sorted, many numbers as ranges, then all others."""
    numbers = {row: float(value) for row, value in enumerate(values) if _is_number(value)}
    found = _rows_by_range(numbers) if len(set(numbers.values())) > MAX_VALUES else _rows_by_number(numbers)
    for row, value in enumerate(values):
        if row not in numbers:
            found.setdefault(str(value), []).append(row)
    return found


def parameters_to_plot(trials: Sequence[PlottedTrial], goal: str, limit: int = 6) -> list[str]:
    """Return the parameters that deserve a box plot, the one whose group means differ most first.

    A parameter that is not numeric needs 2 to 12 values. So does a numeric one, in at least 4 trials, where its values
    recur in several trials or where no other parameter varies: values that never recur were sampled from a range, and
    form no groups.
    """
    judged = at_equal_epochs(trials, goal)
    scored = [trial for trial in trials if trial.number in judged.folds]
    columns = {name: _values_and_scores(scored, name, judged) for name in _pooled_names(scored)}
    varying = {name: column for name, column in columns.items() if len(set(map(str, column[0]))) > 1}
    chosen = [name for name, (values, _) in varying.items() if _forms_groups(values, alone=len(varying) == 1)]
    return sorted(chosen, key=lambda name: -_range_of_means(*varying[name]))[:limit]


def _group(label: str, trials: Sequence[PlottedTrial], judged: EqualEpochs) -> ParameterGroup:
    rows: dict[str, list[FloatArray]] = {"COMPLETE": [], "PRUNED": []}
    for trial in trials:
        if trial.number in judged.folds:
            rows[trial.state].append(judged.folds[trial.number])
    complete, pruned = (np.concatenate(found) if found else np.empty(0) for found in rows.values())
    failed = sum(trial.state == "FAIL" for trial in trials)
    return ParameterGroup(label, complete, pruned, len(rows["COMPLETE"]), len(rows["PRUNED"]), failed)


def _rows_by_number(numbers: Mapping[int, float]) -> dict[str, list[int]]:
    """Label each number with as few digits, but at least four, as distinguish it from all others."""
    values = sorted(set(numbers.values()))
    digits = next((n for n in range(4, 17) if len({_brief(value, n) for value in values}) == len(values)), 17)
    return {_brief(value, digits): [row for row in numbers if numbers[row] == value] for value in values}


def _rows_by_range(numbers: Mapping[int, float]) -> dict[str, list[int]]:
    """Divide the numbers into ranges with about equally many each; a label gives the lowest and the highest of them."""
    rows, values = np.array(list(numbers)), np.array(list(numbers.values()))
    limits = np.quantile(values, np.arange(1, RANGES) / RANGES)
    ranges, found = np.searchsorted(limits, values, side="right"), dict[str, list[int]]()
    for number in np.unique(ranges):
        inside = values[ranges == number]
        label = f"{_brief(float(inside.min()))} – {_brief(float(inside.max()))}"  # noqa: RUF001, an en dash for a range
        found.setdefault(label, []).extend(rows[ranges == number].tolist())
    return found


def _brief(value: float, digits: int = 3) -> str:
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"


def _pooled_names(trials: Iterable[PlottedTrial]) -> list[str]:
    """Return every path once; paths with the same last part become that part, unless one trial has two of them."""
    paths: dict[str, set[str]] = {}
    repeated: set[str] = set()
    for trial in trials:
        names = [parameter_name(path) for path in trial.parameters]
        repeated |= {name for name in names if names.count(name) > 1}
        for path, name in zip(trial.parameters, names, strict=True):
            paths.setdefault(name, set()).add(path)
    pooled = {name for name, found in paths.items() if len(found) > 1 and name not in repeated}
    return [label for name, found in paths.items() for label in ([name] if name in pooled else sorted(found))]


def _values_and_scores(
    trials: Iterable[PlottedTrial], parameter: str, judged: EqualEpochs
) -> tuple[list[Any], list[float]]:
    """Return the parameter's values and the scores of the trials that have the parameter."""
    pairs = [(parameter_value_of(trial, parameter), judged.mean(trial.number)) for trial in trials]
    pairs = [pair for pair in pairs if pair[0] is not ABSENT]
    return [value for value, _ in pairs], [score for _, score in pairs]


def _forms_groups(values: Sequence[Any], *, alone: bool) -> bool:
    distinct = len(set(map(str, values)))
    if not 2 <= distinct <= MAX_VALUES:
        return False
    return not all(map(_is_number, values)) or (len(values) >= MIN_TRIALS and (alone or 2 * distinct <= len(values)))


def _range_of_means(values: Sequence[Any], scores: Sequence[float]) -> float:
    means = [np.mean([scores[row] for row in rows]) for rows in rows_by_label(values).values()]
    return float(max(means) - min(means))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

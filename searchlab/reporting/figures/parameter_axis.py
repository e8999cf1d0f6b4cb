"""Where the values of a parameter lie on an axis: on the scale of its domain, or side by side where it has options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from searchlab.numeric_types import is_number
from searchlab.reporting.figures.plotted_trial import PlottedTrial
from searchlab.reporting.formats import parameter_value
from searchlab.reporting.style import FloatArray
from searchlab.space.domains import Choice, Float, Int

MAX_OPTIONS = 12  # numbers without a known domain are options where there are no more different ones
MAX_LABEL_LETTERS = 12
MARGIN = 0.05  # of the range, left and right of it


@dataclass(frozen=True)
class ParameterAxis:
    """The axis of one parameter.

    Attributes:
        path: Path of the parameter.
        options: Labels of its options in their order; empty for a range of numbers.
        low: Lower end of the range.
        high: Upper end.
        log: Whether the range has a logarithmic scale.
        is_whole: Whether its values are whole numbers.
    """

    path: str
    options: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    is_whole: bool = False

    def position(self, value: Any) -> float:
        """Return where a value lies: a number itself, an option at 0, 1, 2, ...; NaN for what is not on the axis."""
        if self.options:
            label = parameter_value(value)
            return float(self.options.index(label)) if label in self.options else math.nan
        return float(value) if is_number(value) and math.isfinite(value) else math.nan

    def fraction(self, value: Any) -> float:
        """Return where a value lies between the ends of the axis, from 0 to 1."""
        place = self.position(value)
        if self.options:
            return place / (len(self.options) - 1) if len(self.options) > 1 else 0.5
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        return ((math.log(place) if self.log else place) - low) / ((high - low) or 1.0)

    def bins(self, most: int = 6) -> tuple[list[str], FloatArray]:
        """Return the labels of at most `most` equal ranges and their limits (bins + 1,); one range per option."""
        if self.options:
            return list(self.options), np.arange(len(self.options) + 1, dtype=np.float64) - 0.5
        space = np.geomspace if self.log else np.linspace
        limits: FloatArray = np.array(space(self.low, self.high, most + 1), dtype=np.float64)
        texts = [f"{limit:.2g}" for limit in limits.tolist()]
        limits[0], limits[-1] = -math.inf, math.inf  # the ends themselves, whatever their rounding
        return [f"{a} – {b}" for a, b in pairwise(texts)], limits  # noqa: RUF001, ranges

    def apply_to_x(self, axes: Axes) -> None:
        """Set scale, limits and ticks of the x axis."""
        if self.options:
            shown = [label if len(label) <= MAX_LABEL_LETTERS else f"{label[:11]}…" for label in self.options]
            axes.set_xticks(range(len(shown)), shown)
            axes.set_xlim(-0.5, len(shown) - 0.5)
        elif self.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=6))
            axes.xaxis.set_minor_locator(NullLocator())
            ratio = (self.high / self.low) ** MARGIN
            axes.set_xlim(self.low / ratio, self.high * ratio)
        else:
            reach = MARGIN * (self.high - self.low)
            axes.set_xlim(self.low - reach, self.high + reach)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=self.is_whole))


def parameter_axis(trials: Sequence[PlottedTrial], path: str) -> ParameterAxis:
    """Return the axis of the parameter with this path, which at least one of the trials has."""
    having = [trial for trial in trials if path in trial.parameters]
    domain = next((trial.domains[path] for trial in having if path in trial.domains), None)
    if isinstance(domain, (Float, Int)):
        return ParameterAxis(path, (), domain.low, domain.high, domain.log, is_whole=isinstance(domain, Int))
    values = [trial.parameters[path] for trial in having]
    if isinstance(domain, Choice):
        return ParameterAxis(path, tuple(parameter_value(label) for label in domain.labels))
    if all(map(is_number, values)) and len(set(values)) > MAX_OPTIONS:
        numbers = [float(value) for value in values]
        return ParameterAxis(path, (), min(numbers), max(numbers))
    numbers_first = sorted(set(values), key=lambda value: (not is_number(value), value if is_number(value) else 0))
    return ParameterAxis(path, tuple(dict.fromkeys(map(parameter_value, numbers_first))))


def varying_paths(trials: Sequence[PlottedTrial], first: Sequence[str] = ()) -> list[str]:
    """Return the paths of the parameters whose values differ: those of `first` in its order, then the others."""
    values: dict[str, set[str]] = {}
    for trial in trials:
        for path, value in trial.parameters.items():
            values.setdefault(path, set()).add(str(value))
    varying = [path for path, found in values.items() if len(found) > 1]
    return [path for path in first if path in varying] + [path for path in varying if path not in first]


def axis_names(paths: Sequence[str]) -> dict[str, str]:
    """Return a short name of each path: its last part, with the part before it where several end alike."""
    last = [path.rpartition(".")[2] for path in paths]
    two = [".".join(path.split(".")[-2:]) for path in paths]
    return {path: a if last.count(a) == 1 else b for path, a, b in zip(paths, last, two, strict=True)}

"""Several metrics: what each trial gives for what it costs, and the trials that no other beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.trials import TrialCurve
from searchlab.reporting.style import COLORS, INK, Numbers, canvas, empty, legend, limit, spread_of, subtitle

DECADE = 8.0  # times the smallest value: beyond it an axis of positive values is logarithmic
NAMED = 8  # trials of the front that have their number beside them

Flags: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"


def pareto_front(trials: Sequence[TrialCurve], goals: Mapping[str, str]) -> Figure:
    """Every complete trial in the plane of the first two metrics, the better direction of each told on its axis.

    Those that no other beats in both are marked and joined by steps: what lies on the steps' worse side is beaten.
    The first metric goes up, the second across.
    """
    (metric, goal), (other, other_goal) = list(goals.items())[:2]
    figure, axes = canvas(
        "Pareto front",
        _axis(other, other_goal, "←", "→"),
        _axis(metric, goal, "↓", "↑"),
        subtitle_lines=2 if len(goals) > 2 else 1,
    )
    complete = _points(trials)
    if not complete:
        return empty(figure, axes)
    places = np.array([place for _, place in complete])  # (N, 2): across and up
    on_front = undominated(places, [other_goal, goal])
    if not on_front.all():
        across, up = places[~on_front].T
        axes.scatter(across, up, color=COLORS[0], edgecolor="white", linewidth=0.5, s=36, label="complete", zorder=3)
    front = [pair for pair, on in zip(complete, on_front, strict=True) if on]
    _draw_front(axes, sorted(front, key=lambda pair: (pair[1], pair[0])), other_goal)
    _limit(axes, places, on_front, (other_goal, goal))
    subtitle(axes, _told(len(front), len(complete), len(goals)))
    legend(axes)
    return figure


def undominated(places: Numbers, goals: Sequence[str]) -> Flags:
    """Which of the points (N, M) no other beats in one metric without losing in another: (N,)."""
    values = places * np.where([goal == "max" for goal in goals], 1.0, -1.0)  # larger is better
    beaten = [((values >= own).all(axis=1) & (values > own).any(axis=1)).any() for own in values]
    return ~np.array(beaten, dtype=bool)


def _points(trials: Sequence[TrialCurve]) -> list[tuple[int, tuple[float, float]]]:
    """Number and place, the second metric across and the first up, of the complete trials that have both."""
    found = [(trial.number, trial.values) for trial in trials if trial.state == "COMPLETE" and len(trial.values) > 1]
    return [(n, (values[1], values[0])) for n, values in found if math.isfinite(values[0]) and math.isfinite(values[1])]


def _draw_front(axes: Axes, front: Sequence[tuple[int, tuple[float, float]]], across_goal: str) -> None:
    """The front from left to right. A step keeps what the better side of the first metric has reached."""
    across, up = np.array([place for _, place in front]).T
    axes.step(across, up, where="post" if across_goal == "min" else "pre", color=COLORS[1], linewidth=1.8, zorder=2)
    axes.scatter(across, up, color=COLORS[1], edgecolor="white", linewidth=0.5, s=52, label="on the front", zorder=4)
    if len(front) <= NAMED:
        for place, there in groupby(front, key=lambda pair: pair[1]):
            numbers = ", ".join(str(number) for number, _ in there)
            axes.annotate(numbers, place, (5, 5), textcoords="offset points", fontsize=9, color=INK, zorder=5)


def _axis(name: str, goal: str, less: str, more: str) -> str:
    return f"{name} ({more if goal == 'max' else less} better)"


def _told(front: int, complete: int, metrics: int) -> str:
    told = f"{front} of {complete} complete trials are on it: no other is better in one metric and as good in the other"
    return f"{told}\nin the first two of {metrics} metrics" if metrics > 2 else told


def _limit(axes: Axes, places: Numbers, on_front: Flags, goals: tuple[str, str]) -> None:
    """Show all values across, and upwards the front and what differs; what is to be small, maybe on a log scale."""
    across, up = places.T
    shown = np.array([*spread_of(up, goals[1]), *up[on_front]])  # the least network may be far worse, and is on it
    limit(axes, shown, log=_wide(shown, goals[1]))
    low, high = float(across.min()), float(across.max())
    if _wide(across, goals[0]):
        axes.set_xscale("log")
        axes.set_xlim(low * (low / high) ** 0.06, high * (high / low) ** 0.06)
    else:
        margin = 0.06 * (high - low) or max(abs(high) * 0.02, 1e-6)
        axes.set_xlim(low - margin, high + margin)


def _wide(values: Numbers, goal: str) -> bool:
    """Whether values that are the better the smaller span so much that only a log scale shows them all."""
    return goal == "min" and float(values.min()) > 0 and float(values.max()) > DECADE * float(values.min())

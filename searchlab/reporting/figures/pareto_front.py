"""The Pareto front of a search with several metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.plotted_trial import PlottedTrial
from searchlab.reporting.style import (
    COLORS,
    TEXT_COLOR,
    FloatArray,
    add_legend,
    add_subtitle,
    new_figure,
    score_range,
    set_y_limits,
    show_message,
)

LOG_RATIO = 8.0  # an axis of positive values is logarithmic where the largest is more than this times the smallest
MAX_NUMBERED_TRIALS = 8  # on the front; with more, the points have no trial number beside them

BoolArray: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"
NumberedPoint: TypeAlias = tuple[int, tuple[float, float]]  # a trial's number, and its second and first metric (x, y)


def plot_pareto_front(trials: Sequence[PlottedTrial], goals: Mapping[str, str]) -> Figure:
    """Plot the complete trials by their first metric (y axis) and second metric (x axis), and their Pareto front.

    `goals` maps the metrics to "max" or "min". Steps join the trials on the front; any point on the worse side of
    the steps is dominated.
    """
    (metric, goal), (other, other_goal) = list(goals.items())[:2]
    figure, axes = new_figure(
        "Pareto front",
        _axis_label(other, other_goal, "←", "→"),
        _axis_label(metric, goal, "↓", "↑"),
        subtitle_lines=2 if len(goals) > 2 else 1,
    )
    complete = _points(trials)
    if not complete:
        return show_message(figure, axes)
    points = np.array([point for _, point in complete])  # (N, 2)
    on_front = non_dominated(points, [other_goal, goal])
    if not on_front.all():
        x, y = points[~on_front].T
        axes.scatter(x, y, color=COLORS[0], edgecolor="white", linewidth=0.5, s=36, label="complete", zorder=3)
    front = [pair for pair, on in zip(complete, on_front, strict=True) if on]
    _draw_front(axes, sorted(front, key=lambda pair: (pair[1], pair[0])), other_goal)
    _set_limits(axes, points, on_front, (other_goal, goal))
    add_subtitle(axes, _subtitle(len(front), len(complete), len(goals)))
    add_legend(axes)
    return figure


def non_dominated(points: FloatArray, goals: Sequence[str]) -> BoolArray:
    """Return which of the points (N, M) are on the Pareto front: (N,).

    A point is dominated if another one is at least as good in every metric and better in one.
    """
    values = points * np.where([goal == "max" for goal in goals], 1.0, -1.0)  # larger is better
    dominated = [((values >= own).all(axis=1) & (values > own).any(axis=1)).any() for own in values]
    return ~np.array(dominated, dtype=bool)


def _points(trials: Sequence[PlottedTrial]) -> list[NumberedPoint]:
    """Return number and point (second metric, first metric) of the complete trials that have both."""
    found = [(trial.number, trial.values) for trial in trials if trial.state == "COMPLETE" and len(trial.values) > 1]
    return [(n, (values[1], values[0])) for n, values in found if math.isfinite(values[0]) and math.isfinite(values[1])]


def _draw_front(axes: Axes, front: Sequence[NumberedPoint], x_goal: str) -> None:
    """Draw the front from left to right, as steps that keep the first metric's value towards worse second values."""
    x, y = np.array([point for _, point in front]).T
    axes.step(x, y, where="post" if x_goal == "min" else "pre", color=COLORS[1], linewidth=1.8, zorder=2)
    axes.scatter(x, y, color=COLORS[1], edgecolor="white", linewidth=0.5, s=52, label="Pareto front", zorder=4)
    if len(front) <= MAX_NUMBERED_TRIALS:
        for point, trials in groupby(front, key=lambda pair: pair[1]):
            numbers = ", ".join(str(number) for number, _ in trials)
            axes.annotate(numbers, point, (5, 5), textcoords="offset points", fontsize=9, color=TEXT_COLOR, zorder=5)


def _axis_label(name: str, goal: str, less: str, more: str) -> str:
    return f"{name} ({more if goal == 'max' else less} better)"


def _subtitle(front: int, complete: int, metrics: int) -> str:
    text = f"{front} of {complete} complete trials are on the front: no other trial dominates them"
    return f"{text}\nin the first two of {metrics} metrics" if metrics > 2 else text


def _set_limits(axes: Axes, points: FloatArray, on_front: BoolArray, goals: tuple[str, str]) -> None:
    """Show every value along x, and along y the front and the typical values; use a log scale where it is needed."""
    x, y = points.T
    shown = np.array([*score_range(y, goals[1]), *y[on_front]])  # the smallest network may be on the front, far below
    set_y_limits(axes, shown, log=_needs_log(shown, goals[1]))
    low, high = float(x.min()), float(x.max())
    if _needs_log(x, goals[0]):
        axes.set_xscale("log")
        axes.set_xlim(low * (low / high) ** 0.06, high * (high / low) ** 0.06)
    else:
        margin = 0.06 * (high - low) or max(abs(high) * 0.02, 1e-6)
        axes.set_xlim(low - margin, high + margin)


def _needs_log(values: FloatArray, goal: str) -> bool:
    """Return whether values to be minimized are spread so widely that only a log scale shows them all."""
    return goal == "min" and float(values.min()) > 0 and float(values.max()) > LOG_RATIO * float(values.min())

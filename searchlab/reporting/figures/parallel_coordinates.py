"""The parameters of all trials, each trial a line across one axis per parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from searchlab.reporting.figures.parameter_axis import ParameterAxis, axis_names, parameter_axis, varying_paths
from searchlab.reporting.figures.plotted_trial import PlottedTrial, at_equal_epochs, best_first
from searchlab.reporting.formats import parameter_value, score
from searchlab.reporting.style import (
    COLORS,
    MUTED_LINE_COLOR,
    MUTED_TEXT_COLOR,
    TEXT_COLOR,
    FloatArray,
    add_legend,
    add_subtitle,
    new_figure,
    show_message,
)

MAX_AXES = 9  # besides that of the score
MAX_LINES = 600  # the latest trials; more lines are a gray area
BEST = 5  # lines in color
ABSENT = -0.12  # where the line of a trial without the parameter passes, below the axis
TITLE = "Parameters of the trials"


def plot_parallel_coordinates(
    trials: Sequence[PlottedTrial], metric: str, goal: str, first: Sequence[str] = ()
) -> Figure:
    """Plot each trial as a line that crosses the axis of each parameter at its value, and that of the score last.

    The best trials have colors. The scores are those at equal epochs. `first` are the paths of the parameters to show
    first, such as the most important ones.
    """
    judged = at_equal_epochs(trials, goal)
    scored = [trial for trial in trials if trial.number in judged.folds]
    paths = varying_paths(scored, first)[:MAX_AXES]
    if not paths:
        return show_message(*new_figure(TITLE, "", ""), "no parameter varies" if scored else "no trial has a score yet")
    axes_of = [parameter_axis(scored, path) for path in paths]
    scores = {trial.number: judged.mean(trial.number) for trial in scored}
    low, high = min(scores.values()), max(scores.values())
    figure, axes = new_figure(TITLE, "", "", size=(10.0, 4.8))
    chosen = best_first(scored, goal)[:BEST]
    numbers = {trial.number for trial in chosen}
    lines = [
        _line(trial, axes_of, (scores[trial.number] - low) / ((high - low) or 1.0))
        for trial in scored[-MAX_LINES:]
        if trial.number not in numbers
    ]
    axes.add_collection(LineCollection(lines, colors=MUTED_LINE_COLOR, linewidths=0.7, alpha=0.45))
    for rank, trial in enumerate(chosen):
        x, y = _line(trial, axes_of, (scores[trial.number] - low) / ((high - low) or 1.0)).T
        label = f"{score(trial.value)}  trial {trial.number}"
        axes.plot(x, y, color=COLORS[rank % len(COLORS)], linewidth=1.8, zorder=10 - rank, label=label)
    for place, axis in enumerate(axes_of):
        _draw_axis(axes, place, axis)
    _draw_ends(axes, len(axes_of), score(low), score(high))
    names = axis_names(paths)
    axes.set_xticks(
        range(len(paths) + 1), [*(names[path] for path in paths), f"{metric}{judged.words}"], rotation=20, ha="right"
    )
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.4, len(paths) + 0.4)
    lacks_parameter = any(path not in trial.parameters for trial in scored for path in paths)
    axes.set_ylim((ABSENT if lacks_parameter else 0.0) - 0.06, 1.06)
    absent = "; below an axis: trials without the parameter" if lacks_parameter else ""
    add_subtitle(axes, f"a line per trial, in color the best {len(chosen)}{absent}")
    add_legend(axes, f"best {metric}")
    return figure


def _line(trial: PlottedTrial, axes_of: Sequence[ParameterAxis], score_place: float) -> FloatArray:
    """Return the points (parameters + 1, 2) of a trial's line."""
    places = [
        axis.fraction(trial.parameters[axis.path]) if axis.path in trial.parameters else math.nan for axis in axes_of
    ]
    heights = [ABSENT if math.isnan(place) else place for place in places]
    points: FloatArray = np.column_stack([np.arange(len(heights) + 1), [*heights, score_place]])
    return points


def _draw_axis(axes: Axes, place: int, axis: ParameterAxis) -> None:
    """Draw the axis of a parameter with the labels of its options or of its ends."""
    if not axis.options:
        _draw_ends(axes, place, parameter_value(axis.low), parameter_value(axis.high) + (" (log)" if axis.log else ""))
        return
    _draw_line(axes, place)
    last = max(len(axis.options) - 1, 1)
    for number, label in enumerate(axis.options):
        height = number / last if len(axis.options) > 1 else 0.5
        _write(axes, place, height, label if len(label) < 14 else f"{label[:12]}…")


def _draw_ends(axes: Axes, place: int, low: str, high: str) -> None:
    _draw_line(axes, place)
    _write(axes, place, 0.0, low)
    _write(axes, place, 1.0, high)


def _draw_line(axes: Axes, place: int) -> None:
    axes.plot([place, place], [0.0, 1.0], color=TEXT_COLOR, linewidth=1.0, zorder=11)


def _write(axes: Axes, place: int, height: float, text: str) -> None:
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    style: dict[str, Any] = {"fontsize": 8.5, "color": MUTED_TEXT_COLOR, "va": "center", "zorder": 12, "bbox": box}
    axes.annotate(text, (place, height), (4, 0), textcoords="offset points", **style)

"""The score of each trial against the value of each continuous parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.parameter_axis import ParameterAxis, axis_names, parameter_axis, varying_paths
from searchlab.reporting.figures.plotted_trial import PlottedTrial, finite_values
from searchlab.reporting.style import (
    COLORS,
    TEXT_COLOR,
    add_legend,
    new_figure,
    new_panels,
    scatter_clipped,
    score_range,
    set_y_limits,
    show_message,
)

MAX_PANELS = 9
COLUMNS = 3
TITLE = "Scores by continuous parameters"


def plot_parameter_scatter(trials: Sequence[PlottedTrial], metric: str, goal: str, first: Sequence[str] = ()) -> Figure:
    """Plot the score of each trial against each continuous parameter, on the scale of the parameter's domain.

    Complete trials are filled, and pruned ones, at the best score that they reached, are hollow; failed ones are
    crosses at the bottom. `first` are the paths of the parameters to show first, such as the most important ones.
    """
    shown = continuous_axes(trials, first)[:MAX_PANELS]
    complete, pruned = finite_values(trials, "COMPLETE"), finite_values(trials, "PRUNED")
    if not shown or not complete + pruned:
        text = "no continuous parameter varies" if complete + pruned else "no trial has a score yet"
        return show_message(*new_figure(TITLE, "", metric), text)
    low, high = score_range(np.array([value for _, value in complete + pruned]), goal)
    clipped = any(not low <= value <= high for _, value in complete + pruned)
    text = "best mean over folds of each trial; a pruned one had fewer epochs"
    figure, panels = new_panels(
        TITLE, text + ("; triangles: outside the scale" if clipped else ""), len(shown), COLUMNS
    )
    names = axis_names([axis.path for axis in shown])
    for place, (panel, axis) in enumerate(zip(panels, shown, strict=True)):
        _draw_panel(panel, axis, trials, low, high)
        panel.set_xlabel(names[axis.path] + (" (log)" if axis.log else ""), fontsize=10, color=TEXT_COLOR)
        if place % COLUMNS == 0:
            panel.set_ylabel(metric, fontsize=10, color=TEXT_COLOR)
        else:
            panel.tick_params(labelleft=False)
    add_legend(panels[min(COLUMNS, len(panels)) - 1])
    return figure


def continuous_axes(trials: Sequence[PlottedTrial], first: Sequence[str] = ()) -> list[ParameterAxis]:
    """Return the axes of the parameters that are ranges of numbers and vary, those of `first` first."""
    axes = [parameter_axis(trials, path) for path in varying_paths(trials, first)]
    return [axis for axis in axes if not axis.options]


def _draw_panel(panel: Axes, axis: ParameterAxis, trials: Sequence[PlottedTrial], low: float, high: float) -> None:
    places = {trial.number: axis.position(trial.parameters.get(axis.path)) for trial in trials}

    def points(state: str) -> list[tuple[float, float]]:
        found = finite_values(trials, state)
        return [(places[number], value) for number, value in found if not math.isnan(places[number])]

    axis.apply_to_x(panel)
    set_y_limits(panel, np.array([low, high]))
    hollow = {"facecolor": "none", "edgecolor": COLORS[0], "linewidth": 0.9}
    scatter_clipped(panel, points("PRUNED"), low, high, label="pruned", s=18, **hollow)
    filled = {"facecolor": COLORS[0], "edgecolor": "white", "linewidth": 0.5}
    scatter_clipped(panel, points("COMPLETE"), low, high, label="complete", s=28, **filled)
    failed = [places[t.number] for t in trials if t.state == "FAIL" and not math.isnan(places[t.number])]
    if failed:
        style: dict[str, Any] = {"color": COLORS[1], "markersize": 6, "clip_on": False, "zorder": 5}
        panel.plot(failed, [0.0] * len(failed), "x", transform=panel.get_xaxis_transform(), label="failed", **style)

"""The score of every trial in the order of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from searchlab.reporting.figures.plotted_trial import PlottedTrial, finite_values
from searchlab.reporting.style import (
    COLORS,
    MUTED_LINE_COLOR,
    TEXT_COLOR,
    add_legend,
    add_subtitle,
    new_figure,
    scatter_clipped,
    score_range,
    set_y_limits,
    show_message,
    use_integer_ticks,
)

FAILED: dict[str, Any] = {"label": "failed", "clip_on": False, "zorder": 5, "markersize": 7, "markeredgewidth": 1.6}
PRUNED: dict[str, Any] = {"label": "pruned", "facecolor": "white", "edgecolor": MUTED_LINE_COLOR, "s": 26}
COMPLETE: dict[str, Any] = {
    "label": "complete", "facecolor": COLORS[0], "edgecolor": "white", "linewidth": 0.5, "s": 36,
}  # fmt: skip


def plot_optimization_history(trials: Sequence[PlottedTrial], metric: str, goal: str) -> Figure:
    """Plot the value of every trial that has ended against its number, and the best value so far."""
    figure, axes = new_figure("Optimization history", "trial", metric)
    complete, pruned = finite_values(trials, "COMPLETE"), finite_values(trials, "PRUNED")
    failed = [trial.number for trial in trials if trial.state == "FAIL"]
    if not complete and not pruned and not failed:
        return show_message(figure, axes)
    values = np.array([value for _, value in complete or pruned], dtype=np.float64)
    low, high = score_range(values, goal)
    set_y_limits(axes, np.array([low, high]))
    scatter_clipped(axes, pruned, low, high, **PRUNED)
    scatter_clipped(axes, complete, low, high, **COMPLETE)
    if complete:
        best = (np.maximum if goal == "max" else np.minimum).accumulate(values)
        numbers = [*(number for number, _ in complete), max(trial.number for trial in trials)]
        axes.step(numbers, [*best, best[-1]], where="post", color=COLORS[1], linewidth=1.8, label="best so far")
    if failed:
        axes.plot(failed, [0.0] * len(failed), "x", color=TEXT_COLOR, transform=axes.get_xaxis_transform(), **FAILED)
    if not len(values):
        axes.set_yticks([])
    clipped = any(not low <= value <= high for _, value in complete + pruned)
    add_subtitle(axes, "one mark per trial" + ("; triangles: outside the scale" if clipped else ""))
    use_integer_ticks(axes)
    add_legend(axes)
    return figure

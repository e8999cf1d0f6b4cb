"""How the search went, trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from searchlab.reporting.figures.trials import TrialCurve, valued
from searchlab.reporting.style import (
    COLORS,
    INK,
    SOFT,
    canvas,
    empty,
    legend,
    limit,
    scatter,
    spread_of,
    subtitle,
    whole_numbers,
)

FAILED: dict[str, Any] = {"label": "failed", "clip_on": False, "zorder": 5, "markersize": 7, "markeredgewidth": 1.6}


def optimization_history(trials: Sequence[TrialCurve], metric: str, goal: str) -> Figure:
    """The value of every finished trial in the order of their numbers, and the best one so far."""
    figure, axes = canvas("Optimization history", "trial", metric)
    complete, pruned = valued(trials, "COMPLETE"), valued(trials, "PRUNED")
    failed = [trial.number for trial in trials if trial.state == "FAIL"]
    if not complete and not pruned and not failed:
        return empty(figure, axes)
    values = np.array([value for _, value in complete or pruned], dtype=np.float64)
    low, high = spread_of(values, goal)
    limit(axes, np.array([low, high]))
    scatter(axes, pruned, low, high, facecolor="white", edgecolor=SOFT, s=26, label="pruned")
    scatter(axes, complete, low, high, facecolor=COLORS[0], edgecolor="white", linewidth=0.5, s=36, label="complete")
    if complete:
        so_far = (np.maximum if goal == "max" else np.minimum).accumulate(values)
        numbers = [*(number for number, _ in complete), max(trial.number for trial in trials)]
        axes.step(numbers, [*so_far, so_far[-1]], where="post", color=COLORS[1], linewidth=1.8, label="best so far")
    if failed:
        axes.plot(failed, [0.0] * len(failed), "x", color=INK, transform=axes.get_xaxis_transform(), **FAILED)
    if not len(values):
        axes.set_yticks([])
    off_scale = any(not low <= value <= high for _, value in complete + pruned)
    subtitle(axes, "one mark per trial" + ("; triangles lie beyond the scale" if off_scale else ""))
    whole_numbers(axes)
    legend(axes)
    return figure

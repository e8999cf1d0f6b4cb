"""Predicted against true numbers of a regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.reporting.formats import score
from searchlab.reporting.predictions import class_name
from searchlab.reporting.style import COLORS, MUTED_LINE_COLOR, MUTED_TEXT_COLOR, TEXT_COLOR, new_panels

MAX_PANELS = 6
MAX_POINTS = 5000  # the first rows; more points cover each other


def plot_predicted_numbers(targets: Array, predicted: Array, names: Sequence[str] | None = None) -> Figure:
    """Plot the predicted against the true numbers (N, O), a panel for each of the first O, with their error and R².

    On the line, the prediction is right. R² is the share of the variance that the predictions explain.
    """
    true, guessed = (np.asarray(values, dtype=np.float64).reshape(len(targets), -1) for values in (targets, predicted))
    count = min(true.shape[1], guessed.shape[1], MAX_PANELS)
    subtitle = f"{len(true):,} rows; on the line, a prediction is right"
    figure, panels = new_panels("Predicted against true numbers", subtitle, count, 3)
    for place, panel in enumerate(panels):
        _draw_panel(panel, true[:, place], guessed[:, place])
        name = class_name(place, names, "target ")
        panel.set_xlabel(f"true {name}", fontsize=10, color=TEXT_COLOR)
        panel.set_ylabel(f"predicted {name}", fontsize=10, color=TEXT_COLOR)
    return figure


def _draw_panel(panel: Axes, true: Array, guessed: Array) -> None:
    finite = np.isfinite(true) & np.isfinite(guessed)
    true, guessed = true[finite], guessed[finite]
    if not len(true):
        panel.text(0.5, 0.5, "no finite prediction", transform=panel.transAxes, ha="center", color=MUTED_LINE_COLOR)
        return
    low, high = float(min(true.min(), guessed.min())), float(max(true.max(), guessed.max()))
    margin = 0.04 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    panel.plot(ends, ends, color=MUTED_LINE_COLOR, linewidth=1.0, zorder=2)
    alpha = 0.7 if len(true) < 200 else 0.35
    panel.scatter(true[:MAX_POINTS], guessed[:MAX_POINTS], s=14, color=COLORS[0], alpha=alpha, linewidth=0, zorder=3)
    panel.set_xlim(ends)
    panel.set_ylim(ends)
    panel.set_title(_errors(true, guessed), loc="left", fontsize=9.5, color=MUTED_TEXT_COLOR)


def _errors(true: Array, guessed: Array) -> str:
    squared, variance = float(np.mean((true - guessed) ** 2)), float(true.var())
    text = f"root mean squared error {score(squared**0.5)}"
    return f"{text}, R² {1 - squared / variance:.3f}" if variance > 0 else text

"""The scores by the values of two parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from searchlab.reporting.figures.parameter_axis import ParameterAxis, parameter_axis, varying_paths
from searchlab.reporting.figures.plotted_trial import EqualEpochs, PlottedTrial, at_equal_epochs
from searchlab.reporting.formats import score
from searchlab.reporting.style import FloatArray, add_subtitle, new_figure, score_range, show_message

MIN_SHARE = 0.5  # of the trials, which must have both parameters, and at least MIN_TRIALS of them
MIN_TRIALS = 8
TITLE = "Scores by two parameters"


def plot_parameter_heat_map(
    trials: Sequence[PlottedTrial],
    metric: str,
    goal: str,
    first: Sequence[str] = (),
    pair: tuple[str, str] | None = None,
) -> Figure:
    """Plot the mean score of the trials with each pair of values of two parameters, at equal epochs.

    `first` are the paths of the parameters, the most important first. Where no `pair` is given, the two are those that
    come first among all pairs that at least half of the trials have: no trial has the learning rates of two optimizers.
    """
    judged = at_equal_epochs(trials, goal)
    scored = [trial for trial in trials if trial.number in judged.folds]
    pair = pair or heat_map_pair(scored, first)
    if pair is None or not any(set(pair) <= set(trial.parameters) for trial in scored):
        return show_message(*new_figure(TITLE, "", ""), "no two parameters vary in enough trials")
    across, up = (parameter_axis(scored, path) for path in pair)
    means, counts = _cells(scored, judged, across, up)
    x_labels, y_labels = across.bins()[0], up.bins()[0]
    size = (min(2.9 + 1.0 * len(x_labels), 9.0), min(2.2 + 0.55 * len(y_labels), 6.5))
    figure, axes = new_figure(TITLE, *pair, size=size)
    low, high = score_range(means[np.isfinite(means)], goal)
    image = axes.imshow(
        means, origin="lower", aspect="auto", cmap="viridis" if goal == "max" else "viridis_r", vmin=low, vmax=high
    )
    slant: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(x_labels)), x_labels, **(slant if max(map(len, x_labels)) > 8 else {}))
    axes.set_yticks(range(len(y_labels)), y_labels)
    axes.grid(visible=False)
    for row, column in np.argwhere(counts):
        value = float(means[row, column])
        dark = (value - low) / ((high - low) or 1.0) < 0.6
        axes.text(
            column, row, f"{score(value)}\nn = {counts[row, column]:,}", ha="center", va="center", fontsize=8,
            color="white" if dark == (goal == "max") else "black",
        )  # fmt: skip
    figure.colorbar(image, ax=axes, label=f"best {metric}{judged.words}")
    add_subtitle(axes, "mean over the trials of each cell, complete and pruned")
    return figure


def heat_map_pair(trials: Sequence[PlottedTrial], first: Sequence[str] = ()) -> tuple[str, str] | None:
    """Return the two parameters to show, those of `first` first; None where no two vary in enough trials."""
    paths = varying_paths(trials, first)
    rank = {path: place for place, path in enumerate(paths)}
    needed = max(MIN_TRIALS, math.ceil(MIN_SHARE * len(trials)))
    for pair in sorted(combinations(paths, 2), key=lambda pair: (rank[pair[0]] + rank[pair[1]], rank[pair[0]])):
        both = [trial for trial in trials if set(pair) <= set(trial.parameters)]
        if len(both) >= needed and set(pair) <= set(varying_paths(both)):
            return pair
    return None


def _cells(
    trials: Sequence[PlottedTrial], judged: EqualEpochs, across: ParameterAxis, up: ParameterAxis
) -> tuple[FloatArray, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Return the mean score, NaN without a trial, and the number of trials of each cell: (rows, columns) each."""
    x_limits, y_limits = across.bins()[1], up.bins()[1]
    sums = np.zeros((len(y_limits) - 1, len(x_limits) - 1))
    counts = np.zeros(sums.shape, dtype=np.int64)
    for trial in trials:
        x, y = across.position(trial.parameters.get(across.path)), up.position(trial.parameters.get(up.path))
        if math.isnan(x) or math.isnan(y):
            continue
        cell = int(np.searchsorted(y_limits, y, "right")) - 1, int(np.searchsorted(x_limits, x, "right")) - 1
        sums[cell] += judged.mean(trial.number)
        counts[cell] += 1
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means, counts

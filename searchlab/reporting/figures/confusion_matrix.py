"""The confusion matrix of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from searchlab.backend import Array
from searchlab.reporting.formats import percent
from searchlab.reporting.predictions import class_name
from searchlab.reporting.style import (
    COLORS,
    GRID_COLOR,
    MUTED_TEXT_COLOR,
    TEXT_COLOR,
    FloatArray,
    add_legend,
    add_subtitle,
    new_figure,
    show_message,
)

MAX_LABELED_CLASSES = 30  # with more classes, no number fits into its cell
CORRECT, WRONG = (LinearSegmentedColormap.from_list(color, ["#ffffff", color]) for color in (COLORS[0], COLORS[1]))
PALEST_ERROR = 0.12  # of the color scale, so that one error among thousands of rows is visible
MIN_DARKEST_SHARE = 0.05  # share of a class that the darkest error stands for, at least: rare errors stay pale


def plot_confusion_matrix(
    labels: Array, predicted: Array, classes: int, names: Sequence[str] | None = None, noun: str = "rows"
) -> Figure:
    """Plot how many rows of each true class (N,) were predicted as each class (N,), with a color scale for errors."""
    side = min(max(0.46 * classes, 3.4), 8.0)  # inches
    labeled = classes <= MAX_LABELED_CLASSES
    size = (side + 4.1, side + 1.5)
    figure, axes = new_figure(
        "Confusion matrix", "predicted class", "true class", size=size, subtitle_lines=1 + labeled
    )
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (np.ravel(labels).astype(np.int64), np.ravel(predicted).astype(np.int64)), 1)
    if not counts.sum():
        return show_message(figure, axes, "no rows")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = shares * (1 - np.eye(classes))
    darkest = max(float(errors.max()), MIN_DARKEST_SHARE)
    axes.imshow(_cell_colors(shares, errors / darkest), interpolation="nearest", aspect="equal")
    if labeled:
        _label_classes(axes, [class_name(number, names) for number in range(classes)], side / classes)
        _write_counts(axes, counts, shares, errors / darkest, side / classes)
    else:
        _number_some_classes(axes)
    correct = int(np.trace(counts))
    text = f"accuracy {correct / counts.sum():.4f}: {correct:,} of {counts.sum():,} {noun} correct"
    add_subtitle(axes, text + ("\n" if labeled else ""))  # the empty line has the precision of each class
    keys = [Patch(facecolor=CORRECT(0.75), label="correct")]
    if errors.any():
        keys.append(Patch(facecolor=WRONG(0.9), label=f"wrong; darkest:\n{_percent(darkest)} of a class"))
    add_legend(axes, handles=keys, bbox_to_anchor=(1 + (0.75 if labeled else 0.1) / side, 0.5))
    return figure


def _cell_colors(shares: FloatArray, errors: FloatArray) -> FloatArray:
    """Return a color (C, C, 4) per cell: blue on the diagonal, orange elsewhere, white for a cell without rows."""
    steps = np.where(errors > 0, PALEST_ERROR + (0.9 - PALEST_ERROR) * errors, 0.0)
    on_diagonal = np.eye(len(shares), dtype=bool)
    colors: FloatArray = np.where(on_diagonal[..., None], CORRECT(0.75 * shares), WRONG(steps))
    return colors


def _label_classes(axes: Axes, labels: Sequence[str], cell: float) -> None:
    """Write the class names along both axes and draw thin lines between the cells, which are `cell` inches wide."""
    size, classes = 10 if cell > 0.4 else 8, len(labels)
    too_long = max(map(len, labels)) * 0.009 * size > cell
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if too_long else {}
    axes.set_xticks(range(classes), labels, fontsize=size, **slant)
    axes.set_yticks(range(classes), labels, fontsize=size)
    between = np.arange(classes - 1) + 0.5
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color=GRID_COLOR, linewidth=0.8)
    axes.tick_params(length=0, which="both")
    axes.set_axisbelow(False)
    axes.spines[:].set_visible(False)


def _number_some_classes(axes: Axes) -> None:
    """Write some class numbers along both axes, where there are too many classes for all of them."""
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(10, integer=True))


def _write_counts(axes: Axes, counts: Array, shares: FloatArray, errors: FloatArray, cell: float) -> None:
    """Write each count into its cell, `cell` inches wide, the recall beside each row, and the precision above a column.

    Recall is the share of a class that is predicted as such, precision the share of its predictions that are right.
    """
    classes, digits = len(counts), len(str(counts.max()))
    size = min(11.0, 72 * cell * min(0.85 / (0.62 * digits), 0.5))
    for row, column in np.argwhere(counts):
        dark = shares[row, column] > 0.6 if row == column else errors[row, column] > 0.8
        color = "white" if dark else TEXT_COLOR
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=size, color=color)
    beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": min(size, 10), "color": MUTED_TEXT_COLOR}
    for row in range(classes):
        text = _percent(shares[row, row]) if counts[row].any() else "no rows"
        axes.annotate(text, (classes - 0.5, row), (6, 0), va="center", **beside)
    above = {**beside, "fontsize": min(beside["fontsize"], 72 * cell / 4.4)}
    for column, predicted in enumerate(counts.sum(axis=0).tolist()):
        text = _percent(counts[column, column] / predicted) if predicted else "none"
        axes.annotate(text, (column, -0.5), (0, 4), ha="center", va="bottom", **above)
    axes.annotate("precision", (classes - 0.5, -0.5), (6, 4), va="bottom", **beside)
    axes.annotate("recall", (classes - 0.5, classes - 0.5), (6, -4), va="top", **beside)


def _percent(share: float) -> str:
    return percent(share, 1)

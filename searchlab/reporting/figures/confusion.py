"""Which classes a classifier takes for which."""

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
from searchlab.reporting.predictions import class_name
from searchlab.reporting.style import COLORS, GRID, INK, QUIET, Numbers, canvas, empty, legend, subtitle

LEGIBLE = 30  # classes; beyond these no number fits into its cell
RIGHT, WRONG = (LinearSegmentedColormap.from_list(color, ["#ffffff", color]) for color in (COLORS[0], COLORS[1]))
FAINTEST = 0.12  # of the scale: one mistake among thousands is still seen
NARROWEST = 0.05  # share of a class at which an error is as dark as can be, or more: a rare error is not an alarm


def confusion_matrix(
    truth: Array, predicted: Array, classes: int, names: Sequence[str] | None = None, about: str = "rows"
) -> Figure:
    """How many rows of each class (N,) were said to be of each (N,): errors are shaded on a scale of their own."""
    side = min(max(0.46 * classes, 3.4), 8.0)  # inches
    figure, axes = canvas("Confusion matrix", "the network said", "it was", size=(side + 4.1, side + 1.5))
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (np.ravel(truth).astype(np.int64), np.ravel(predicted).astype(np.int64)), 1)
    if not counts.sum():
        return empty(figure, axes, "no rows")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = shares * (1 - np.eye(classes))
    darkest = max(float(errors.max()), NARROWEST)
    axes.imshow(_colors(shares, errors / darkest), interpolation="nearest", aspect="equal")
    numbered = classes <= LEGIBLE
    if numbered:
        _name(axes, [class_name(number, names) for number in range(classes)], side / classes)
        _number(axes, counts, shares, errors / darkest, side / classes)
    else:
        _rule(axes)
    right = int(np.trace(counts))
    subtitle(axes, f"accuracy {right / counts.sum():.4f}: {right:,} of {counts.sum():,} {about} right")
    keys = [Patch(facecolor=RIGHT(0.75), label="right")]
    if errors.any():
        keys.append(Patch(facecolor=WRONG(0.9), label=f"wrong; darkest:\n{_percent(darkest)} of a class"))
    legend(axes, handles=keys, bbox_to_anchor=(1 + (0.75 if numbered else 0.1) / side, 0.5))
    return figure


def _colors(shares: Numbers, errors: Numbers) -> Numbers:
    """A color (C, C, 4) per cell: blue on the diagonal, orange elsewhere, white where nothing fell."""
    steps = np.where(errors > 0, FAINTEST + (0.9 - FAINTEST) * errors, 0.0)
    on_diagonal = np.eye(len(shares), dtype=bool)
    colors: Numbers = np.where(on_diagonal[..., None], RIGHT(0.75 * shares), WRONG(steps))
    return colors


def _name(axes: Axes, labels: Sequence[str], cell: float) -> None:
    """Names beside the rows and below the columns, and fine lines between the cells, `cell` inches wide."""
    size, classes = 10 if cell > 0.4 else 8, len(labels)
    slanted = max(map(len, labels)) * 0.009 * size > cell
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(classes), labels, fontsize=size, **slant)
    axes.set_yticks(range(classes), labels, fontsize=size)
    between = np.arange(classes - 1) + 0.5
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color=GRID, linewidth=0.8)
    axes.tick_params(length=0, which="both")
    axes.set_axisbelow(False)
    axes.spines[:].set_visible(False)


def _rule(axes: Axes) -> None:
    """Some of the classes' numbers along the sides, where there are too many for all."""
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(10, integer=True))


def _number(axes: Axes, counts: Array, shares: Numbers, errors: Numbers, cell: float) -> None:
    """The counts in their cells, `cell` inches wide, and beside each row the share of it that is right."""
    classes, digits = len(counts), len(str(counts.max()))
    size = min(11.0, 72 * cell * min(0.85 / (0.62 * digits), 0.5))
    for row, column in np.argwhere(counts):
        dark = shares[row, column] > 0.6 if row == column else errors[row, column] > 0.8
        text = f"{counts[row, column]}"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else INK)
    beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": min(size, 10), "color": QUIET}
    for row in range(classes):
        text = _percent(shares[row, row]) if counts[row].any() else "no rows"
        axes.annotate(text, (classes - 0.5, row), (6, 0), va="center", **beside)
    axes.annotate("right", (classes - 0.5, classes - 0.5), (6, -4), va="top", **beside)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

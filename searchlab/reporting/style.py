"""What the pictures share: paper, colours, limits that show what differs, marks for what lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: for every kind of sight
INK, QUIET, SOFT, GRID = "#222222", "#5f5f5f", "#8a8a8a", "#e4e4e4"

Numbers: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"


def canvas(
    title: str, across: str, up: str, *, size: tuple[float, float] = (8.0, 4.5), subtitle_lines: int = 1
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=9 + 15 * subtitle_lines)
    axes.set_xlabel(across, fontsize=11, color=INK)
    axes.set_ylabel(up, fontsize=11, color=INK)
    axes.tick_params(labelsize=10, colors=INK, length=3)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr,call-arg]
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    return figure, axes


def subtitle(axes: Axes, text: str) -> None:
    """A line or more between the title and the picture."""
    just_above = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 5), "textcoords": "offset points"}
    axes.annotate(text, va="bottom", fontsize=10, color=QUIET, **just_above)  # type: ignore[arg-type]


def empty(figure: Figure, axes: Axes, text: str = "no trial has a score yet") -> Figure:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=12, color=SOFT)
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def legend(axes: Axes, title: str | None = None, **given: Any) -> None:
    """The names of the lines, beside the picture, where they cover nothing."""
    place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "alignment": "left"}
    axes.legend(**{**place, "frameon": False, "fontsize": 10, "title": title, **given})


def whole_numbers(axes: Axes) -> None:
    """No half epochs and no half trials."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def spread_of(values: Numbers, goal: str) -> tuple[float, float]:
    """From the best value to the worst one worth a place: a few far worse ones would squeeze the others together."""
    if not len(values):
        return 0.0, 1.0
    lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 4 * max(upper - lower, abs(middle) * 1e-3)
    if goal == "max":
        return float(max(values.min(), middle - reach)), float(values.max())
    return float(values.min()), float(min(values.max(), middle + reach))


def limit(axes: Axes, values: Numbers, *, log: bool = False) -> None:
    """Show these values with a margin around them; on a log scale, where all are positive."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.06 * (high - low) or max(abs(high) * 0.02, 1e-6)
    axes.set_ylim(low - margin, high + margin)
    if log:
        margin = (high / low) ** 0.06
        axes.set_yscale("log")
        axes.set_ylim(low / margin, high * margin)


def scatter(axes: Axes, points: Sequence[tuple[float, float]], low: float, high: float, **style: Any) -> None:
    """Draw the points; those beyond the limits as triangles at the edge."""
    inside = [point for point in points if low <= point[1] <= high]
    if inside:
        axes.scatter(*zip(*inside, strict=True), zorder=3, **style)
    style |= {"label": None if inside else style["label"]}
    for marker, edge, outside in (
        ("v", low, [number for number, value in points if value < low]),
        ("^", high, [number for number, value in points if value > high]),
    ):
        if outside:
            axes.scatter(outside, [edge] * len(outside), marker=marker, zorder=3, **style)

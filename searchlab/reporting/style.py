"""What the figures share: colors, axes, titles, limits that show the differences, marks for values outside of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: safe for color blindness
TEXT_COLOR, MUTED_TEXT_COLOR, MUTED_LINE_COLOR, GRID_COLOR = "#222222", "#5f5f5f", "#8a8a8a", "#e4e4e4"

FloatArray: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"

NOTEBOOK_DPI = 200  # dots per inch in a notebook, which shows them at half the size: sharp on every display


class NotebookFigure(Figure):
    """A matplotlib figure that a plain notebook shows, without pyplot and without `%matplotlib inline`."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as a PNG image, with the size in pixels at which a notebook shows it."""
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=NOTEBOOK_DPI)
        width, height = self.get_size_inches()
        return image.getvalue(), {"width": round(width * NOTEBOOK_DPI / 2), "height": round(height * NOTEBOOK_DPI / 2)}


def new_figure(
    title: str, x_label: str, y_label: str, *, size: tuple[float, float] = (8.0, 4.5), subtitle_lines: int = 1
) -> tuple[Figure, Axes]:
    """Return a figure of `size` inches and its axes, with room for a subtitle of so many lines below the title."""
    figure = NotebookFigure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=TEXT_COLOR, pad=9 + 15 * subtitle_lines)
    axes.set_xlabel(x_label, fontsize=11, color=TEXT_COLOR)
    axes.set_ylabel(y_label, fontsize=11, color=TEXT_COLOR)
    axes.tick_params(labelsize=10, colors=TEXT_COLOR, length=3)
    axes.grid(color=GRID_COLOR, linewidth=0.8)
    axes.set_axisbelow(True)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr,call-arg]
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED_LINE_COLOR)
    return figure, axes


def new_panels(title: str, subtitle: str, count: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many panels, in rows of at most `columns`, with a title and a subtitle, and their axes."""
    columns = min(columns, count)
    rows = -(-count // columns)
    width, height = max(3.0 * columns, 6.5) + 1.0, 2.4 * rows + 0.8  # inches
    figure = NotebookFigure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.62 / height), w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    place: dict[str, Any] = {"x": 0.12 / width, "ha": "left", "va": "top"}
    figure.text(y=1 - 0.1 / height, s=title, fontsize=13, fontweight="bold", color=TEXT_COLOR, **place)
    figure.text(y=1 - 0.38 / height, s=subtitle, fontsize=10, color=MUTED_TEXT_COLOR, **place)
    panels = []
    for number in range(count):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.tick_params(labelsize=9, colors=TEXT_COLOR, length=3)
        axes.grid(color=GRID_COLOR, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED_LINE_COLOR)
        panels.append(axes)
    return figure, panels


def add_subtitle(axes: Axes, text: str) -> None:
    """Write one or more lines between the title and the plot."""
    just_above = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 5), "textcoords": "offset points"}
    axes.annotate(text, va="bottom", fontsize=10, color=MUTED_TEXT_COLOR, **just_above)  # type: ignore[arg-type]


def show_message(figure: Figure, axes: Axes, text: str = "no trial has a score yet") -> Figure:
    """Write a message into the axes of a figure that has nothing to plot, and return the figure."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=12, color=MUTED_LINE_COLOR)
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def add_legend(axes: Axes, title: str | None = None, **options: Any) -> None:
    """Add a legend to the right of the axes, where it covers nothing."""
    place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "alignment": "left"}
    axes.legend(**{**place, "frameon": False, "fontsize": 10, "title": title, **options})


def use_integer_ticks(axes: Axes) -> None:
    """Allow only integers as ticks of the x axis, which counts epochs, steps or trials."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def score_range(values: FloatArray, goal: str) -> tuple[float, float]:
    """Return the lowest and the highest score to show, without the few far worse ones that would squeeze the others."""
    if not len(values):
        return 0.0, 1.0
    lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 4 * max(upper - lower, abs(middle) * 1e-3)
    if goal == "max":
        return float(max(values.min(), middle - reach)), float(values.max())
    return float(values.min()), float(min(values.max(), middle + reach))


def set_y_limits(axes: Axes, values: FloatArray, *, log: bool = False) -> None:
    """Set the limits of the y axis around the finite values; `log`, for positive values, makes it logarithmic."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.06 * (high - low) or max(abs(high) * 0.02, 1e-6)
    axes.set_ylim(low - margin, high + margin)
    if log:
        margin = (high / low) ** 0.06
        axes.set_yscale("log")
        axes.set_ylim(low / margin, high * margin)


def scatter_clipped(axes: Axes, points: Sequence[tuple[float, float]], low: float, high: float, **style: Any) -> None:
    """Draw the points (x, y); those with y outside the limits become triangles at the edge."""
    inside = [point for point in points if low <= point[1] <= high]
    if inside:
        axes.scatter(*zip(*inside, strict=True), zorder=3, **style)
    style |= {"label": None if inside else style["label"]}
    for marker, edge, outside in (
        ("v", low, [x for x, y in points if y < low]),
        ("^", high, [x for x, y in points if y > high]),
    ):
        if outside:
            axes.scatter(outside, [edge] * len(outside), marker=marker, zorder=3, **style)

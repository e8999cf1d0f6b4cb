"""The decision boundary of a classifier of points in a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from searchlab.backend import Array, to_host
from searchlab.nn.class_probabilities import decide, softmax
from searchlab.reporting.predictions import class_name
from searchlab.reporting.style import (
    COLORS,
    TEXT_COLOR,
    FloatArray,
    add_legend,
    add_subtitle,
    new_figure,
    show_message,
)

CLASS_COLORS = (*COLORS, "#882255", "#332288", "#999933", "#117733")  # Tol's colors for classes 6 to 9
MARKERS = "os^DvP"
TINT = 0.38  # share of a class's color in the background where the network is certain
GRID_POINTS = 320  # points of the background along each axis
CHUNK_ROWS = 4096  # points predicted in one pass

Extent: TypeAlias = tuple[float, float, float, float]  # left, right, bottom, top


def plot_decision_boundary(
    predict: Callable[[Array], Array],
    x: Array,
    y: Array,
    names: Sequence[str] | None = None,
    title: str = "Decision boundary",
    *,
    threshold: float | None = None,
) -> Figure:
    """Plot the classes that `predict` gives around the points x (N, 2), and on them the points with classes y (N,).

    `predict` takes float32 points (M, 2) and returns scores (M, C). Background colors are blended by probability.
    By `threshold`, a probability of class 1, a point of two classes is in it.
    """
    finite = np.isfinite(x).all(axis=1) if len(x) else np.zeros(0, bool)
    points, classes = np.asarray(x, np.float32)[finite], np.asarray(y)[finite]
    if not len(points):
        return show_message(*new_figure(title, "first input", "second input"), "no points")
    shares = _predicted_probabilities(predict, points)
    predicted = np.where(np.isfinite(shares).all(axis=1), decide(shares, threshold), -1)
    extent, ratio = _extent(points)
    equal_scales = 0.25 < ratio < 4  # beyond that, equal scales would leave a narrow strip
    size = (7.4, 1.2 + min(4.7 * ratio, 8) if equal_scales else 5.8)
    figure, axes = new_figure(title, "first input", "second input", size=size)
    _draw_background(axes, predict, extent)
    for number in np.unique(classes):
        members = classes == number
        _draw_points(axes, points[members], predicted[members] != number, int(number))
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.grid(visible=False)
    axes.set_aspect("equal" if equal_scales else "auto")
    key = "; dark outline: wrong" if (predicted != classes).any() else ""
    accuracy = (predicted == classes).mean()
    add_subtitle(axes, f"accuracy {accuracy:.4f} on {len(points):,} points; paler: less certain{key}")
    add_legend(axes, handles=[_legend_key(n, class_name(n, names, "class ")) for n in range(shares.shape[1])])
    return figure


def _predicted_probabilities(predict: Callable[[Array], Array], points: Array) -> FloatArray:
    starts = range(0, len(points), CHUNK_ROWS)
    with np.errstate(all="ignore"):  # far from the data a network may overflow: the background stays white there
        scores = [to_host(predict(points[start : start + CHUNK_ROWS])) for start in starts]
        return softmax(np.concatenate(scores))


def _extent(points: Array) -> tuple[Extent, float]:
    """Return the extent of the points with a margin of 7 %, and its height as a multiple of its width."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    margin = 0.07 * (high - low)
    margin = np.where(margin > 0, margin, margin.max() or 1.0)
    (left, bottom), (right, top) = low - margin, high + margin
    return (float(left), float(right), float(bottom), float(top)), float((top - bottom) / (right - left))


def _draw_background(axes: Axes, predict: Callable[[Array], Array], extent: Extent) -> None:
    """Draw the colors of the classes, blended by probability, and a thin line where the likeliest class changes."""
    left, right, bottom, top = extent
    columns, rows = np.linspace(left, right, GRID_POINTS), np.linspace(bottom, top, GRID_POINTS)
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = np.nan_to_num(_predicted_probabilities(predict, points))  # (points, C)
    tints = 1 - TINT * (1 - np.array([to_rgb(_appearance(number)[0]) for number in range(shares.shape[1])]))  # (C, 3)
    with np.errstate(under="ignore"):
        background = shares @ tints + (1 - shares.sum(axis=1, keepdims=True))  # white without a prediction
    axes.imshow(
        background.reshape(GRID_POINTS, GRID_POINTS, 3).clip(0, 1),
        extent=extent, origin="lower", interpolation="bilinear", aspect="auto", zorder=0,
    )  # fmt: skip
    for number in range(shares.shape[1]):
        others = np.delete(shares, number, axis=1).max(axis=1, initial=0.0)
        lead = (shares[:, number] - others).reshape(GRID_POINTS, GRID_POINTS)
        if lead.min() < 0 < lead.max():
            axes.contour(columns, rows, lead, levels=[0.0], colors="white", linewidths=1.4, zorder=1)


def _draw_points(axes: Axes, points: Array, wrong: Array, number: int) -> None:
    color, marker = _appearance(number)
    for rows, edge, width, order in ((~wrong, "white", 0.5, 3), (wrong, TEXT_COLOR, 1.3, 4)):
        axes.scatter(
            points[rows, 0], points[rows, 1],
            s=26, color=color, marker=marker, edgecolor=edge, linewidth=width, zorder=order,
        )  # fmt: skip


def _legend_key(number: int, name: str) -> Line2D:
    color, marker = _appearance(number)
    return Line2D([], [], linestyle="", marker=marker, color=color, markeredgecolor="white", markersize=7.5, label=name)


def _appearance(number: int) -> tuple[str, str]:
    """Return color and marker of a class: every color with the first marker, then with the next one."""
    pairs = list(product(MARKERS, CLASS_COLORS))
    marker, color = pairs[number % len(pairs)]
    return color, marker

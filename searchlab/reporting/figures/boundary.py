"""The plane as a classifier of two inputs divides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from searchlab.backend import Array, to_host
from searchlab.reporting.predictions import class_name, probabilities
from searchlab.reporting.style import COLORS, INK, Numbers, canvas, empty, legend, subtitle

HUES = (*COLORS, "#882255", "#332288", "#999933", "#117733")  # Tol's, for classes 6 to 9
MARKS = "os^DvP"
TINT = 0.38  # how much of a class's colour its ground has where the network is sure
ACROSS, AT_ONCE = 320, 4096  # points of the ground along the longer side; points asked in one pass


def decision_boundary(
    predict: Callable[[Array], Array],
    x: Array,
    y: Array,
    names: Sequence[str] | None = None,
    title: str = "Decision boundary",
) -> Figure:
    """What `predict` says of every place around the points x (N, 2), blended by sureness; on it the classes y (N,).

    It takes points (M, 2) of float32 and gives scores (M, C).
    """
    seen = np.isfinite(x).all(axis=1) if len(x) else np.zeros(0, bool)
    points, classes = np.asarray(x, np.float32)[seen], np.asarray(y)[seen]
    if not len(points):
        return empty(*canvas(title, "first input", "second input"), "no points")
    shares = _asked(predict, points)
    said = np.where(np.isfinite(shares).all(axis=1), shares.argmax(axis=1), -1)
    left, right, bottom, top = frame = _frame(points)
    ratio = (top - bottom) / (right - left)
    square = 0.25 < ratio < 4  # beyond that, equal scales would leave a sliver
    figure, axes = canvas(
        title, "first input", "second input", size=(7.4, 1.2 + min(4.7 * ratio, 8) if square else 5.8)
    )
    _paint(axes, predict, frame)
    for number in np.unique(classes):
        mine = classes == number
        _mark(axes, points[mine], said[mine] != number, int(number))
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.grid(visible=False)
    axes.set_aspect("equal" if square else "auto")
    ringed = "; ringed: on the wrong side" if (said != classes).any() else ""
    subtitle(axes, f"accuracy {(said == classes).mean():.4f} on {len(points):,} points; paler: less sure{ringed}")
    handles = [_key(number, class_name(number, names, "class ")) for number in range(shares.shape[1])]
    legend(axes, handles=handles)
    return figure


def _asked(predict: Callable[[Array], Array], points: Array) -> Numbers:
    parts = range(0, len(points), AT_ONCE)
    with np.errstate(all="ignore"):  # far from the data a network may overflow: the ground stays white there
        scores = [to_host(predict(points[start : start + AT_ONCE])) for start in parts]
        return probabilities(np.concatenate(scores))


def _frame(points: Array) -> tuple[float, float, float, float]:
    """Left, right, bottom and top around the points, with some ground beyond them."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    room = 0.07 * (high - low)
    room = np.where(room > 0, room, room.max() or 1.0)
    (left, bottom), (right, top) = low - room, high + room
    return float(left), float(right), float(bottom), float(top)


def _paint(axes: Axes, predict: Callable[[Array], Array], frame: tuple[float, float, float, float]) -> None:
    """The classes' tints, blended by their probabilities, and a fine line where the likeliest class changes."""
    left, right, bottom, top = frame
    across, up = np.linspace(left, right, ACROSS), np.linspace(bottom, top, ACROSS)
    places = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = np.nan_to_num(_asked(predict, places))  # (places, C)
    tints = 1 - TINT * (1 - np.array([to_rgb(_look(number)[0]) for number in range(shares.shape[1])]))  # (C, 3)
    with np.errstate(under="ignore"):
        ground = shares @ tints + (1 - shares.sum(axis=1, keepdims=True))  # white where there is no answer
    axes.imshow(
        ground.reshape(ACROSS, ACROSS, 3).clip(0, 1),
        extent=frame, origin="lower", interpolation="bilinear", aspect="auto", zorder=0,
    )  # fmt: skip
    for number in range(shares.shape[1]):
        others = np.delete(shares, number, axis=1).max(axis=1, initial=0.0)
        lead = (shares[:, number] - others).reshape(ACROSS, ACROSS)
        if lead.min() < 0 < lead.max():
            axes.contour(across, up, lead, levels=[0.0], colors="white", linewidths=1.4, zorder=1)


def _mark(axes: Axes, points: Array, wrong: Array, number: int) -> None:
    color, marker = _look(number)
    for some, edge, width, above in ((~wrong, "white", 0.5, 3), (wrong, INK, 1.3, 4)):
        axes.scatter(
            points[some, 0],
            points[some, 1],
            s=26,
            color=color,
            marker=marker,
            edgecolor=edge,
            linewidth=width,
            zorder=above,
        )


def _key(number: int, name: str) -> Line2D:
    color, marker = _look(number)
    return Line2D([], [], linestyle="", marker=marker, color=color, markeredgecolor="white", markersize=7.5, label=name)


def _look(number: int) -> tuple[str, str]:
    """The colour and the mark of a class: all colours in turn, then all again with another mark."""
    looks = list(product(MARKS, HUES))
    marker, color = looks[number % len(looks)]
    return color, marker

"""Step charts as SVG coordinates: unlike a PNG, they use the colors of the page and are sharp at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array

WIDTH, HEIGHT = 480.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 46.0  # margins for the ticks and their labels

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class StepChart:
    """A line of steps, in the units of an SVG of `size`.

    Attributes:
        line: SVG path of the line.
        area: SVG path of the area below the line, where the y axis begins at 0; else empty.
        dots: Points (x, y) that are marked.
        x_ticks: Positions and labels of the ticks.
        y_ticks: The same for the y axis.
        x_label: Label of the x axis.
        y_label: Label of the y axis.
        clipped: Whether a value lies outside of the frame and is drawn at its edge.
        size: Width and height.
        frame: Left, top, right and bottom of the plotting area.
    """

    line: str
    area: str
    dots: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str
    y_label: str
    clipped: bool
    size: Point = (WIDTH, HEIGHT)
    frame: tuple[float, float, float, float] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def best_score_chart(trials: Sequence[Point], x_label: str, metric: str, goal: str, end: float) -> StepChart | None:
    """Return a chart of the best score so far, up to x = `end`; None without a finite score.

    `trials` are the points (x, score) of all complete trials, in any order. A few far worse scores at the beginning are
    drawn at the edge.
    """
    points = sorted((x, score) for x, score in trials if math.isfinite(score))
    if not points:
        return None
    x_values, scores = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    best = (np.maximum if goal == "max" else np.minimum).accumulate(scores)
    improvements = np.flatnonzero(np.diff(best, prepend=np.nan))  # the first score, and each one that is better
    steps = [(float(x_values[row]), float(best[row])) for row in improvements]
    limits = _y_limits(scores, best, goal)
    return _step_chart(steps, max(end, float(x_values[-1])), limits, x_label, f"best {metric} so far", has_dots=True)


def training_trials_chart(epochs: Sequence[int]) -> StepChart | None:
    """Return a chart of how many trials were still training after each epoch; None when no trial trained an epoch.

    `epochs` has the number of epochs of each trial.
    """
    longest = max(epochs, default=0)
    if not longest:
        return None
    counts = [(float(epoch), float(sum(trained > epoch for trained in epochs))) for epoch in range(longest)]
    return _step_chart(counts, float(longest), (0.0, counts[0][1]), "epochs", "trials still training")


def round_ticks(low: float, high: float, limit: int = 6) -> list[float]:
    """Return at most `limit` round numbers between low and high, in steps of 1, 2 or 5 times a power of ten."""
    rough = max(high - low, 1e-12) / (limit - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _y_limits(scores: Array, best: Array, goal: str) -> Point:
    """Return the limits of the best scores so far, with a margin, without a beginning that is far worse than most."""
    lower, middle, upper = np.quantile(scores, [0.25, 0.5, 0.75])
    reach = 4 * max(upper - lower, abs(middle) * 1e-3)
    low, high = float(best.min()), float(best.max())
    low, high = (max(low, middle - reach), high) if goal == "max" else (low, min(high, middle + reach))
    margin = 0.06 * (high - low) or max(abs(high) * 0.02, 1e-6)
    return float(low - margin), float(high + margin)


def _step_chart(
    points: Sequence[Point], end: float, limits: Point, x_label: str, y_label: str, *, has_dots: bool = False
) -> StepChart:
    """Return the chart of a line that keeps each value until the next point, from x = 0 to `end`."""
    low, high = limits
    left, top, right, bottom = StepChart.frame

    def svg_x(x: float) -> float:
        return round(left + (right - left) * x / (end or 1.0), 1)

    def svg_y(y: float) -> float:
        inside = min(max(y, low), high)
        return round(bottom - (bottom - top) * (inside - low) / ((high - low) or 1.0), 1)

    begin = svg_x(points[0][0])
    line = f"M{begin} {svg_y(points[0][1])}" + "".join(f"H{svg_x(x)}V{svg_y(y)}" for x, y in points[1:])
    line += f"H{svg_x(end)}"
    return StepChart(
        line=line,
        area=f"{line}V{bottom}H{begin}Z" if low == 0 else "",
        dots=tuple((svg_x(x), svg_y(y)) for x, y in points) if has_dots else (),
        x_ticks=tuple((svg_x(x), f"{x:,.6g}") for x in round_ticks(0.0, end)),
        y_ticks=tuple((svg_y(y), f"{y:,.6g}") for y in round_ticks(low, high)),
        x_label=x_label,
        y_label=y_label,
        clipped=any(not low <= y <= high for _, y in points),
    )

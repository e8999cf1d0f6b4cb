"""Step charts as coordinates for a page to draw: unlike a PNG they take on the page's colours and stay sharp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

WIDTH, HEIGHT = 480.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 46.0  # room for the ticks and their labels

Point: TypeAlias = tuple[float, float]
Numbers: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"


@dataclass(frozen=True)
class Chart:
    """A line of steps: `line` and, where it begins at 0, the `area` below it are SVG paths, ticks are (place, label),
    dots are (x, y). All are in the units of a picture of `size`; `frame` is its left, top, right and lower edge.

    What is beyond the frame lies at its edge: `clipped` says whether anything does.
    """

    line: str
    area: str
    dots: tuple[Point, ...]
    across_ticks: tuple[tuple[float, str], ...]
    up_ticks: tuple[tuple[float, str], ...]
    across: str
    up: str
    clipped: bool
    size: Point = (WIDTH, HEIGHT)
    frame: tuple[float, float, float, float] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def best_chart(ended: Sequence[Point], across: str, metric: str, goal: str, end: float) -> Chart | None:
    """The best score so far: `ended` are the place across and the score of every complete trial, in any order.

    The line goes on to `end`; a few far worse scores at the beginning lie at the edge. None without a trial.
    """
    points = sorted((at, score) for at, score in ended if math.isfinite(score))
    if not points:
        return None
    places, scores = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    best = (np.maximum if goal == "max" else np.minimum).accumulate(scores)
    news = np.flatnonzero(np.diff(best, prepend=np.nan))  # the first, and wherever it gets better
    low, high = _worth_showing(scores, best, goal)
    steps = [(float(places[row]), float(best[row])) for row in news]
    return _steps(steps, max(end, float(places[-1])), (low, high), across, f"best {metric} so far", marked=True)


def survivor_chart(epochs: Sequence[int]) -> Chart | None:
    """How many trials reached each epoch, from how many each of them trained; None when none trained any."""
    longest = max(epochs, default=0)
    if not longest:
        return None
    reached = [(float(epoch), float(sum(trained > epoch for trained in epochs))) for epoch in range(longest)]
    return _steps(reached, float(longest), (0.0, reached[0][1]), "epochs", "trials still training")


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between low and high, at most so many: steps are 1, 2 or 5 times a power of ten."""
    rough = max(high - low, 1e-12) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _worth_showing(scores: Numbers, best: Numbers, goal: str) -> Point:
    """Limits of the best scores so far, short of a beginning that is far worse than most, with a margin."""
    lower, middle, upper = np.quantile(scores, [0.25, 0.5, 0.75])
    reach = 4 * max(upper - lower, abs(middle) * 1e-3)
    low, high = float(best.min()), float(best.max())
    low, high = (max(low, middle - reach), high) if goal == "max" else (low, min(high, middle + reach))
    margin = 0.06 * (high - low) or max(abs(high) * 0.02, 1e-6)
    return float(low - margin), float(high + margin)


def _steps(points: Sequence[Point], end: float, limits: Point, across: str, up: str, *, marked: bool = False) -> Chart:
    """A line that keeps each value until the next point, from 0 across to `end`."""
    low, high = limits
    frame = Chart.frame

    def x(place: float) -> float:
        return round(frame[0] + (frame[2] - frame[0]) * place / (end or 1.0), 1)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return round(frame[3] - (frame[3] - frame[1]) * (inside - low) / ((high - low) or 1.0), 1)

    line = f"M{x(points[0][0])} {y(points[0][1])}" + "".join(f"H{x(at)}V{y(value)}" for at, value in points[1:])
    line += f"H{x(end)}"
    area = f"{line}V{frame[3]}H{x(points[0][0])}Z" if low == 0 else ""
    return Chart(
        line,
        area,
        tuple((x(at), y(value)) for at, value in points) if marked else (),
        tuple((x(place), f"{place:,.6g}") for place in ticks(0.0, end)),
        tuple((y(value), f"{value:,.6g}") for value in ticks(low, high, most=6)),
        across,
        up,
        any(not low <= value <= high for _, value in points),
    )

"""Boxes over folds: of the best trials, and of all trials by the value of one parameter."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.grouping import Group, Grouping, by_value
from searchlab.reporting.figures.trials import TrialCurve, best_first, folds_at_best
from searchlab.reporting.style import COLORS, INK, QUIET, Numbers, canvas, empty, limit, scatter, spread_of, subtitle

FACE = "#d6e8f4"
READING = "diamond: mean, line: median, box: middle half"
CLOSE = 72  # letters of all labels together that fit side by side
FEW_POINTS = 12  # in a box, each drawn large enough to be counted
GOLDEN = 0.6180339887  # multiples of it, without their whole part, never crowd: spreads points without chance


def fold_boxes(trials: Sequence[TrialCurve], metric: str, goal: str, best: int = 10) -> Figure:
    """The scores of the folds of each of the best trials, at the epoch where their mean was best."""
    chosen = [trial for trial in best_first(trials, goal) if trial.curve][:best]
    figure, axes = canvas("Scores by fold of the best trials", "trial, best first", metric)
    if not chosen:
        return empty(figure, axes)
    scores = [folds_at_best(trial, goal) for trial in chosen]
    _boxes(axes, scores)
    for place, row in enumerate(scores, start=1):
        across, up = _dots(place, row).T
        axes.scatter(across, up, s=20, color=COLORS[1], edgecolor="white", linewidth=0.5, zorder=3)
    axes.set_xticks(range(1, len(chosen) + 1), [str(trial.number) for trial in chosen])
    limit(axes, np.concatenate(scores))
    subtitle(axes, f"at the epoch of the best mean; points: folds, {READING}")
    return figure


def parameter_boxes(trials: Sequence[TrialCurve], parameter: str, metric: str, goal: str) -> Figure:
    """The scores of every fold of the complete trials, in a box for each value of the parameter.

    The parameter is a path, or the last word of several: "lr" is the rate of whichever optimizer a trial has.
    """
    grouping, title = by_value(trials, parameter, goal), f"Scores by {parameter.split('.')[-1]}"
    groups, rows = grouping.groups, [group.points for group in grouping.groups]
    if not any(map(len, rows)):
        return empty(*canvas(title, parameter, metric), f"no complete trial has {parameter}")
    low, high, log = _view(rows, goal)
    points = [(across, up) for place, row in enumerate(rows, start=1) for across, up in _dots(place, row).tolist()]
    notes = _notes(grouping, parameter, beyond=any(not low <= up <= high for _, up in points))
    figure, axes = canvas(title, parameter, metric, subtitle_lines=2 if notes else 1)
    _boxes(axes, rows)
    many = max(map(len, rows)) > FEW_POINTS
    style = {"s": 11, "alpha": 0.45, "linewidth": 0} if many else {"s": 24, "edgecolor": "white", "linewidth": 0.5}
    scatter(axes, points, low, high, color=COLORS[1], label=None, **style)
    limit(axes, np.array([low, high]), log=log)
    _name_places(axes, groups)
    subtitle(axes, "\n".join([f"each point: one fold of one trial, {READING}", *notes]))
    return figure


def _boxes(axes: Axes, rows: Sequence[Numbers]) -> None:
    """A box from quartile to quartile at 1, 2, ..., its whiskers as far as the points go."""
    line = {"color": COLORS[0], "linewidth": 1.3}
    axes.boxplot(
        rows,
        positions=list(range(1, len(rows) + 1)),
        widths=min(0.55, 0.12 * (len(rows) + 1)),
        patch_artist=True,
        showfliers=False,
        whis=(0, 100),
        showmeans=True,
        meanprops={"marker": "D", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": INK, "zorder": 4},
        boxprops={**line, "facecolor": FACE},
        medianprops={"color": INK, "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
    )
    room = max(3 - len(rows), 0) / 2  # one or two boxes stand in the middle
    axes.set_xlim(0.4 - room, len(rows) + 0.6 + room)
    axes.grid(visible=False, axis="x")


def _dots(place: int, row: Numbers) -> Numbers:
    """Where the points (n, 2) of the box at this place go: side by side, so that equal ones are seen."""
    aside = 0.36 * (np.arange(len(row)) * GOLDEN % 1 - 0.5)
    if len(row) <= FEW_POINTS:
        aside = np.linspace(-0.12, 0.12, len(row)) if len(row) > 1 else np.zeros(len(row))
    points: Numbers = np.stack([place + aside, row], axis=1)
    return points


def _view(rows: Sequence[Numbers], goal: str) -> tuple[float, float, bool]:
    """Lowest and highest score in view, and whether they differ so much that only a log scale shows them all.

    Every box and mean is in view: that a value is hopeless is what the picture is for. Stray points need not be.
    """
    held = [row for row in rows if len(row)]
    together = np.concatenate(held)
    low, high = spread_of(together, goal)
    marks = np.array([[*np.quantile(row, [0.25, 0.75]), row.mean()] for row in held])
    low, high = min(low, float(marks.min())), max(high, float(marks.max()))
    if np.ptp(together) <= 2 * (high - low):  # then all of them squeeze the boxes little
        low, high = float(together.min()), float(together.max())
    medians = [float(np.median(row)) for row in held]
    return low, high, goal == "min" and low > 0 and max(medians) > 10 * min(medians)


def _name_places(axes: Axes, groups: Sequence[Group]) -> None:
    """The values below their boxes, and below each, softer, how many trials it stands for."""
    places, room = list(range(1, len(groups) + 1)), CLOSE // len(groups)
    labels = [textwrap.fill(group.label, max(room, 1), break_long_words=False) for group in groups]
    counts = [_counts(group, brief=len(groups) > 8) for group in groups]
    if max(len(line) for label in labels for line in label.splitlines()) > room:
        told = [f"{group.label} ({', '.join(count)})" for group, count in zip(groups, counts, strict=True)]
        axes.set_xticks(places, told, rotation=25, ha="right", rotation_mode="anchor")
        return
    lines = [label.splitlines() for label in labels]
    axes.set_xticks(places, _level(lines))
    axes.xaxis.remove_overlapping_locs = False  # minor ticks at the major ones' places carry the counts
    axes.set_xticks(places, _level(counts), minor=True)
    axes.tick_params(
        axis="x", which="minor", length=0, pad=7 + 14 * max(map(len, lines)), labelsize=9, labelcolor=QUIET
    )


def _level(labels: Sequence[Sequence[str]]) -> list[str]:
    """Labels of as many lines each: their first lines then stand side by side."""
    deepest = max(map(len, labels))
    return ["\n".join([*lines, *[" "] * (deepest - len(lines))]) for lines in labels]


def _counts(group: Group, *, brief: bool) -> list[str]:
    trials = f"n = {group.complete}" if brief else f"{group.complete} trial{'s' * (group.complete != 1)}"
    return [trials, f"{group.failed} failed"] if group.failed else [trials]


def _notes(grouping: Grouping, parameter: str, *, beyond: bool) -> list[str]:
    """A second line of the subtitle, where there is something to say: who is not in the picture."""
    out = [f"{grouping.lacking} without {parameter.split('.')[-1]}"] if grouping.lacking else []
    out += [f"{grouping.pruned} pruned"] if grouping.pruned else []
    told = [f"trials left out: {', '.join(out)}"] if out else []
    told += ["triangles: beyond the scale"] if beyond else []
    return ["; ".join(told)] if told else []

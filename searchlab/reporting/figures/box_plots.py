"""Box plots of scores: by fold of the best trials, and of all trials by the value of one parameter."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.parameter_groups import ParameterGroup, ParameterGroups, group_by_value
from searchlab.reporting.figures.plotted_trial import PlottedTrial, best_first, fold_scores
from searchlab.reporting.formats import count, parameter_name
from searchlab.reporting.style import (
    COLORS,
    MUTED_TEXT_COLOR,
    TEXT_COLOR,
    FloatArray,
    add_subtitle,
    new_figure,
    scatter_clipped,
    score_range,
    set_y_limits,
    show_message,
)

BOX_COLOR = "#d6e8f4"
KEY = "diamond: mean, line: median, box: middle half"
MAX_LABEL_LETTERS = 72  # in all labels together, side by side below the boxes
MAX_LARGE_POINTS = 12  # in a box; more points than these are drawn smaller and transparent
GOLDEN_RATIO = 0.6180339887  # the fractional parts of its multiples are evenly spread, without a random generator


def plot_fold_scores(trials: Sequence[PlottedTrial], metric: str, goal: str, best: int = 10) -> Figure:
    """Plot the fold scores of each of the best trials, at the epoch with the best mean."""
    chosen = [trial for trial in best_first(trials, goal) if trial.curve][:best]
    figure, axes = new_figure("Fold scores of the best trials", "trial, best first", metric)
    if not chosen:
        return show_message(figure, axes)
    rows = [fold_scores(trial, goal) for trial in chosen]
    _draw_boxes(axes, rows)
    for position, row in enumerate(rows, start=1):
        x, y = _spread_points(position, row).T
        axes.scatter(x, y, s=20, color=COLORS[1], edgecolor="white", linewidth=0.5, zorder=3)
    axes.set_xticks(range(1, len(chosen) + 1), [str(trial.number) for trial in chosen])
    set_y_limits(axes, np.concatenate(rows))
    add_subtitle(axes, f"at the epoch with the best mean; points: folds, {KEY}")
    return figure


def plot_parameter_scores(trials: Sequence[PlottedTrial], parameter: str, metric: str, goal: str) -> Figure:
    """Plot the fold scores of the complete and pruned trials, at equal epochs, as a box for each value of a parameter.

    The parameter is a path, or the last part of several paths: "lr" is the learning rate of every optimizer.
    """
    grouped, title = group_by_value(trials, parameter, goal), f"Scores by {parameter_name(parameter)}"
    rows = [group.scores for group in grouped.groups]
    if not any(map(len, rows)):
        return show_message(*new_figure(title, parameter, metric), f"no trial with a score has {parameter}")
    low, high, log = _y_range(rows, goal)
    clipped = any(not low <= score <= high for row in rows for score in row.tolist())
    until = grouped.judged.words
    figure, axes = new_figure(title, parameter, f"best {metric}{until}" if until else metric, subtitle_lines=2)
    _draw_boxes(axes, rows)
    _draw_points(axes, grouped.groups, low, high)
    set_y_limits(axes, np.array([low, high]), log=log)
    _label_groups(axes, grouped.groups)
    points = f"points: folds of trials{f' at their best epoch{until}; hollow: pruned later' if until else ''}"
    add_subtitle(axes, "\n".join([points, "; ".join([KEY, *_notes(grouped, parameter, clipped=clipped)])]))
    return figure


def _draw_points(axes: Axes, groups: Sequence[ParameterGroup], low: float, high: float) -> None:
    """Draw the fold scores of each group beside each other: filled for complete trials, hollow for pruned ones."""
    many = max(len(group.scores) for group in groups) > MAX_LARGE_POINTS
    size = {"s": 11, "alpha": 0.6} if many else {"s": 24}
    filled = {"color": COLORS[1], "linewidth": 0 if many else 0.5, "edgecolor": "white"}
    hollow = {"facecolor": "none", "edgecolor": COLORS[1], "linewidth": 0.7}
    points = [_spread_points(place, group.scores).tolist() for place, group in enumerate(groups, start=1)]
    counts = [len(group.complete_scores) for group in groups]
    complete = [tuple(point) for row, number in zip(points, counts, strict=True) for point in row[:number]]
    pruned = [tuple(point) for row, number in zip(points, counts, strict=True) for point in row[number:]]
    scatter_clipped(axes, pruned, low, high, label=None, **size, **hollow)
    scatter_clipped(axes, complete, low, high, label=None, **size, **filled)


def _draw_boxes(axes: Axes, rows: Sequence[FloatArray]) -> None:
    """Draw a box from quartile to quartile at x = 1, 2, ..., with whiskers from the lowest to the highest score."""
    line = {"color": COLORS[0], "linewidth": 1.3}
    diamond = {"marker": "D", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": TEXT_COLOR, "zorder": 4}
    axes.boxplot(
        rows,
        positions=list(range(1, len(rows) + 1)),
        widths=min(0.55, 0.12 * (len(rows) + 1)),
        patch_artist=True,
        showfliers=False,
        whis=(0, 100),
        showmeans=True,
        meanprops=diamond,
        boxprops={**line, "facecolor": BOX_COLOR},
        medianprops={"color": TEXT_COLOR, "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
    )
    margin = max(3 - len(rows), 0) / 2  # one or two boxes stand in the middle
    axes.set_xlim(0.4 - margin, len(rows) + 0.6 + margin)
    axes.grid(visible=False, axis="x")


def _spread_points(position: int, row: FloatArray) -> FloatArray:
    """Return the points (n, 2) of a box, spread along x so that equal scores do not hide each other."""
    offset = 0.36 * (np.arange(len(row)) * GOLDEN_RATIO % 1 - 0.5)
    if len(row) <= MAX_LARGE_POINTS:
        offset = np.linspace(-0.12, 0.12, len(row)) if len(row) > 1 else np.zeros(len(row))
    points: FloatArray = np.stack([position + offset, row], axis=1)
    return points


def _y_range(rows: Sequence[FloatArray], goal: str) -> tuple[float, float, bool]:
    """Return the lowest and the highest score to show, and whether only a log scale shows all boxes.

    Every box and every mean is inside, since the figure is to show that a value is hopeless; single points may not be.
    """
    filled = [row for row in rows if len(row)]
    scores = np.concatenate(filled)
    low, high = score_range(scores, goal)
    marks = np.array([[*np.quantile(row, [0.25, 0.75]), row.mean()] for row in filled])
    low, high = min(low, float(marks.min())), max(high, float(marks.max()))
    if np.ptp(scores) <= 2 * (high - low):  # then showing every point squeezes the boxes only a little
        low, high = float(scores.min()), float(scores.max())
    medians = [float(np.median(row)) for row in filled]
    return low, high, goal == "min" and low > 0 and max(medians) > 10 * min(medians)


def _label_groups(axes: Axes, groups: Sequence[ParameterGroup]) -> None:
    """Write the values below their boxes, and below each value, in gray, its number of trials."""
    positions, letters = list(range(1, len(groups) + 1)), MAX_LABEL_LETTERS // len(groups)
    labels = [textwrap.fill(group.label, max(letters, 1), break_long_words=False) for group in groups]
    counts = [_trial_counts(group, brief=len(groups) > 8) for group in groups]
    if max(len(line) for label in labels for line in label.splitlines()) > letters:
        combined = [f"{group.label} ({', '.join(lines)})" for group, lines in zip(groups, counts, strict=True)]
        axes.set_xticks(positions, combined, rotation=25, ha="right", rotation_mode="anchor")
        return
    lines = [label.splitlines() for label in labels]
    axes.set_xticks(positions, _pad_lines(lines))
    axes.xaxis.remove_overlapping_locs = False  # the minor ticks, at the places of the major ones, have the counts
    axes.set_xticks(positions, _pad_lines(counts), minor=True)
    pad = 7 + 14 * max(map(len, lines))
    axes.tick_params(axis="x", which="minor", length=0, pad=pad, labelsize=9, labelcolor=MUTED_TEXT_COLOR)


def _pad_lines(labels: Sequence[Sequence[str]]) -> list[str]:
    """Return labels with the same number of lines each, so that their first lines are at one height."""
    most = max(map(len, labels))
    return ["\n".join([*lines, *[" "] * (most - len(lines))]) for lines in labels]


def _trial_counts(group: ParameterGroup, *, brief: bool) -> list[str]:
    judged = group.complete + group.pruned
    trials = f"n = {judged}" if brief else count(judged, "trial")
    return [
        trials,
        *(f"{number} {word}" for number, word in ((group.pruned, "pruned"), (group.failed, "failed")) if number),
    ]


def _notes(grouped: ParameterGroups, parameter: str, *, clipped: bool) -> list[str]:
    """Return what else the subtitle says: how many trials have no such parameter, and whether points are outside."""
    without = grouped.without_parameter
    notes = [f"left out: {count(without, 'trial')} without {parameter_name(parameter)}"] if without else []
    return notes + (["triangles: outside the scale"] if clipped else [])

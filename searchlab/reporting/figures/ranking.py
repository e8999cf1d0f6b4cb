"""How sure the order of the best trials is: the paired difference of each to the best one, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from searchlab.pruning.intervals import LEVEL, Interval, repeated_cv_interval
from searchlab.reporting.figures.plotted_trial import PlottedTrial, best_first, fold_scores
from searchlab.reporting.formats import percent, score
from searchlab.reporting.style import (
    COLORS,
    MUTED_LINE_COLOR,
    MUTED_TEXT_COLOR,
    add_subtitle,
    new_figure,
    show_message,
)

MAX_TRIALS = 12
MIN_SHOWN = 4  # of them, also where their differences are much larger than those of the tied ones
REACH = 2.0  # times the longest interval of a tied trial: a trial further from the best is not shown
TITLE = "How sure the order of the best trials is"


def plot_ranking(trials: Sequence[PlottedTrial], metric: str, goal: str) -> Figure:
    """Plot the mean difference over folds of each of the best trials to the best one, with its 95 % interval.

    The folds are the same for all trials, so trials are compared fold by fold. The interval allows for the training
    rows that K folds share, as those of K-fold cross-validation do. A trial whose interval includes 0 may be the best.
    """
    differences = differences_to_best(trials, goal)
    label = f"difference in {metric} to trial {differences[0][0].number}" if differences else ""
    figure, axes = new_figure(
        TITLE, label, "trial", size=(8.0, max(1.9 + 0.32 * len(differences), 2.8)), subtitle_lines=2
    )
    if len(differences) < 2:
        return show_message(figure, axes, "it needs two trials with the same folds, at least two")
    places = range(len(differences))
    ties = 0
    for place, (trial, interval) in zip(places, differences, strict=True):
        tied = place == 0 or interval.includes(0.0)
        ties += tied and place > 0
        color = COLORS[1] if place == 0 else COLORS[0] if tied else MUTED_LINE_COLOR
        if interval.low is not None and interval.high is not None and place:
            axes.plot([interval.low, interval.high], [place, place], color=color, linewidth=2.0, zorder=2)
        axes.scatter([interval.mean], [place], s=34, color=color, zorder=3)
        axes.annotate(
            score(trial.value), (1.0, place), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", fontsize=10, color=MUTED_TEXT_COLOR,
        )  # fmt: skip
    axes.axvline(0.0, color=COLORS[1], linewidth=1.0, zorder=1)
    axes.set_yticks(places, [str(trial.number) for trial, _ in differences])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    text = f"lines: {percent(LEVEL)} intervals of the difference, fold by fold; at the right: {metric}\n"
    text += f"{ties} of {len(differences) - 1} others may be as good (blue); chance alone favors the first of many"
    add_subtitle(axes, text)
    return figure


def differences_to_best(trials: Sequence[PlottedTrial], goal: str) -> list[tuple[PlottedTrial, Interval]]:
    """Return the best trials, and the interval of the mean difference of each to the first, by the folds they share."""
    chosen = [trial for trial in best_first(trials, goal) if trial.curve][:MAX_TRIALS]
    folds = [fold_scores(trial, goal) for trial in chosen]
    if not folds or len(folds[0]) < 2:
        return []
    ratio = 1.0 / (len(folds[0]) - 1)  # held-out rows divided by training rows
    pairs = [(trial, own) for trial, own in zip(chosen, folds, strict=True) if len(own) == len(folds[0])]
    found = [(trial, repeated_cv_interval((own - folds[0])[None], ratio)) for trial, own in pairs]
    tied = [_length(interval) for _, interval in found[1:] if interval.includes(0.0)]
    reach = REACH * max(tied, default=0.0)
    return [pair for place, pair in enumerate(found) if place < MIN_SHOWN or abs(pair[1].mean) <= reach]


def _length(interval: Interval) -> float:
    return 0.0 if interval.low is None or interval.high is None else interval.high - interval.low

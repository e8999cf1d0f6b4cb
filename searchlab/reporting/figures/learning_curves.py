"""The learning curves of the best trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.plotted_trial import PlottedTrial, best_first, curve_scores, training_means
from searchlab.reporting.formats import count, score
from searchlab.reporting.style import (
    COLORS,
    MUTED_LINE_COLOR,
    FloatArray,
    add_legend,
    add_subtitle,
    new_figure,
    set_y_limits,
    show_message,
    use_integer_ticks,
)


def plot_learning_curves(trials: Sequence[PlottedTrial], metric: str, goal: str, best: int = 5) -> Figure:
    """Plot the mean over folds after each epoch of the best trials, with a band of one standard deviation.

    A dashed line of the same color shows the score on training rows, where it was measured: far from the solid line,
    the network has learned what does not hold for other rows. Thin gray lines show the trials that were stopped early.
    """
    chosen = [trial for trial in best_first(trials, goal) if trial.curve][:best]
    figure, axes = new_figure("Learning curves of the best trials", "epoch", metric)
    if not chosen:
        return show_message(figure, axes)
    stopped = [trial for trial in trials if trial.state == "PRUNED" and trial.curve and trial not in chosen]
    _draw_stopped(axes, stopped)
    bands = [_draw_curve(axes, trial, rank) for rank, trial in enumerate(chosen)]
    set_y_limits(axes, np.concatenate(bands))
    use_integer_ticks(axes)
    last = max(len(trial.curve) for trial in chosen)
    margin = max(0.01 * last, 0.5 if last < 3 else 0.0)
    axes.set_xlim(1 - margin, last + margin)
    has_training = any(len(training_means(trial)[0]) for trial in chosen)
    add_subtitle(axes, _subtitle(len(chosen[0].curve[0]), len(stopped), has_training=has_training))
    add_legend(axes, metric)
    return figure


def _draw_curve(axes: Axes, trial: PlottedTrial, rank: int) -> FloatArray:
    """Draw one of the best trials and return the values that the y axis has to show.

    The steep first fifth of the epochs may lie outside: the trials differ in what comes after it.
    """
    scores = curve_scores(trial)  # (epochs, folds)
    mean, std, epochs = scores.mean(axis=1), scores.std(axis=1), np.arange(1, len(scores) + 1)
    color, marker = COLORS[rank % len(COLORS)], "o" if len(scores) < 3 else ""
    label = f"{score(trial.value)}  trial {trial.number}"
    axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.13, linewidth=0)
    axes.plot(epochs, mean, color=color, linewidth=1.8, marker=marker, label=label, zorder=10 - rank)
    first = len(scores) // 5
    measured, training = training_means(trial)
    dot = "o" if len(measured) == 1 else ""
    axes.plot(
        measured,
        training,
        color=color,
        linewidth=1.2,
        linestyle=(0, (4, 2)),
        marker=dot,
        markersize=3,
        zorder=10 - rank,
    )
    band: FloatArray = np.concatenate(
        [mean[first:] - std[first:], mean[first:] + std[first:], training[measured > first]]
    )
    return band


def _draw_stopped(axes: Axes, stopped: Sequence[PlottedTrial]) -> None:
    """Draw a thin line for each trial, which ends in a dot where the trial was stopped."""
    style = {"color": MUTED_LINE_COLOR, "linewidth": 0.7, "alpha": 0.6, "marker": "."}
    for trial in stopped:
        mean = curve_scores(trial).mean(axis=1)
        axes.plot(np.arange(1, len(mean) + 1), mean, markevery=[len(mean) - 1], **style)  # type: ignore[arg-type]


def _subtitle(folds: int, stopped: int, *, has_training: bool) -> str:
    text = f"mean over {folds} folds, band: one standard deviation" if folds > 1 else "one fold"
    if has_training:  # shorter, so that all of it fits
        text = (f"mean ± std over {folds} folds" if folds > 1 else text) + "; dashed: on training rows"
    return f"{text}; gray: {count(stopped, 'trial')} stopped early" if stopped else text

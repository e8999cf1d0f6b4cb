"""How the best trials learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.figures.trials import TrialCurve, best_first, scores_of
from searchlab.reporting.style import COLORS, SOFT, canvas, empty, legend, limit, subtitle, whole_numbers


def learning_curves(trials: Sequence[TrialCurve], metric: str, goal: str, best: int = 5) -> Figure:
    """The mean over the folds by epoch of the best trials, with one standard deviation on either side.

    Behind them, thin and grey, are those of the trials that were stopped.
    """
    chosen = [trial for trial in best_first(trials, goal) if trial.curve][:best]
    figure, axes = canvas("Learning curves of the best trials", "epoch", metric)
    if not chosen:
        return empty(figure, axes)
    stopped = [trial for trial in trials if trial.state == "PRUNED" and trial.curve and trial not in chosen]
    _draw_stopped(axes, stopped)
    in_view = []
    for rank, trial in enumerate(chosen):
        scores = scores_of(trial)  # (epochs, K)
        mean, std, epochs = scores.mean(axis=1), scores.std(axis=1), np.arange(1, len(scores) + 1)
        color, marker = COLORS[rank % len(COLORS)], "o" if len(scores) < 3 else ""
        axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.13, linewidth=0)
        axes.plot(epochs, mean, color=color, linewidth=1.8, marker=marker, label=_name(trial), zorder=10 - rank)
        settled = len(scores) // 5  # the steep first epochs may leave the picture: what differs lies above them
        in_view += [mean[settled:] - std[settled:], mean[settled:] + std[settled:]]
    limit(axes, np.concatenate(in_view))
    whole_numbers(axes)
    last = max(len(trial.curve) for trial in chosen)
    margin = max(0.01 * last, 0.5 if last < 3 else 0.0)
    axes.set_xlim(1 - margin, last + margin)
    folds = len(chosen[0].curve[0])
    told = f"mean over {folds} folds, band: one standard deviation" if folds > 1 else "one fold"
    grey = f"; grey: {len(stopped)} trial{'s' * (len(stopped) != 1)} stopped early" if stopped else ""
    subtitle(axes, told + grey)
    legend(axes, metric)
    return figure


def _draw_stopped(axes: Axes, stopped: Sequence[TrialCurve]) -> None:
    """A thin line for each, ending in a dot where it was stopped; those far below leave the picture."""
    for trial in stopped:
        mean = scores_of(trial).mean(axis=1)
        ends = [len(mean) - 1]  # the mark is at the last epoch alone
        axes.plot(np.arange(1, len(mean) + 1), mean, color=SOFT, linewidth=0.7, alpha=0.6, marker=".", markevery=ends)


def _name(trial: TrialCurve) -> str:
    return f"{trial.value:.4g}  trial {trial.number}"

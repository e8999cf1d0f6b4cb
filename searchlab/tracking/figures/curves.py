"""How the best trials learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from searchlab.tracking.drawing import COLORS, canvas, empty, legend, limit, subtitle, whole_numbers
from searchlab.tracking.figures.trials import TrialCurve, best_first, scores_of


def learning_curves(trials: Sequence[TrialCurve], metric: str, goal: str, best: int = 5) -> Figure:
    """The mean over the folds by epoch of the best trials, with one standard deviation on either side."""
    chosen = [trial for trial in best_first(trials, goal) if trial.curve][:best]
    figure, axes = canvas("Learning curves of the best trials", "epoch", metric)
    if not chosen:
        return empty(figure, axes)
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
    subtitle(axes, f"mean over {folds} folds, band: one standard deviation" if folds > 1 else "one fold")
    legend(axes, metric)
    return figure


def _name(trial: TrialCurve) -> str:
    return f"{trial.value:.4g}  trial {trial.number}"

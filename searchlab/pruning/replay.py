"""Replay recorded learning curves under a pruner, to see which trials it would have stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import StoppingRule


@dataclass(frozen=True)
class Replay:
    """What a pruner does to recorded learning curves.

    Args:
        epochs: Number of epochs trained, over all trials.
        stopped: The epoch after which each stopped trial stops, by trial.
        winner: The best of the trials that neither stop nor diverge; None where there is none.
    """

    epochs: int
    stopped: Mapping[int, int]
    winner: int | None


def replay(
    recorded: Mapping[int, Array], goal: Goal, rule: StoppingRule, order: Sequence[int], parallel: int = 1
) -> Replay:
    """Replay the recorded scores (epochs, folds) of trials under a stopping rule.

    Trials that run in parallel advance by an epoch in turn, as on workers of equal speed. A trial without epochs is
    left out, and a trial whose last score is not finite has failed.

    Args:
        recorded: The scores (epochs, folds) of each trial, with the sign of the metric.
        goal: Whether larger ("max") or smaller ("min") scores are better.
        rule: The pruner, or what calls a pruner of Optuna.
        order: Numbers of the trials in the order in which they begin.
        parallel: Number of trials that run at the same time; default 1.

    Example:
        >>> import numpy as np
        >>> from searchlab import Halving
        >>> from searchlab.pruning.replay import replay
        >>> recorded = {trial: np.full((3, 2), 0.9 - trial / 10) for trial in range(4)}
        >>> replay(recorded, "max", Halving(first_rung=1), order=[0, 1, 2, 3])
        Replay(epochs=8, stopped={2: 1, 3: 1}, winner=0)
    """
    curves, stopped, running = LearningCurves(goal), dict[int, int](), list[int]()
    pending = [trial for trial in reversed(order) if len(recorded[trial])]
    while pending or running:
        while pending and len(running) < parallel:
            running.append(pending.pop())
        for trial in tuple(running):
            scores = recorded[trial]
            epoch = curves.add_epoch(trial, scores[curves.last_epoch(trial)])
            if epoch == len(scores):
                running.remove(trial)
                if np.isfinite(scores[-1]).all():
                    curves.mark_finished(trial)
            elif rule.is_due(epoch) and rule.stop_reason(curves, trial):
                running.remove(trial)
                stopped[trial] = epoch
    finished = {trial: recorded[trial] for trial in curves.finished}
    return Replay(curves.total_epochs, stopped, best_trial(finished, goal))


def best_trial(recorded: Mapping[int, Array], goal: Goal) -> int | None:
    """Return the trial with the best `best_score`, the lowest number of equals; None where there is none."""
    scores = {trial: best_score(curve, goal) for trial, curve in sorted(recorded.items())}
    sign = 1.0 if goal == "max" else -1.0
    finite = [trial for trial, score in scores.items() if np.isfinite(score)]
    return max(finite, key=lambda trial: sign * scores[trial]) if finite else None


def best_score(scores: Array, goal: Goal) -> float:
    """Return the best mean over folds of a curve (epochs, folds); NaN where no mean is finite."""
    means = scores.astype(np.float64).mean(axis=1)
    means = means[np.isfinite(means)]
    if not len(means):
        return float("nan")
    return float(means.max() if goal == "max" else means.min())


def standard_error(scores: Array, goal: Goal) -> float:
    """Return the standard error over folds at the best epoch of a curve (epochs, folds); NaN for a single fold."""
    means = scores.astype(np.float64).mean(axis=1)
    best = scores[np.nanargmax(means) if goal == "max" else np.nanargmin(means)]
    return float(best.std(ddof=1) / np.sqrt(len(best))) if len(best) > 1 else float("nan")

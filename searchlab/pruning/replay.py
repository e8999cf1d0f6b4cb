"""Recorded curves told again, to see what another pruner would have made of them."""

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
    """What a pruner made of recorded curves: how many epochs it spent, and at which epoch it stopped which trial.

    `winner` is the best of the trials that were not stopped and did not diverge, None where there is none.
    """

    spent: int
    stopped: Mapping[int, int]
    winner: int | None


def replay(
    recorded: Mapping[int, Array], goal: Goal, judge: StoppingRule, order: Sequence[int], abreast: int = 1
) -> Replay:
    """Tell the recorded scores (epochs, folds) of trials in this order, `abreast` of them side by side.

    Trials side by side move on by an epoch in turn, as on workers of one speed. A curve without epochs is left out, and
    one that ends in a score that is no number has failed.
    """
    curves, stopped, going = LearningCurves(goal), dict[int, int](), list[int]()
    waiting = [trial for trial in reversed(order) if len(recorded[trial])]
    while waiting or going:
        while waiting and len(going) < abreast:
            going.append(waiting.pop())
        for trial in tuple(going):
            scores = recorded[trial]
            epoch = curves.add(trial, scores[curves.length(trial)])
            if epoch == len(scores):
                going.remove(trial)
                if np.isfinite(scores[-1]).all():
                    curves.finish(trial)
            elif judge.due(epoch) and judge.why_stop(curves, trial):
                going.remove(trial)
                stopped[trial] = epoch
    return Replay(curves.epochs, stopped, best_of({trial: recorded[trial] for trial in curves.finished}, goal))


def best_of(recorded: Mapping[int, Array], goal: Goal) -> int | None:
    """The trial whose best mean over folds is the best, the earlier of two equals; None where there is none."""
    values = {trial: score_of(scores, goal) for trial, scores in sorted(recorded.items())}
    sign = 1.0 if goal == "max" else -1.0
    finite = [trial for trial, value in values.items() if np.isfinite(value)]
    return max(finite, key=lambda trial: sign * values[trial]) if finite else None


def score_of(scores: Array, goal: Goal) -> float:
    """What a curve (epochs, folds) is worth: its best mean over folds, NaN where there is none."""
    means = scores.astype(np.float64).mean(axis=1)
    means = means[np.isfinite(means)]
    if not len(means):
        return float("nan")
    return float(means.max() if goal == "max" else means.min())


def standard_error(scores: Array, goal: Goal) -> float:
    """The standard error over folds of a curve's best mean: what a score owes to chance; NaN for a single fold."""
    means = scores.astype(np.float64).mean(axis=1)
    best = scores[np.nanargmax(means) if goal == "max" else np.nanargmin(means)]
    return float(best.std(ddof=1) / np.sqrt(len(best))) if len(best) > 1 else float("nan")

"""The recorded learning curves of a sweep replayed under another pruner: the epochs it saves and the score it loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.pruning.pruner import Pruner
from searchlab.pruning.replay import best_score, best_trial, replay, standard_error
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord
from searchlab.runs.workspace import Workspace
from searchlab.study.optuna_pruners import create_stopping_rule
from searchlab.study.reading import read_trials

SHUFFLED_ORDERS = 20  # in which trials are replayed, beside the order in which they ran


@dataclass(frozen=True)
class OrderReplay:
    """What a pruner does when the trials run in one order.

    Attributes:
        epochs: Number of epochs trained.
        stopped: Number of trials stopped.
        winner: The best trial that is not stopped; None where there is none.
        score: Its score, NaN where there is none.
        score_loss: How much worse that is than the best score of all trials, in the unit of the metric, at least 0.
        rank: The winner's rank among all trials, from 1; None where there is no winner.
        stops_best: Whether the best trial is stopped.
    """

    epochs: int
    stopped: int
    winner: int | None
    score: float
    score_loss: float
    rank: int | None
    stops_best: bool


@dataclass(frozen=True, kw_only=True)
class SweepReplay:
    """A sweep replayed under a pruner.

    Attributes:
        sweep: Name of the sweep.
        metric: Name of the primary metric.
        goal: Its direction, "max" or "min".
        pruner: The pruner with its arguments, as text.
        trials: Number of trials with a learning curve.
        pruned_trials: How many of them the sweep's own pruner had stopped, so that their curves are incomplete.
        epochs: Number of recorded epochs.
        best_trial: The best trial.
        best_score: Its score.
        standard_error: Standard error of that score over folds, NaN for a single fold.
        orders: One replay per order, that in which the trials ran first.
    """

    sweep: str
    metric: str
    goal: Goal
    pruner: str
    trials: int
    pruned_trials: int
    epochs: int
    best_trial: int
    best_score: float
    standard_error: float
    orders: tuple[OrderReplay, ...]

    @property
    def epochs_share(self) -> float:
        """The epochs trained as a share of those recorded, the median over orders."""
        return float(np.median([order.epochs for order in self.orders])) / self.epochs

    @property
    def score_loss(self) -> float:
        """The score lost, the median over orders."""
        return float(np.median([order.score_loss for order in self.orders]))

    @property
    def stops_best_share(self) -> float:
        """The share of orders in which the best trial is stopped."""
        return float(np.mean([order.stops_best for order in self.orders]))

    def to_json(self) -> dict[str, Any]:
        """Return the replay as JSON values."""
        summary = {name: getattr(self, name) for name in ("epochs_share", "score_loss", "stops_best_share")}
        return asdict(self) | summary


def replay_sweep(name: str, pruner: Pruner, workspace: Workspace, orders: int = SHUFFLED_ORDERS) -> SweepReplay:
    """Replay a sweep's learning curves, one trial after the other, in the order in which they ran and in shuffled ones.

    Raises UserMistake when there is no sweep of this name, when no trial has a score, and when the pruner cannot be
    used with the number of folds.
    """
    folder = workspace.sweep(name)
    manifest = SweepManifest.load(folder)
    records = read_trials(manifest.study_storage(folder), name)
    return replay_records(name, records, metric=manifest.metric, goal=manifest.goal, pruner=pruner, orders=orders)


def replay_records(
    name: str, records: Sequence[TrialRecord], *, metric: str, goal: Goal, pruner: Pruner, orders: int
) -> SweepReplay:
    """Replay the learning curves of trial records, as `replay_sweep` does."""
    curves = {record.number: np.array(record.curve.scores) for record in records if record.curve.scores}
    best = best_trial(curves, goal)
    if best is None:
        raise UserMistake(f"no trial of {name!r} has a score yet, so there is nothing to replay.")
    pruner.validate(curves[best].shape[1])
    generator, as_run = np.random.default_rng(0), sorted(curves)
    all_orders = [as_run, *(generator.permutation(as_run).tolist() for _ in range(orders))]
    return SweepReplay(
        sweep=name,
        metric=metric,
        goal=goal,
        pruner=repr(pruner),
        trials=len(curves),
        pruned_trials=sum(record.state == "PRUNED" and record.number in curves for record in records),
        epochs=sum(map(len, curves.values())),
        best_trial=best,
        best_score=best_score(curves[best], goal),
        standard_error=standard_error(curves[best], goal),
        orders=tuple(_replay_order(curves, goal, pruner, order, best) for order in all_orders),
    )


def _replay_order(
    curves: Mapping[int, Array], goal: Goal, pruner: Pruner, order: Sequence[int], best: int
) -> OrderReplay:
    replayed = replay(curves, goal, create_stopping_rule(pruner, goal), order)
    scores = {trial: best_score(curve, goal) for trial, curve in curves.items()}
    score, rank = float("nan"), None
    if replayed.winner is not None:
        score = scores[replayed.winner]
        rank = 1 + sum(other > score if goal == "max" else other < score for other in scores.values())
    return OrderReplay(
        epochs=replayed.epochs,
        stopped=len(replayed.stopped),
        winner=replayed.winner,
        score=score,
        score_loss=abs(scores[best] - score),
        rank=rank,
        stops_best=best in replayed.stopped,
    )

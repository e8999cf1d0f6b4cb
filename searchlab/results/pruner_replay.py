"""A finished sweep told again under another pruner: what it would have saved, and what that would have cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.pruning.pruner import Pruner
from searchlab.pruning.replay import best_of, replay, score_of, standard_error
from searchlab.runs.config import RunConfig
from searchlab.runs.trials import TrialRecord
from searchlab.runs.workspace import Workspace
from searchlab.study.optuna_pruners import stopping_rule_of
from searchlab.study.reading import peek

ORDERS = 20  # shuffled ones, beside the sweep's own


@dataclass(frozen=True)
class ReplayOutcome:
    """What a pruner made of the curves in one order. `place` is that of its winner among all trials, from 1."""

    spent: int
    stopped: int
    winner: int | None
    score: float
    lost: float  # in the metric's unit, at least 0
    place: int | None
    stopped_best: bool


@dataclass(frozen=True)
class Replayed:
    """A sweep's curves under a pruner: in the sweep's own order first, then in shuffled ones."""

    sweep: str
    metric: str
    goal: Goal
    pruner: str
    trials: int
    cut: int  # of them, those that the sweep's own pruner had stopped: how they would have gone on, nobody knows
    epochs: int
    best: int
    score: float
    standard_error: float  # of the best score over folds, NaN for one fold
    outcomes: tuple[ReplayOutcome, ...]

    @property
    def share(self) -> float:
        """The median share of the recorded epochs that it spends."""
        return float(np.median([outcome.spent for outcome in self.outcomes])) / self.epochs

    @property
    def lost(self) -> float:
        """The median loss of score."""
        return float(np.median([outcome.lost for outcome in self.outcomes]))

    @property
    def stopped_best(self) -> float:
        """The share of the orders in which it stops the best trial."""
        return float(np.mean([outcome.stopped_best for outcome in self.outcomes]))

    def plain(self) -> dict[str, Any]:
        """As JSON values, the sweep's own order first among the outcomes."""
        return asdict(self) | {"share": self.share, "lost": self.lost, "stopped_best": self.stopped_best}


def replay_sweep(name: str, pruner: Pruner, home: Workspace, orders: int = ORDERS) -> Replayed:
    """Tell the recorded curves of a sweep again, in its own order and in shuffled ones, one trial after the other.

    Raises UserMistake when no sweep has this name, when it has no trial with a score, and when the pruner cannot work
    with its folds.
    """
    order = RunConfig.of(home.sweep(name))
    records = peek(order.storage or home.sweep(name).study, name)
    return replay_records(name, records, order.metric, order.goal, pruner, orders)


def replay_records(
    name: str, records: Sequence[TrialRecord], metric: str, goal: Goal, pruner: Pruner, orders: int
) -> Replayed:
    """The same of trials that are at hand."""
    curves = {record.number: np.array(record.curve.scores) for record in records if record.curve.scores}
    best = best_of(curves, goal)
    if best is None:
        raise UserMistake(f"no trial of {name!r} has a score yet, so there is nothing to replay.")
    pruner.refuse(curves[best].shape[1])
    draws, own = np.random.default_rng(0), sorted(curves)
    told = [own, *(draws.permutation(own).tolist() for _ in range(orders))]
    outcomes = tuple(_outcome(curves, goal, pruner, order, best) for order in told)
    cut = sum(record.state == "PRUNED" for record in records)
    score, error = score_of(curves[best], goal), standard_error(curves[best], goal)
    epochs = sum(map(len, curves.values()))
    return Replayed(name, metric, goal, repr(pruner), len(curves), cut, epochs, best, score, error, outcomes)


def _outcome(curves: dict[int, Array], goal: Goal, pruner: Pruner, order: list[int], best: int) -> ReplayOutcome:
    made = replay(curves, goal, stopping_rule_of(pruner, goal), order)
    scores = {trial: score_of(curve, goal) for trial, curve in curves.items()}
    if made.winner is None:
        return ReplayOutcome(
            made.spent, len(made.stopped), None, float("nan"), float("nan"), None, best in made.stopped
        )
    found, top = scores[made.winner], scores[best]
    better = [score for score in scores.values() if (score > found if goal == "max" else score < found)]
    return ReplayOutcome(
        made.spent, len(made.stopped), made.winner, found, abs(top - found), len(better) + 1, best in made.stopped
    )

"""Epochs that pruners spend and scores that they lose on real sweeps recorded in full (bench/recordings.py).

python -m bench.pruning [--orders N] [--parallel N] [--check]

Each recording is replayed in shuffled orders. `epochs` is the share of epochs that the pruner trains; `lost` is what
the final score loses, in standard errors over folds of the best trial of the recording; `best stopped` is the share of
the orders in which this trial stops. --check ends with exit code 1 where the default pruner misses a goal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np
import optuna

from bench.recordings import FOLDER, SWEEPS
from searchlab import Halving, Median, NoPruning, OptunaPruner, Race
from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.pruning.pruner import Pruner
from searchlab.pruning.replay import best_score, best_trial, replay, standard_error
from searchlab.study.optuna_pruners import create_stopping_rule

MAX_SHARE, MAX_LOST, MAX_STOPPED = 0.30, 0.10, 0.05  # goals: share of epochs, median loss, share of orders

PRUNERS: dict[str, Callable[[int], Pruner]] = {  # from the epochs of a trial
    "NoPruning": lambda epochs: NoPruning(),
    "Halving (the default)": lambda epochs: Halving(),
    "Halving(race=None)": lambda epochs: Halving(race=None),
    "Halving(first_rung=1)": lambda epochs: Halving(first_rung=1),
    "Race": lambda epochs: Race(),
    "Race(alpha=0.2)": lambda epochs: Race(alpha=0.2),
    "Median": lambda epochs: Median(),
    "Optuna's Median": lambda epochs: OptunaPruner(optuna.pruners.MedianPruner(n_warmup_steps=1)),
    "Optuna's SuccessiveHalving": lambda epochs: OptunaPruner(
        optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)
    ),
    "Optuna's Hyperband": lambda epochs: OptunaPruner(
        optuna.pruners.HyperbandPruner(min_resource=2, max_resource=epochs, reduction_factor=3)
    ),
}


@dataclass(frozen=True)
class PrunerSummary:
    """The results over all orders: median share of epochs, median and largest loss, how often the best trial stops."""

    share: float
    lost: float
    worst: float
    stopped: float

    def meets_goals(self) -> bool:
        """Return whether it reaches all three goals."""
        return self.share <= MAX_SHARE and self.lost < MAX_LOST and self.stopped <= MAX_STOPPED


def recorded(name: str) -> tuple[dict[int, Array], Goal]:
    """Return the curves (epochs, folds) of a recording by trial, up to where each diverged, and its goal."""
    scores = np.load(FOLDER / f"{name}.npz")["scores"].astype(np.float64)
    known = ~np.isnan(scores).all(axis=2)  # (trials, epochs)
    lengths = np.where(known.all(axis=1), scores.shape[1], known.argmin(axis=1))
    goal: Goal = SWEEPS[name].primary_metric.goal
    return {trial: curve[: lengths[trial]] for trial, curve in enumerate(scores)}, goal


def summarize(curves: dict[int, Array], goal: Goal, pruner: Pruner, orders: int, parallel: int) -> PrunerSummary:
    """Replay the curves in this many shuffled orders."""
    best, total = best_trial(curves, goal), sum(map(len, curves.values()))
    assert best is not None
    best_of_all, error = best_score(curves[best], goal), standard_error(curves[best], goal)
    shares, lost, stopped = [], [], 0
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(len(curves)).tolist()
        result = replay(curves, goal, create_stopping_rule(pruner, goal), order, parallel)
        shares.append(result.epochs / total)
        lost.append(
            abs(best_of_all - best_score(curves[result.winner], goal)) / error if result.winner is not None else np.inf
        )
        stopped += best in result.stopped
    return PrunerSummary(float(np.median(shares)), float(np.median(lost)), max(lost), stopped / orders)


def main() -> None:
    """Print a table for every recording."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=1, help="trials that train at the same time")
    parser.add_argument("--check", action="store_true")
    arguments, started, has_missed = parser.parse_args(), time.perf_counter(), False
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in SWEEPS:
        curves, goal = recorded(name)
        epochs, folds = max(map(len, curves.values())), next(iter(curves.values())).shape[1]
        print(f"\n{name}: {len(curves)} trials, {epochs} epochs, {folds} folds; {arguments.orders} orders")
        print(f"{'':28}{'epochs':>8}{'lost':>8}{'at worst':>10}{'best stopped':>14}")
        print(f"{'goal, at most':28}{MAX_SHARE:8.0%}{MAX_LOST:8.2f}{'':10}{MAX_STOPPED:14.0%}")
        for label, make in PRUNERS.items():
            summary = summarize(curves, goal, make(epochs), arguments.orders, arguments.parallel)
            values = f"{summary.share:8.1%}{summary.lost:8.2f}{summary.worst:10.2f}{summary.stopped:14.0%}"
            print(f"{label:28}{values}{'   reached' if summary.meets_goals() else ''}", flush=True)
            has_missed |= make(epochs) == Halving() and not summary.meets_goals()
    print(f"\n{time.perf_counter() - started:.0f} s")
    sys.exit(arguments.check and has_missed)


if __name__ == "__main__":
    main()

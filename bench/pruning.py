"""What prunings spend and lose on real sweeps that were recorded in full (bench/recordings.py), in shuffled orders.

python -m bench.pruning [--orders N] [--abreast N] [--check]

`of best stopped`: in how many orders the trial is stopped that is the best of the whole recording. `lost` is the final
score's loss in standard errors of that trial over folds. --check ends with code 1 where the default misses a goal.
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
from searchlab.pruning.replay import best_of, replay, score_of, standard_error
from searchlab.study.optuna_pruners import stopping_rule_of

SHARE, LOST, STOPPED = 0.30, 0.10, 0.05  # the goals: at most so much, in the median, and in so many orders

PRUNERS: dict[str, Callable[[int], Pruner]] = {  # of the epochs of a trial
    "NoPruning": lambda epochs: NoPruning(),
    "Halving (the default)": lambda epochs: Halving(),
    "Halving(race=None)": lambda epochs: Halving(race=None),
    "Halving(first=1)": lambda epochs: Halving(first=1),
    "Race": lambda epochs: Race(),
    "Race(level=0.2)": lambda epochs: Race(level=0.2),
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
class Found:
    """Over all orders: the median share of epochs, the median and the largest loss, how often the best is stopped."""

    share: float
    lost: float
    worst: float
    stopped: float

    def meets(self) -> bool:
        """Whether it reaches all three goals."""
        return self.share <= SHARE and self.lost < LOST and self.stopped <= STOPPED


def recorded(name: str) -> tuple[dict[int, Array], Goal]:
    """The curves (epochs, folds) of a recording by trial, up to where each diverged, and its goal."""
    scores = np.load(FOLDER / f"{name}.npz")["scores"].astype(np.float64)
    known = ~np.isnan(scores).all(axis=2)  # (trials, epochs)
    lengths = np.where(known.all(axis=1), scores.shape[1], known.argmin(axis=1))
    goal: Goal = SWEEPS[name].primary.goal
    return {trial: curve[: lengths[trial]] for trial, curve in enumerate(scores)}, goal


def judged(curves: dict[int, Array], goal: Goal, pruner: Pruner, orders: int, abreast: int) -> Found:
    """Replay the curves in so many shuffled orders."""
    best, whole = best_of(curves, goal), sum(map(len, curves.values()))
    assert best is not None
    top, error = score_of(curves[best], goal), standard_error(curves[best], goal)
    shares, lost, stopped = [], [], 0
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(len(curves)).tolist()
        made = replay(curves, goal, stopping_rule_of(pruner, goal), order, abreast)
        shares.append(made.spent / whole)
        lost.append(abs(top - score_of(curves[made.winner], goal)) / error if made.winner is not None else np.inf)
        stopped += best in made.stopped
    return Found(float(np.median(shares)), float(np.median(lost)), max(lost), stopped / orders)


def main() -> None:
    """Print a table for every recording."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--abreast", type=int, default=1, help="trials that train side by side")
    parser.add_argument("--check", action="store_true")
    asked, begun, missed = parser.parse_args(), time.perf_counter(), False
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in SWEEPS:
        curves, goal = recorded(name)
        epochs, folds = max(map(len, curves.values())), next(iter(curves.values())).shape[1]
        print(f"\n{name}: {len(curves)} trials, {epochs} epochs, {folds} folds; {asked.orders} orders")
        print(f"{'':28}{'epochs':>8}{'lost':>8}{'at worst':>10}{'best stopped':>14}")
        print(f"{'goal, at most':28}{SHARE:8.0%}{LOST:8.2f}{'':10}{STOPPED:14.0%}")
        for label, make in PRUNERS.items():
            found = judged(curves, goal, make(epochs), asked.orders, asked.abreast)
            told = f"{found.share:8.1%}{found.lost:8.2f}{found.worst:10.2f}{found.stopped:14.0%}"
            print(f"{label:28}{told}{'   reached' if found.meets() else ''}", flush=True)
            missed |= make(epochs) == Halving() and not found.meets()
    print(f"\n{time.perf_counter() - begun:.0f} s")
    sys.exit(asked.check and missed)


if __name__ == "__main__":
    main()

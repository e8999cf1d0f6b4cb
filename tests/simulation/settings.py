"""What a simulated search is: its sweep, its options, and what goes wrong in it, all drawn from a seed."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field

import optuna

from models.mlp import MLP
from searchlab import (
    F1,
    SGD,
    TPE,
    Accuracy,
    Budget,
    Choice,
    CmaEs,
    EarlyStopping,
    Float,
    Grid,
    QuasiRandom,
    Random,
    Space,
    Trainer,
)
from searchlab.pruning.halving import Halving
from searchlab.pruning.median import Median
from searchlab.pruning.pruner import NoPruning, Pruner
from searchlab.pruning.race import Race
from tests.jobs import make_job
from tests.sweeps import spiral_sweep

FOLDS = 2
POINTS = {"model.hidden": [5, 8], "model.dropout": [0.0, 0.1, 0.3], "optimizer.lr": [0.1, 0.5, 1.0]}
PARETO_SHARE = 0.15  # of the searches whose sampler takes several metrics, those that have two
DISTURBANCES = ("kill worker", "cut worker", "preempt", "pause", "kill driver", "kill study")


@dataclass(frozen=True)
class StopsByChance(Pruner):
    """A pruner that stops a fourth of all trials after any epoch; the worker learns of it after the next one."""

    def is_due(self, epoch):
        return True

    def stop_reason(self, curves, trial):
        epoch = curves.last_epoch(trial)
        return "by chance" if zlib.crc32(f"{trial} {epoch}".encode()) % 4 == 0 else None

    def worker_waits(self, epoch):
        return False


PRUNERS = (
    NoPruning(),
    Halving(),
    Halving(first_rung=1, reduction_factor=2),
    Race(first_epoch=1),
    Median(first_epoch=1, min_trials=2),
    StopsByChance(),
    StopsByChance(),
    StopsByChance(),  # three times, because it stops trials when their workers do not wait
    optuna.pruners.MedianPruner(n_startup_trials=2),
    optuna.pruners.SuccessiveHalvingPruner(),
    optuna.pruners.HyperbandPruner(),
)


@dataclass(frozen=True)
class Settings:
    """A search and its disturbances.

    Attributes:
        changes: Arguments of `spiral_sweep`.
        options: Options of `make_job`.
        workers: The number of workers.
        disturbances: What goes wrong, in this order, at moments that the schedule draws.
        diverging: Of how many replicas one diverges in an epoch; 0 for none.
        broken: Of how many replicas one raises an exception in an epoch; 0 for none.
        fitting: The most trials that fit side by side into a worker's memory by estimate; 0 for no limit.
        exhausting: Of how many epochs of groups memory runs out in one; 0 for none.
        merges: Whether survivors are returned to be merged, however soon they would end.
        has_zombies: Whether processes that count as dead go on for a while, behind a cut network.
    """

    changes: dict = field(repr=False)
    options: dict
    workers: int
    disturbances: tuple[str, ...]
    diverging: int = 0
    broken: int = 0
    fitting: int = 0
    exhausting: int = 0
    merges: bool = True
    has_zombies: bool = False

    def job(self, folder):
        sweep = spiral_sweep(**self.changes)
        trials = sweep.resolve_trials()
        return make_job(sweep, "simulated", folder / "study.journal", folder / "c", trials, **self.options)

    def fitting_trials(self, parameters):
        """Return how many trials of this structure fit into memory."""
        return self.fitting + parameters.get("model.hidden", 8) % 2 if self.fitting else 1000


def draw_settings(seed, *, reproducible=False):
    """Draw a search, one whose trials do not depend on its schedule if `reproducible`."""
    draws = random.Random(seed)
    workers, trials = draws.randint(1, 4), draws.randint(6, 36)
    generation = draws.choice([4, 8]) if reproducible else 0
    options = {"workers": workers, "fuse": draws.choice([1, 3, 4, 6, 6, "auto"]), "generation": generation}
    count = draws.choice([0, 1, 2, 4, 6])
    return Settings(
        changes=_draw_sweep(draws, trials, reproducible=reproducible),
        options=options,
        workers=workers,
        disturbances=tuple(draws.choice(DISTURBANCES) for _ in range(count)),
        diverging=draws.choice([0, 0, 50]),
        broken=0 if reproducible else draws.choice([0, 0, 0, 200]),
        fitting=draws.choice([0, 0, 1, 2]),
        exhausting=0 if reproducible else draws.choice([0, 0, 40]),
        merges=draws.random() < 0.8,
        has_zombies=draws.random() < 0.2,
    )


def _draw_sweep(draws, trials, *, reproducible):
    """Draw the arguments of `spiral_sweep`."""
    kind = draws.choice(["random", "random", "tpe", "tpe", "grid", "quasi", "cma", "tpe" if reproducible else "optuna"])
    few = kind in ("grid", "optuna") or (kind != "cma" and draws.random() < 0.4)  # so few that some are drawn twice
    samplers = {
        "random": Random(),
        "tpe": TPE(),
        "grid": Grid(),
        "quasi": QuasiRandom(),
        "cma": CmaEs(),
        "optuna": optuna.samplers.GridSampler(POINTS, seed=draws.randrange(100)),
    }
    hidden = Choice(*POINTS["model.hidden"]) if kind == "optuna" or draws.random() < 0.5 else 8
    limit = draws.choice([None, None, 0.25])
    has_two_metrics = kind not in ("cma", "optuna") and draws.random() < PARETO_SHARE
    return {
        "metric": (Accuracy(), F1("macro")) if has_two_metrics else Accuracy(),
        "model": Space(MLP, hidden=hidden, dropout=Choice(*POINTS["model.dropout"]) if few else Float(0.0, 0.3)),
        "optimizer": Space(SGD, lr=Choice(*POINTS["optimizer.lr"]) if few else Float(0.1, 1.0)),
        "training": Space(Trainer, batch_size=10, epochs=draws.randint(2, 8)),
        "trials": None if kind == "grid" else trials,
        "sampler": samplers[kind],
        "pruner": NoPruning() if has_two_metrics else draws.choice(PRUNERS),
        "budget": _draw_budget(draws, reproducible=reproducible),
        "early_stopping": draws.choice([None, None, EarlyStopping(1), EarlyStopping(2)]),
        "constraint": None if limit is None else lambda candidate: candidate["model.dropout"] - limit,
    }


def _draw_budget(draws, *, reproducible):
    """Draw the budget of a search, mostly none; that in seconds depends on the schedule."""
    budgets = [Budget(epochs=draws.randint(5, 80)), Budget(patience=5), Budget(target=0.8)]
    budgets += [] if reproducible else [Budget(seconds=draws.choice([1, 10, 100]))]
    return Budget() if draws.random() < 0.6 else draws.choice(budgets)

"""Small sweeps for tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.mlp import MLP
from searchlab import SGD, Accuracy, Adam, Choice, Float, Int, KFold, Refit, Space, Spiral, Sweep, Trainer
from searchlab.data import Examples
from searchlab.pruning.pruner import NoPruning


@dataclass(frozen=True)
class TenRows:
    """A data set with too few rows for many folds."""

    def training(self):
        return Examples(np.zeros((10, 2), np.float32), np.zeros(10, np.int64), 2)

    testing = training


def spiral_sweep(trials=6, epochs=3, **changes):
    """Return a sweep of two folds of 90 spiral points without pruning: a trial takes a few milliseconds.

    Its best trial wins, and no trial is run again.
    """
    parts = {
        "name": "spiral",
        "data": Spiral(points=30),
        "validation": KFold(2),
        "metric": Accuracy(),
        "model": Space(MLP, hidden=Int(5, 20, step=5), dropout=Float(0.0, 0.3)),
        "optimizer": Choice(Space(SGD, lr=Float(0.1, 2.0, log=True)), Space(Adam, lr=Float(1e-3, 0.1, log=True))),
        "training": Space(Trainer, batch_size=10, epochs=epochs, clip_norm=Float(0.5, 5.0, log=True)),
        "trials": trials,
        "pruner": NoPruning(),
        "winner": Refit(finalists=1),  # the best trial of the search
    }
    return Sweep(**{**parts, **changes})

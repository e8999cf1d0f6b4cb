"""Peak memory of 1 and of 40 replicas on MNIST: the data is shared, so it does not grow with them."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial

from bench.timing import ROOT  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from searchlab.data import KFold, Mnist
from searchlab.metrics import Accuracy
from searchlab.optim import Adam
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

STEPS = 20


def train(count: int) -> float:
    """Peak resident memory in bytes of a process that reads MNIST and trains and scores so many networks."""
    table = Mnist().training()
    folds = np.arange(count) % 5
    seeds = np.array(fold_seeds(0, 5), np.uint64)[folds].tolist()
    split, model = KFold(5).split(table)[folds], partial(MLP, hidden=100)
    trainer = Trainer(Replicas(seeds), table, split, Accuracy(), model, Adam, batch_size=100)
    for batch, _ in zip(table.epoch(trainer.split, trainer.replicas, 100), range(STEPS), strict=False):
        trainer.step(batch)
    trainer.metric.measure(trainer.model, trainer.data.scoring(trainer.split.held_out))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    """Print both, each of a process of its own."""
    for count in (1, 40):
        told = subprocess.run(
            [sys.executable, "-m", "bench.memory", str(count)], check=True, text=True, stdout=subprocess.PIPE, cwd=ROOT
        )
        print(f"{count:3d} replicas of 784-100-10 on MNIST: {float(told.stdout) / 1e9:.2f} GB at most, goal 1.5 at 40")


if __name__ == "__main__":
    print(train(int(sys.argv[1]))) if len(sys.argv) > 1 else main()

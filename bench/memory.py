"""Peak memory of 1 and of 40 replicas on MNIST: the replicas share the data, which is not copied.

python -m bench.memory
"""

from __future__ import annotations

import argparse
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


def peak_bytes(replicas: int) -> float:
    """Return the peak resident memory of this process after training and scoring this many networks on MNIST."""
    data = Mnist().training()
    folds = np.arange(replicas) % 5  # (R,)
    seeds = np.array(fold_seeds(0, 5), np.uint64)[folds].tolist()
    split, model = KFold(5).split(data)[folds], partial(MLP, hidden=100)
    trainer = Trainer(Replicas(seeds), data, split, Accuracy(), model, Adam, batch_size=100)
    for batch, _ in zip(data.training_batches(trainer.split, trainer.replicas, 100), range(STEPS), strict=False):
        trainer.step(batch)
    trainer.metric.measure(trainer.model, trainer.data.scoring_batches(trainer.split.held_out))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    """Print the peak memory for both numbers of replicas, each measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("replicas", nargs="?", type=int, help="print the bytes for as many alone")
    if only := parser.parse_args().replicas:
        print(peak_bytes(only))
        return
    for replicas in (1, 40):
        command = [sys.executable, "-m", "bench.memory", str(replicas)]
        output = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
        gigabytes = float(output) / 1e9
        print(f"{replicas:3d} replicas of 784-100-10 on MNIST: {gigabytes:.2f} GB at most, goal 1.5 at 40")


if __name__ == "__main__":
    main()

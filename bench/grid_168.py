"""search_spaces/grid_168.py against training its 840 networks one by one: `python -m bench.grid_168`.

The time to train one by one is that of scikit-learn's MLPClassifier, estimated from a sample: one fold of every batch
size for SGD and for Adam, which also stands for AdaGrad and RMSprop: scikit-learn lacks them, and their steps cost as
much as Adam's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings

from bench.timing import ROOT  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from searchlab.data import Digits, KFold

BATCH_SIZES, EPOCHS, LEARNING_RATES, FOLDS = (16, 32, 64, 128, 256, 512), 20, 7, 5
OPTIMIZER_COUNTS = {"sgd": 1, "adam": 3}  # how many optimizers of the grid each solver stands for
ROUNDS = 3


def run_searchlab() -> dict:
    """Return the result of `searchlab run --json` for the whole grid in an empty folder, with its time as `wall`."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        command = [sys.executable, "-m", "searchlab.cli", "run", str(ROOT / "search_spaces" / "grid_168.py"), "--json"]
        finished = subprocess.run(command, cwd=folder, check=True, text=True, capture_output=True)
        result = json.loads(finished.stdout.splitlines()[-1])
        return {**result, "wall": time.perf_counter() - started}


def sklearn_seconds() -> float:
    """Return how long scikit-learn would take to train all networks one after the other in one process."""
    table = Digits().training()
    rows = KFold(FOLDS).split(table).train.index[0]
    total = 0.0
    for solver, optimizers in OPTIMIZER_COUNTS.items():
        for batch_size in BATCH_SIZES:
            model = MLPClassifier(
                64, solver=solver, alpha=0.0, batch_size=batch_size, max_iter=EPOCHS, tol=0.0, momentum=0.0
            )
            model.n_iter_no_change = EPOCHS + 1
            started = time.perf_counter()
            model.fit(table.x[rows], table.y[rows])
            total += (time.perf_counter() - started) * optimizers * LEARNING_RATES * FOLDS
    return total


def main() -> None:
    """Print each round, and the median ratios."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    ratios: dict[str, list[float]] = {"whole command": [], "search alone": []}
    for _ in range(ROUNDS):
        result, one_by_one = run_searchlab(), sklearn_seconds()
        seconds = result["seconds"]
        parts = ", ".join(f"{name} {seconds[name]:.1f}" for name in ("start", "search", "winner"))
        ratios["whole command"].append(one_by_one / 2.0 / result["wall"])
        ratios["search alone"].append(one_by_one / 2.0 / seconds["search"])
        print(
            f"{result['trials']['complete']} combinations x {FOLDS} folds: {result['wall']:.1f} s ({parts}), goal 60; "
            f"best {result['best']['score']:.4f}; scikit-learn one by one, estimated from a sample of 12: "
            f"{one_by_one:.0f} s on one core, {one_by_one / 2.0:.0f} s on two",
            flush=True,
        )
    for name, values in ratios.items():
        print(f"scikit-learn on two cores / {name}: {np.median(values):.1f} ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()

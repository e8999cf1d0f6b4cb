"""search_spaces/grid_168.py from the command line, against its 840 networks one by one: `python -m bench.grid_168`.

One by one is scikit-learn's MLPClassifier, by a sample: one fold of every batch size for SGD and for Adam, which stands
for AdaGrad and RMSprop too (scikit-learn lacks them, and their steps cost as much).
"""

from __future__ import annotations

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

BATCHES, EPOCHS, RATES, FOLDS = (16, 32, 64, 128, 256, 512), 20, 7, 5
STANDS_FOR = {"sgd": 1, "adam": 3}  # optimizers of the grid
ROUNDS = 3


def ours() -> dict:
    """What `searchlab run --json` says of the whole grid, in an empty folder, and its wall time."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        command = [sys.executable, "-m", "searchlab.cli", "run", str(ROOT / "search_spaces" / "grid_168.py"), "--json"]
        done = subprocess.run(command, cwd=folder, check=True, text=True, capture_output=True)
        told = json.loads(done.stdout.splitlines()[-1])
        return {**told, "wall": time.perf_counter() - started}


def theirs() -> float:
    """Seconds that all networks would take one after the other in one process."""
    table = Digits().training()
    rows = KFold(FOLDS).split(table).train.index[0]
    total = 0.0
    for solver, optimizers in STANDS_FOR.items():
        for batch in BATCHES:
            model = MLPClassifier(
                64, solver=solver, alpha=0.0, batch_size=batch, max_iter=EPOCHS, tol=0.0, momentum=0.0
            )
            model.n_iter_no_change = EPOCHS + 1
            started = time.perf_counter()
            model.fit(table.x[rows], table.y[rows])
            total += (time.perf_counter() - started) * optimizers * RATES * FOLDS
    return total


def main() -> None:
    """Print rounds in turn and the median ratio."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    ratios: dict[str, list[float]] = {"whole command": [], "search alone": []}
    for _ in range(ROUNDS):
        found, alone = ours(), theirs()
        seconds = found["seconds"]
        parts = ", ".join(f"{name} {seconds[name]:.1f}" for name in ("start", "search", "winner"))
        ratios["whole command"].append(alone / 2.0 / found["wall"])
        ratios["search alone"].append(alone / 2.0 / seconds["search"])
        print(
            f"{found['trials']['complete']} combinations x {FOLDS} folds: {found['wall']:.1f} s ({parts}), goal 60; "
            f"best {found['best']['score']:.4f}; scikit-learn one by one, by a sample of 12: "
            f"{alone:.0f} s on one core, {alone / 2.0:.0f} s on two",
            flush=True,
        )
    for what, found in ratios.items():
        print(f"scikit-learn on two cores / {what}: {np.median(found):.1f} ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()

"""Record real sweeps in full, without pruning, to compare pruners on them; this takes about 20 minutes on two cores.

python -m bench.recordings [NAME...]    writes bench/recorded/NAME.npz
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np

from models.mlp import MLP
from models.rnn_lm import RnnLM
from search_spaces import digits_mlp
from searchlab import (
    SGD,
    Accuracy,
    Adam,
    Blocked,
    Choice,
    Float,
    KFold,
    Mnist,
    Momentum,
    NoPruning,
    Perplexity,
    Space,
    Sweep,
    Text,
    Trainer,
)

FOLDER = Path(__file__).parent / "recorded"

DIGITS = replace(digits_mlp.sweep, name="digits", trials=240)
MNIST = Sweep(
    name="mnist",
    data=Mnist(limit=6_000),
    validation=KFold(3),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(32, 64), layers=Choice(1, 2), dropout=Float(0.0, 0.5)),
    optimizer=Choice(
        Space(SGD, lr=Float(0.01, 1.0, log=True)),
        Space(Momentum, lr=Float(0.001, 0.3, log=True)),
        Space(Adam, lr=Float(1e-4, 3e-2, log=True)),
    ),
    training=Space(Trainer, batch_size=Choice(32, 64), epochs=15, l2=Float(1e-6, 1e-2, log=True)),
    trials=210,
)
PTB_SMALL = Sweep(
    name="ptb-small",
    data=Text("ptb/ptb.valid.txt", min_count=3, window=20),
    validation=Blocked(3),
    metric=Perplexity(),
    model=Space(RnnLM, cell="lstm", hidden=Choice(32, 64), embed=32),
    optimizer=Choice(
        Space(SGD, lr=Float(0.5, 50.0, log=True)),
        Space(Adam, lr=Float(1e-4, 3e-2, log=True)),
    ),
    training=Space(Trainer, batch_size=20, epochs=12, clip_norm=Float(0.1, 5.0, log=True)),
    trials=64,
)
SWEEPS = {sweep.name: replace(sweep, pruner=NoPruning()) for sweep in (DIGITS, MNIST, PTB_SMALL)}


def record(sweep: Sweep) -> None:
    """Run a sweep, and save the scores of its trials (trials, epochs, folds); NaN where a trial has diverged."""
    with tempfile.TemporaryDirectory() as home:
        result = sweep.run(home=home, workers=2)
    epochs = max(len(trial.curve.scores) for trial in result.trials)
    scores = np.full((len(result.trials), epochs, sweep.validation.folds), np.nan, dtype=np.float32)
    for trial in result.trials:
        scores[trial.number, : len(trial.curve.scores)] = trial.curve.scores
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / f"{sweep.name}.npz", scores=scores)
    best, seconds = result.best and result.best.value, result.seconds["search"]
    print(f"{sweep.name}: {len(result.trials)} trials, best score {best:.4f}, {seconds:.0f} s", flush=True)


def main() -> None:
    """Record the sweeps that are named on the command line, or all sweeps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="|".join(SWEEPS), help="default: all")
    names = parser.parse_args().names
    if wrong := [name for name in names if name not in SWEEPS]:
        parser.error(f"there is no sweep {wrong[0]!r}; use {', '.join(SWEEPS)}.")
    for name in names or SWEEPS:
        record(SWEEPS[name])


if __name__ == "__main__":
    main()

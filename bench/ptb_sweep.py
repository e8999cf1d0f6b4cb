"""Twelve small LSTMs on 200,000 words of Penn Treebank, against the configuration of a book.

python -m bench.ptb_sweep

Trials are scored on three blocks. The configuration of the book (Deep Learning from Scratch 2, chapter 6: LSTM 100,
embedding 100, batch 20, SGD 20, clipping 0.25) is cross-validated on the same blocks for as many epochs.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial

import bench.timing  # noqa: F401  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.rnn_lm import RnnLM
from searchlab import Blocked, Choice, Float, PennTreebank, Perplexity, Space, Sweep
from searchlab.optim import SGD
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

EPOCHS, MAX_MINUTES = 2, 12.0
DATA, VALIDATION = PennTreebank(window=35, limit=200_000), Blocked(3)

SWEEP = Sweep(
    name="ptb-small",
    data=DATA,
    validation=VALIDATION,
    metric=Perplexity(),
    model=Space(RnnLM, cell="lstm", hidden=Choice(64, 100), embed=Choice(64, 100), dropout=None),
    optimizer=Space(SGD, lr=Float(5.0, 50.0, log=True)),
    training=Space(Trainer, batch_size=Choice(10, 20), epochs=EPOCHS, clip_norm=Float(0.1, 1.0, log=True)),
    trials=12,
)


def book_scores() -> np.ndarray:
    """Return the perplexity of the book's configuration on each block (3,), at its best epoch."""
    data = DATA.training()
    model = partial(RnnLM, cell="lstm", hidden=100, embed=100)
    trainer = Trainer(
        Replicas(fold_seeds(0, 3)),
        data,
        VALIDATION.split(data),
        Perplexity(),
        model,
        partial(SGD, lr=20.0),
        batch_size=20,
        epochs=EPOCHS,
        clip_norm=0.25,
    )
    scores = np.array([trainer.advance().score for _ in range(EPOCHS)])  # (epochs, 3)
    return scores[scores.mean(axis=1).argmin()]


def main() -> None:
    """Print the scores of both, and how long the search took."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as home:
        result = SWEEP.run(home=home, workers=2)
        best = result.best
        assert best is not None
        minutes = result.seconds["total"] / 60.0
        counts = f"{result.count('COMPLETE')} complete, {result.count('FAIL')} failed"
        search = f"{len(result.trials)} trials x 3 blocks, {EPOCHS} epochs, 2 workers"
        print(f"{search}: {minutes:.1f} min, goal {MAX_MINUTES:.0f}")
        print(f"{counts}; best {best.value:.1f} ± {best.std:.1f}: {dict(best.parameters)}", flush=True)
        print(f"trained again, on the test part: {result.winner.test_score:.1f}")
    scores = book_scores()
    print(f"the book's configuration: {scores.mean():.1f} ± {scores.std():.1f}; the winner's perplexity is", end=" ")
    print(f"{best.value / scores.mean():.2f} of it")


if __name__ == "__main__":
    main()

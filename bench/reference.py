"""Published results of the textbooks beside what searchlab reaches: `python -m bench.reference [RUN ...]`.

Writes the table of bench/RESULTS.md. A run that is not named keeps the row it had (bench/reference.json holds them).
Seeds and folds train fused, on one BLAS thread. All runs together take about forty minutes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.timing import ROOT  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab.data import (
    EveryRow,
    FashionMnist,
    Holdout,
    KFold,
    Mnist,
    PennTreebank,
    Spiral,
    TokenStream,
    Vocabulary,
)
from searchlab.data.data_folder import data_folder
from searchlab.data.splits import Rows
from searchlab.metrics import Accuracy, Perplexity
from searchlab.nn import MeanSquaredError, Relu, Sigmoid, Tanh, random_normal, random_uniform
from searchlab.optim import SGD, AdaGrad, Adam, RMSprop
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

RESULTS, ROWS = ROOT / "bench" / "RESULTS.md", ROOT / "bench" / "reference.json"
BEGIN, END = "<!-- bench.reference writes from here -->", "<!-- to here -->"
DEEP = (1024, 512, 512, 512)
DEFAULTS = (SGD, Adam, AdaGrad, RMSprop)
EPOCHS_OF_DEFAULTS = 5


@dataclass(frozen=True)
class Reference:
    """A run of a book: where it stands, what came out there, what must come out here, and how to run it."""

    what: str
    source: str
    published: str
    wanted: str
    run: Callable[[], tuple[str, bool]]  # what was reached, in words, and whether it is enough


def fitted(data: object, seeds: int, model: partial, optimizer: object, batch: int) -> Trainer:
    """A trainer of so many seeds, side by side, on all training rows."""
    table = data.training()
    split = EveryRow().split(table)[np.zeros(seeds, dtype=int)]
    return Trainer(Replicas(fold_seeds(0, seeds)), table, split, Accuracy(), model, optimizer, batch_size=batch)


def test_accuracy(trainer: Trainer, data: object) -> np.ndarray:
    """Accuracy of each replica on the test rows."""
    test = data.testing()
    return Accuracy().measure(
        trainer.model, test.scoring_batches(Rows.from_folds([np.arange(len(test))] * trainer.replicas.count))
    )


def reached(scores: np.ndarray, least: float) -> tuple[str, bool]:
    """Mean and spread over seeds; every seed's mean counts, not the lucky one."""
    if len(scores) == 1:
        return f"{scores[0]:.4f} (one seed)", bool(scores[0] >= least)
    return f"{scores.mean():.4f} ± {scores.std(ddof=1):.4f} over {len(scores)} seeds", bool(scores.mean() >= least)


def epochs(trainer: Trainer, count: int) -> Trainer:
    """So many epochs later."""
    for _ in range(count):
        trainer.advance()
    return trainer


def two_layers() -> tuple[str, bool]:
    """784-50-10, sigmoid, 10,000 steps of 100."""
    model = partial(MLP, hidden=50, activation=Sigmoid, initializer=partial(random_normal, scale=0.01))
    trainer, taken = fitted(Mnist(), 10, model, partial(SGD, lr=0.1), 100), 0
    while taken < 10_000:
        for batch in trainer.data.training_batches(trainer.split, trainer.replicas, 100):
            if taken < 10_000:
                trainer.step(batch)
                taken += 1
    return reached(test_accuracy(trainer, Mnist()), 0.938)


def wide(seeds: int, hidden: tuple[int, ...], lr: float, least: float) -> tuple[str, bool]:
    """tanh to the last, mean squared error, Adam, batch 128, 30 epochs."""
    initializer = partial(random_uniform, scale=0.05)
    model = partial(MLP, hidden=hidden, activation=Tanh, output=Tanh, loss=MeanSquaredError, initializer=initializer)
    return reached(test_accuracy(epochs(fitted(Mnist(), seeds, model, partial(Adam, lr=lr), 128), 30), Mnist()), least)


def relu() -> tuple[str, bool]:
    """relu and softmax cross entropy on the deep net."""
    model = partial(MLP, hidden=DEEP, activation=Relu)
    trainer = epochs(fitted(Mnist(), 1, model, partial(Adam, lr=1e-4), 128), 30)
    return reached(test_accuracy(trainer, Mnist()), 0.979)


def defaults() -> tuple[str, bool]:
    """Four optimizers at their defaults on the deep net, batch 256, five folds side by side."""
    fashion = (data_folder() / "fashion-mnist").exists()
    data = FashionMnist() if fashion else Mnist()
    table = data.training()
    found = {}
    for optimizer in DEFAULTS:
        model = partial(MLP, hidden=DEEP, activation=Relu)
        split = KFold(5).split(table)
        trainer = Trainer(Replicas(fold_seeds(0, 5)), table, split, Accuracy(), model, optimizer, batch_size=256)
        reports = [trainer.advance() for _ in range(EPOCHS_OF_DEFAULTS)]
        found[optimizer.__name__] = reports[-1].score
        print(f"  {optimizer.__name__}: {reports[-1].score.mean():.4f}", flush=True)
    mean = {name: scores.mean() for name, scores in found.items()}
    right = min(mean["Adam"], mean["RMSprop"]) > mean["SGD"] > mean["AdaGrad"]
    told = ", ".join(f"{name} {scores.mean():.4f} ± {scores.std(ddof=1):.4f}" for name, scores in found.items())
    name = "Fashion-MNIST" if fashion else "MNIST (Fashion-MNIST was not at hand)"
    return f"{told}; {name}, {EPOCHS_OF_DEFAULTS} epochs, mean ± spread of 5 folds", bool(right)


def overfit() -> tuple[str, bool]:
    """A plain recurrent network on the first 1,000 words of Penn Treebank, until it knows them by heart."""
    whole = PennTreebank(window=5, limit=1000).training()
    ids = whole.ids[:1000]
    distinct, own = np.unique(ids, return_inverse=True)
    words = Vocabulary.from_tokens(whole.vocabulary.lookup_tokens(distinct))
    table = TokenStream(own, words, 5)
    split, count = EveryRow().split(table)[np.zeros(5, dtype=int)], 5
    model = partial(RnnLM, cell="rnn", hidden=100, embed=100)
    trainer = Trainer(
        Replicas(fold_seeds(0, count)), table, split, Perplexity(), model, partial(SGD, lr=0.1), batch_size=10
    )
    perplexity = np.exp([trainer.advance().loss for _ in range(100)][-1])
    told = f"{perplexity.mean():.2f} ± {perplexity.std(ddof=1):.2f} over {count} seeds"
    return told, bool((perplexity < 10.0).all())


def lstm() -> tuple[str, bool]:
    """LSTM 100 on the whole of Penn Treebank, four epochs."""
    data = PennTreebank(window=35)
    table = data.training()
    model = partial(RnnLM, cell="lstm", hidden=100, embed=100)
    trainer = Trainer(
        Replicas(fold_seeds(0, 1)),
        table,
        Holdout().split(table),  # the corpus' own validation part
        Perplexity(),
        model,
        partial(SGD, lr=20.0),
        batch_size=20,
        epochs=4,
        clip_norm=0.25,
    )
    scores = [float(trainer.advance().score[0]) for _ in range(4)]
    test = data.testing()
    found = float(Perplexity().measure(trainer.model, test.scoring_batches(Rows.from_folds([np.arange(len(test))])))[0])
    told = f"{found:.1f} on the test part; {', '.join(f'{score:.0f}' for score in scores)} on the validation part"
    return f"{told} after each epoch (one seed)", found <= 142.0


def spiral() -> tuple[str, bool]:
    """2-10-3, sigmoid, and the boundary that one of the seeds found."""
    from searchlab.reporting.figures import plot_decision_boundary

    data, count = Spiral(), 20
    model = partial(MLP, hidden=10, activation=Sigmoid, initializer=partial(random_normal, scale=0.01))
    trainer = fitted(data, count, model, partial(SGD, lr=1.0), 30)
    losses = [trainer.advance().loss for _ in range(300)][-1]

    def predict(x: np.ndarray) -> np.ndarray:
        rows = np.broadcast_to(x.astype(np.float32), (count, *x.shape))
        return trainer.model.layers.forward(rows, train=False)[0]

    table = data.training()
    figure = plot_decision_boundary(predict, table.x, table.y)
    figure.savefig(ROOT / "docs" / "images" / "spiral-boundary.png", dpi=100)
    told = f"loss {losses.mean():.3f} ± {losses.std(ddof=1):.3f} over {count} seeds; [boundary of seed 0]"
    return told + "(../docs/images/spiral-boundary.png)", bool(losses.mean() <= 0.2)


SCRATCH, TEXTBOOK = "Deep Learning from Scratch", "TensorFlow textbook, chapter on deep MLPs"
REFERENCES = {
    "spiral": Reference(
        "spiral 2-10-3, sigmoid, SGD 1.0, batch 30, 300 epochs",
        f"{SCRATCH} 2, ch. 1",
        "loss about 0.1",
        "<= 0.2",
        spiral,
    ),
    "two-layers": Reference(
        "MNIST 784-50-10, sigmoid, weights 0.01 normal, SGD 0.1, batch 100, 10,000 steps",
        f"{SCRATCH} 1, ch. 4 and 5",
        "0.9441",
        ">= 0.938",
        two_layers,
    ),
    "wide": Reference(
        "MNIST 784-1024-10, tanh, mean squared error, Adam 1e-3, batch 128, 30 epochs",
        TEXTBOOK,
        "0.9765",
        ">= 0.972",
        partial(wide, 3, (1024,), 1e-3, 0.972),
    ),
    "deep": Reference(
        "MNIST 784-1024-512-512-512-10, tanh, mean squared error, Adam 1e-4, batch 128, 30 epochs",
        TEXTBOOK,
        "0.9791 to 0.9809",
        ">= 0.976",
        partial(wide, 1, DEEP, 1e-4, 0.976),
    ),
    "relu": Reference(
        "the same net, relu, softmax cross entropy, Adam 1e-4, batch 128, 30 epochs",
        TEXTBOOK,
        "0.9824",
        ">= 0.979",
        relu,
    ),
    "defaults": Reference(
        "optimizers at their defaults on the deep net, relu, batch 256, 5-fold",
        TEXTBOOK,
        "Adam 0.897, RMSprop 0.879, SGD 0.861, AdaGrad 0.833 (Fashion-MNIST, 50 epochs)",
        "Adam and RMSprop > SGD > AdaGrad",
        defaults,
    ),
    "rnn-overfit": Reference(
        "Penn Treebank, first 1,000 words: RNN 100, batch 10, window 5, SGD 0.1, 100 epochs; perplexity of these words",
        f"{SCRATCH} 2, ch. 5",
        "a curve",
        "< 10",
        overfit,
    ),
    "ptb-lstm": Reference(
        "Penn Treebank: LSTM 100, embedding 100, batch 20, window 35, SGD 20, clipping 0.25, 4 epochs; test perplexity",
        f"{SCRATCH} 2, ch. 6",
        "136",
        "<= 142",
        lstm,
    ),
}


def write(rows: dict[str, list[str]]) -> None:
    """Put the table into RESULTS.md, in the order of the references."""
    lines = ["| run | source | published | wanted | reached | |", "|---|---|---|---|---|---|"]
    for name, it in REFERENCES.items():
        if name in rows:
            lines.append("| " + " | ".join([it.what, it.source, it.published, it.wanted, *rows[name]]) + " |")
    text = RESULTS.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    RESULTS.write_text("\n".join([before + BEGIN, *lines, END]) + after)


def main(names: list[str]) -> None:
    """Run those named, or all; each row is kept as soon as it is there."""
    for name in names or REFERENCES:
        print(f"{name}: {REFERENCES[name].what}", flush=True)
        started = time.perf_counter()
        told, enough = REFERENCES[name].run()
        print(f"  {told}: {'enough' if enough else 'NOT ENOUGH'}, {time.perf_counter() - started:.0f} s", flush=True)
        rows = json.loads(ROWS.read_text()) if ROWS.exists() else {}
        rows[name] = [told, "reached" if enough else "**not reached**"]
        ROWS.write_text(json.dumps(rows, indent=1) + "\n")
        write(rows)


if __name__ == "__main__":
    main(sys.argv[1:])

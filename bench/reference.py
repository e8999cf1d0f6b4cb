"""Published results of textbooks, compared with those of searchlab: `python -m bench.reference [--cuda] [RUN ...]`.

Writes the table of bench/RESULTS.md. A run that is not named keeps its row, which bench/reference.json holds. Seeds and
folds train fused, on one BLAS thread. All runs together take about fifty minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.timing import ROOT  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from bench.reference_sequences import first_epoch, run_addition, run_characters, run_dates, run_dates_transformer
from bench.word_vectors import run_cbow, run_counts, run_toy
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

RESULTS_FILE, ROWS_FILE = ROOT / "bench" / "RESULTS.md", ROOT / "bench" / "reference.json"
BEGIN, END = "<!-- bench.reference writes from here -->", "<!-- to here -->"
DEEP_HIDDEN = (1024, 512, 512, 512)
COMPARED_OPTIMIZERS, COMPARISON_EPOCHS = (SGD, Adam, AdaGrad, RMSprop), 5


@dataclass(frozen=True)
class Reference:
    """A run of a book: its configuration, its source, the published result, the goal, and a function that runs it."""

    configuration: str
    source: str
    published: str
    goal: str
    run: Callable[..., tuple[str, bool]]  # returns the result as text, and whether it reaches the goal
    on_gpu: bool = False  # whether `run` takes device="cuda"


def trainer_of(data: object, seeds: int, model: partial, optimizer: object, batch_size: int) -> Trainer:
    """Return a trainer of this many seeds, which train fused on all training rows."""
    table = data.training()
    split = EveryRow().split(table)[np.zeros(seeds, dtype=int)]
    return Trainer(Replicas(fold_seeds(0, seeds)), table, split, Accuracy(), model, optimizer, batch_size=batch_size)


def test_accuracy(trainer: Trainer, data: object) -> np.ndarray:
    """Return the accuracy of each replica on the test rows (R,)."""
    test = data.testing()
    return Accuracy().measure(
        trainer.model, test.scoring_batches(Rows.from_folds([np.arange(len(test))] * trainer.replicas.count))
    )


def result_of(scores: np.ndarray, goal: float) -> tuple[str, bool]:
    """Return mean and standard deviation over seeds as text, and whether the mean reaches the goal."""
    if len(scores) == 1:
        return f"{scores[0]:.4f} (one seed)", bool(scores[0] >= goal)
    return f"{scores.mean():.4f} ± {scores.std(ddof=1):.4f} over {len(scores)} seeds", bool(scores.mean() >= goal)


def train(trainer: Trainer, epochs: int) -> Trainer:
    """Train for this many epochs."""
    for _ in range(epochs):
        trainer.advance()
    return trainer


def run_two_layers() -> tuple[str, bool]:
    """Train 784-50-10 with sigmoid for 10,000 steps of 100 rows."""
    model = partial(MLP, hidden=50, activation=Sigmoid, initializer=partial(random_normal, scale=0.01))
    trainer, steps = trainer_of(Mnist(), 10, model, partial(SGD, lr=0.1), 100), 0
    while steps < 10_000:
        for batch in trainer.data.training_batches(trainer.split, trainer.replicas, 100):
            if steps < 10_000:
                trainer.step(batch)
                steps += 1
    return result_of(test_accuracy(trainer, Mnist()), 0.938)


def run_tanh(seeds: int, hidden: tuple[int, ...], lr: float, goal: float) -> tuple[str, bool]:
    """Train with tanh in all layers, also the last, mean squared error, Adam and batch 128 for 30 epochs."""
    initializer = partial(random_uniform, scale=0.05)
    model = partial(MLP, hidden=hidden, activation=Tanh, output=Tanh, loss=MeanSquaredError, initializer=initializer)
    trainer = train(trainer_of(Mnist(), seeds, model, partial(Adam, lr=lr), 128), 30)
    return result_of(test_accuracy(trainer, Mnist()), goal)


def run_relu() -> tuple[str, bool]:
    """Train the deep net with relu and softmax cross entropy."""
    model = partial(MLP, hidden=DEEP_HIDDEN, activation=Relu)
    trainer = train(trainer_of(Mnist(), 1, model, partial(Adam, lr=1e-4), 128), 30)
    return result_of(test_accuracy(trainer, Mnist()), 0.979)


def run_optimizers() -> tuple[str, bool]:
    """Train the deep net with four optimizers at their defaults, batch 256, with five folds fused."""
    has_fashion_mnist = (data_folder() / "fashion-mnist").exists()
    table = (FashionMnist() if has_fashion_mnist else Mnist()).training()
    scores_of = {}  # (5,) by optimizer
    for optimizer in COMPARED_OPTIMIZERS:
        model = partial(MLP, hidden=DEEP_HIDDEN, activation=Relu)
        split = KFold(5).split(table)
        trainer = Trainer(Replicas(fold_seeds(0, 5)), table, split, Accuracy(), model, optimizer, batch_size=256)
        scores = [trainer.advance().score for _ in range(COMPARISON_EPOCHS)][-1]
        scores_of[optimizer.__name__] = scores
        print(f"  {optimizer.__name__}: {scores.mean():.4f}", flush=True)
    mean = {name: scores.mean() for name, scores in scores_of.items()}
    is_expected_order = min(mean["Adam"], mean["RMSprop"]) > mean["SGD"] > mean["AdaGrad"]
    text = ", ".join(f"{name} {scores.mean():.4f} ± {scores.std(ddof=1):.4f}" for name, scores in scores_of.items())
    data_name = "Fashion-MNIST" if has_fashion_mnist else "MNIST (Fashion-MNIST was not available)"
    return f"{text}; {data_name}, {COMPARISON_EPOCHS} epochs, mean ± spread of 5 folds", bool(is_expected_order)


def run_rnn_overfit() -> tuple[str, bool]:
    """Train a plain recurrent network on the first 1,000 words of Penn Treebank until it overfits."""
    corpus = PennTreebank(window=5, limit=1000).training()
    used_ids, ids = np.unique(corpus.ids[:1000], return_inverse=True)
    vocabulary = Vocabulary.from_tokens(corpus.vocabulary.lookup_tokens(used_ids))
    stream, seeds = TokenStream(ids, vocabulary, 5), 5
    split = EveryRow().split(stream)[np.zeros(seeds, dtype=int)]
    model = partial(RnnLM, cell="rnn", hidden=100, embed=100)
    trainer = Trainer(
        Replicas(fold_seeds(0, seeds)), stream, split, Perplexity(), model, partial(SGD, lr=0.1), batch_size=10
    )
    perplexity = np.exp([trainer.advance().loss for _ in range(100)][-1])  # (R,)
    text = f"{perplexity.mean():.2f} ± {perplexity.std(ddof=1):.2f} over {seeds} seeds"
    return text, bool((perplexity < 10.0).all())


def run_ptb_lstm() -> tuple[str, bool]:
    """Train an LSTM 100 on the whole of Penn Treebank for four epochs."""
    data = PennTreebank(window=35)
    table = data.training()
    model = partial(RnnLM, cell="lstm", hidden=100, embed=100)
    trainer = Trainer(
        Replicas(fold_seeds(0, 1)),
        table,
        Holdout().split(table),  # the validation part of the corpus
        Perplexity(),
        model,
        partial(SGD, lr=20.0),
        batch_size=20,
        epochs=4,
        clip_norm=0.25,
    )
    scores = [float(trainer.advance().score[0]) for _ in range(4)]
    test = data.testing()
    batches = test.scoring_batches(Rows.from_folds([np.arange(len(test))]))
    perplexity = float(Perplexity().measure(trainer.model, batches)[0])
    text = f"{perplexity:.1f} on the test part; {', '.join(f'{score:.0f}' for score in scores)} on the validation part"
    return f"{text} after each epoch (one seed)", perplexity <= 142.0


def run_spiral() -> tuple[str, bool]:
    """Train 2-10-3 with sigmoid, and save a figure of the decision boundary of seed 0."""
    from searchlab.reporting.figures import plot_decision_boundary

    data, seeds = Spiral(), 20
    model = partial(MLP, hidden=10, activation=Sigmoid, initializer=partial(random_normal, scale=0.01))
    trainer = trainer_of(data, seeds, model, partial(SGD, lr=1.0), 30)
    losses = [trainer.advance().loss for _ in range(300)][-1]  # (R,)

    def predict(x: np.ndarray) -> np.ndarray:
        rows = np.broadcast_to(x.astype(np.float32), (seeds, *x.shape))  # (R, B, 2)
        return trainer.model.layers.forward(rows, train=False)[0]

    table = data.training()
    figure = plot_decision_boundary(predict, table.x, table.y)
    figure.savefig(ROOT / "docs" / "images" / "spiral-boundary.png", dpi=100)
    text = f"loss {losses.mean():.3f} ± {losses.std(ddof=1):.3f} over {seeds} seeds; [boundary of seed 0]"
    return text + "(../docs/images/spiral-boundary.png)", bool(losses.mean() <= 0.2)


ADDITION = "addition: LSTM 128, embedding 16, batch 128, Adam 1e-3, clipping 5, 25 epochs, the book's split and padding"
DATES = (
    "dates: LSTM 256, embedding 16, reversed, batch 128, Adam 1e-3, clipping 5, 10 epochs, the book's split and padding"
)
CBOW_GOAL = "month and week among 3, each analogy among 5, class share >= 0.85"
NO_GOAL = "none"
ATTENTION_EPOCH = 3  # after which every seed of dates-attention has 0.95
SCRATCH, TEXTBOOK = "Deep Learning from Scratch", "TensorFlow textbook, chapter on deep MLPs"
REFERENCES = {
    "spiral": Reference(
        "spiral 2-10-3, sigmoid, SGD 1.0, batch 30, 300 epochs",
        f"{SCRATCH} 2, ch. 1",
        "loss about 0.1",
        "<= 0.2",
        run_spiral,
    ),
    "two-layers": Reference(
        "MNIST 784-50-10, sigmoid, weights 0.01 normal, SGD 0.1, batch 100, 10,000 steps",
        f"{SCRATCH} 1, ch. 4 and 5",
        "0.9441",
        ">= 0.938",
        run_two_layers,
    ),
    "wide": Reference(
        "MNIST 784-1024-10, tanh, mean squared error, Adam 1e-3, batch 128, 30 epochs",
        TEXTBOOK,
        "0.9765",
        ">= 0.972",
        partial(run_tanh, 3, (1024,), 1e-3, 0.972),
    ),
    "deep": Reference(
        "MNIST 784-1024-512-512-512-10, tanh, mean squared error, Adam 1e-4, batch 128, 30 epochs",
        TEXTBOOK,
        "0.9791 to 0.9809",
        ">= 0.976",
        partial(run_tanh, 1, DEEP_HIDDEN, 1e-4, 0.976),
    ),
    "relu": Reference(
        "the same net, relu, softmax cross entropy, Adam 1e-4, batch 128, 30 epochs",
        TEXTBOOK,
        "0.9824",
        ">= 0.979",
        run_relu,
    ),
    "defaults": Reference(
        "optimizers at their defaults on the deep net, relu, batch 256, 5-fold",
        TEXTBOOK,
        "Adam 0.897, RMSprop 0.879, SGD 0.861, AdaGrad 0.833 (Fashion-MNIST, 50 epochs)",
        "Adam and RMSprop > SGD > AdaGrad",
        run_optimizers,
    ),
    "rnn-overfit": Reference(
        "Penn Treebank, first 1,000 words: RNN 100, batch 10, window 5, SGD 0.1, 100 epochs; perplexity of these words",
        f"{SCRATCH} 2, ch. 5",
        "a curve",
        "< 10",
        run_rnn_overfit,
    ),
    "ptb-lstm": Reference(
        "Penn Treebank: LSTM 100, embedding 100, batch 20, window 35, SGD 20, clipping 0.25, 4 epochs; test perplexity",
        f"{SCRATCH} 2, ch. 6",
        "136",
        "<= 142",
        run_ptb_lstm,
    ),
    "addition": Reference(
        f"{ADDITION}; exact match on the test part",
        f"{SCRATCH} 2, ch. 7",
        "about 0.1",
        "mean of the last five epochs >= 0.05",
        partial(run_addition, lambda scores: bool(scores[-5:].mean() >= 0.05)),
        on_gpu=True,
    ),
    "addition-reversed": Reference(
        "the same, reversed",
        f"{SCRATCH} 2, ch. 7",
        "about 0.5",
        "mean of the last five epochs >= 0.40",
        partial(run_addition, lambda scores: bool(scores[-5:].mean() >= 0.40), reverse=True),
        on_gpu=True,
    ),
    "addition-peeky": Reference(
        "the same, reversed and peeky",
        f"{SCRATCH} 2, ch. 7",
        "near 0.98",
        "mean of the last five epochs >= 0.95",
        partial(run_addition, lambda scores: bool(scores[-5:].mean() >= 0.95), reverse=True, peeky=True),
        on_gpu=True,
    ),
    "dates-attention": Reference(
        f"{DATES}, attention (dot)",
        f"{SCRATCH} 2, ch. 8",
        "about 1 from epoch 2 or 3",
        ">= 0.99 by epoch 5, on all and on new dates",
        partial(run_dates, lambda scores: bool((scores[:5].max(axis=0) >= 0.99).all()), attention="dot"),
        on_gpu=True,
    ),
    "dates": Reference(
        "the same without attention",
        f"{SCRATCH} 2, ch. 8",
        "climbs later than with attention",
        "0.95 later than with attention",
        partial(run_dates, lambda scores: bool((first_epoch(scores, 0.95) > ATTENTION_EPOCH).all())),
        on_gpu=True,
    ),
    "dates-peeky": Reference(
        "the same, peeky, without attention",
        f"{SCRATCH} 2, ch. 8",
        "climbs later than with attention",
        "0.95 later than with attention",
        partial(run_dates, lambda scores: bool((first_epoch(scores, 0.95) > ATTENTION_EPOCH).all()), peeky=True),
        on_gpu=True,
    ),
    "dates-transformer": Reference(
        "the same split and padding: Transformer 64, 4 heads, 2 layers, inner 128, Adam 2e-3, warm-up 0.3 and cosine "
        "decay, batch 128, clipping 5, 10 epochs",
        "none",
        "none",
        ">= 0.99 by epoch 20, on all and on new dates",
        run_dates_transformer,
        on_gpu=True,
    ),
    "characters": Reference(
        "Penn Treebank, characters of the validation file, a fifth held out: TransformerLM 64, 2 layers, inner 128, "
        "beside LSTM 100, embedding 64; Adam at the best of 3 rates, batch 16, window 50, 6 epochs; held-out "
        "perplexity",
        "none",
        "none",
        "none",
        run_characters,
    ),
    "toy-counts": Reference(
        "toy text, co-occurrence counts, window 1",
        f"{SCRATCH} 2, ch. 2",
        "cos(you, i) = 0.7071",
        "equal to six digits",
        run_toy,
    ),
    "ptb-counts": Reference(
        "Penn Treebank: PPMI and SVD, window 2, 100 dimensions, power 0; nearest words",
        f"{SCRATCH} 2, ch. 2",
        "you: i 0.70, we 0.70, 've, do, else; year: month 0.73, quarter 0.66, last, earlier, next; car: luxury, auto, "
        "cars, vehicle, corsica; toyota: motor 0.74, nissan 0.68, motors, honda, lexus",
        ">= 3 of each five, class share >= 0.85",
        run_counts,
    ),
    "ptb-cbow": Reference(
        "Penn Treebank: CBOW, window 5, 100 dimensions, 5 negatives, Adam 1e-3, batch 100, 10 epochs",
        f"{SCRATCH} 2, ch. 4",
        "year: month 0.72, week 0.65; king:man = queen:woman 5.16; take:took = go:went 4.55; car:cars = child:children "
        "5.22",
        CBOW_GOAL,
        partial(run_cbow, sparse=False),
    ),
    "ptb-cbow-sparse": Reference(
        "the same with updates of the words of each batch alone (the default of Cbow)",
        f"{SCRATCH} 2, ch. 4",
        "the same",
        CBOW_GOAL,
        partial(run_cbow, sparse=True),
    ),
}


def write_table(rows: dict[str, list[str]]) -> None:
    """Write the table into RESULTS.md, in the order of the references."""
    lines = ["| run | source | published | goal | result | |", "|---|---|---|---|---|---|"]
    for name, reference in REFERENCES.items():
        if name in rows:
            cells = [reference.configuration, reference.source, reference.published, reference.goal, *rows[name]]
            lines.append("| " + " | ".join(cells) + " |")
    text = RESULTS_FILE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    RESULTS_FILE.write_text("\n".join([before + BEGIN, *lines, END]) + after)


def mark_of(goal: str, is_reached: bool) -> str:
    """Return the text of the table's last column."""
    if goal == NO_GOAL:
        return "shown"
    return "reached" if is_reached else "**not reached**"


def main() -> None:
    """Run the references of these names, or all; write each row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="RUN", help=f"{', '.join(REFERENCES)}; default: all")
    parser.add_argument("--cuda", action="store_true", help="on a GPU, where a run can use one")
    arguments = parser.parse_args()
    if wrong := [name for name in arguments.names if name not in REFERENCES]:
        parser.error(f"there is no run {wrong[0]!r}; use {', '.join(REFERENCES)}.")
    for name in arguments.names or REFERENCES:
        print(f"{name}: {REFERENCES[name].configuration}", flush=True)
        started = time.perf_counter()
        options = {"device": "cuda"} if arguments.cuda and REFERENCES[name].on_gpu else {}
        text, is_reached = REFERENCES[name].run(**options)
        seconds = time.perf_counter() - started
        print(f"  {text}: {mark_of(REFERENCES[name].goal, is_reached)}, {seconds:.0f} s", flush=True)
        rows = json.loads(ROWS_FILE.read_text()) if ROWS_FILE.exists() else {}
        rows[name] = [text, mark_of(REFERENCES[name].goal, is_reached)]
        ROWS_FILE.write_text(json.dumps(rows, indent=1) + "\n")
        write_table(rows)


if __name__ == "__main__":
    main()

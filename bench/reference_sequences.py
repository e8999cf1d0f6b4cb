"""Runs of sequences for bench.reference: chapters 7 and 8 of Deep Learning from Scratch 2, and Transformers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.transformer import Transformer
from models.transformer_lm import TransformerLM
from searchlab.backend import Device, to_host
from searchlab.data import EveryRow, Holdout, SequencePairs, Text
from searchlab.data.data_folder import find_file
from searchlab.data.pair_tables import PairFormat, TextPair, table_of
from searchlab.data.splits import Rows
from searchlab.metrics import ExactMatch, ParameterCount, Perplexity
from searchlab.optim import Adam
from searchlab.optim.schedules import CosineDecay
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

BOOK_SEED = 1984  # of the shuffle by which the book splits its files
BOOK_FORMAT = PairFormat(shared_vocabulary=True, padding="learned")
SEEDS = 3
ADDITION_EPOCHS, DATE_EPOCHS, CHARACTER_EPOCHS = 25, 10, 6
CHARACTER_RATES = (3e-3, 1e-2, 3e-2)  # of Adam, trained fused


def run_addition(goal: Callable[[np.ndarray], bool], *, device: Device = "cpu", **options: bool) -> tuple[str, bool]:
    """Train on the book's 45,000 sums, and test on its 5,000 after each epoch."""
    pairs, is_test = read_book_file("sequence/addition.txt")
    train, test = (table_of(pairs, is_test, BOOK_FORMAT, is_test=part) for part in (False, True))
    scores = exact_matches(train, [test], partial(Seq2Seq, embed=16, hidden=128, **options), ADDITION_EPOCHS, device)[0]
    return summary(scores), goal(scores)


def run_dates(goal: Callable[[np.ndarray], bool], *, device: Device = "cpu", **options: object) -> tuple[str, bool]:
    """Train on the book's 45,000 dates, and test on its 5,000, and on those whose source is not trained."""
    model = partial(Seq2Seq, embed=16, hidden=256, reverse=True, **options)
    scores, new_scores, text = date_scores(model, device, SEEDS, Adam)
    text = f"{text}; 0.95 first reached in epoch {', '.join(map(str, first_epoch(scores, 0.95)))}"
    return text, goal(np.minimum(scores, new_scores))


def run_dates_transformer(*, device: Device = "cpu") -> tuple[str, bool]:
    """Train a Transformer on the book's 45,000 dates, with one seed."""
    optimizer = partial(Adam, lr=2e-3)
    scores, new_scores, text = date_scores(Transformer, device, 1, optimizer, partial(CosineDecay, warmup=0.3))
    (first,) = first_epoch(np.minimum(scores, new_scores), 0.99)
    return f"{text}; 0.99 on both first reached in epoch {first}", bool(first <= DATE_EPOCHS)


def run_characters() -> tuple[str, bool]:
    """Train a Transformer and an LSTM with as many parameters on characters, each at three learning rates."""
    data = Text(str(find_file("ptb/ptb.valid.txt")), unit="char", window=50)
    models = {
        "TransformerLM": partial(TransformerLM, width=64, layers=2, inner=128),
        "LSTM": partial(RnnLM, cell="lstm", embed=64, hidden=100),
    }
    return "; ".join(f"{name} {character_perplexity(data, model)}" for name, model in models.items()), True


def character_perplexity(data: Text, model: Callable[..., TransformerLM | RnnLM]) -> str:
    """Return the best held-out perplexity after the last epoch, its learning rate, and the number of parameters."""
    table, rates = data.training(), np.array(CHARACTER_RATES)
    split = Holdout(0.2).split(table)[np.zeros(len(rates), dtype=int)]
    trainer = Trainer(
        Replicas(fold_seeds(0, 1) * len(rates)),
        table,
        split,
        Perplexity(),
        model,
        partial(Adam, lr=rates),
        batch_size=16,
        epochs=CHARACTER_EPOCHS,
        clip_norm=1.0,
        schedule=partial(CosineDecay, warmup=0.5),
    )
    scores = [trainer.advance().score for _ in range(CHARACTER_EPOCHS)][-1]  # (R,)
    count = ParameterCount().measure(trainer.model, iter(()))[0]
    return f"{scores.min():.2f} at a rate of {rates[scores.argmin()]:g}, {count:,.0f} parameters"


def date_scores(
    model: Callable[..., Seq2Seq | Transformer],
    device: Device,
    seeds: int,
    optimizer: Callable[..., Adam],
    schedule: Callable[..., CosineDecay] | None = None,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the exact matches on the book's test part, on its dates that are not trained (epochs, R), and a text."""
    pairs, is_test = read_book_file("sequence/date.txt")
    train, test = (table_of(pairs, is_test, BOOK_FORMAT, is_test=part) for part in (False, True))
    trained = {source for (source, _), in_test in zip(pairs, is_test, strict=True) if not in_test}
    tested = [source for (source, _), in_test in zip(pairs, is_test, strict=True) if in_test]
    new = np.flatnonzero([source not in trained for source in tested])
    scores, new_scores = exact_matches(
        train, [test, test.take(new)], model, DATE_EPOCHS, device, seeds, optimizer, schedule
    )
    return scores, new_scores, f"{summary(scores)}; on the {len(new):,} new dates {summary(new_scores)}"


def read_book_file(name: str) -> tuple[list[TextPair], np.ndarray]:
    """Return the pairs of a file of the book, and which of them are in its test part."""
    lines = find_file(name).read_text().splitlines()
    pairs = [(source.rstrip(), target.rstrip()) for source, _, target in (line.partition("_") for line in lines)]
    order = np.arange(len(pairs))
    np.random.RandomState(BOOK_SEED).shuffle(order)
    is_test = np.zeros(len(pairs), dtype=bool)
    is_test[order[len(pairs) - len(pairs) // 10 :]] = True
    return pairs, is_test


def exact_matches(
    train: SequencePairs,
    tests: list[SequencePairs],
    model: Callable[..., Seq2Seq | Transformer],
    epochs: int,
    device: Device,
    seeds: int = SEEDS,
    optimizer: Callable[..., Adam] = Adam,
    schedule: Callable[..., CosineDecay] | None = None,
) -> np.ndarray:
    """Return the share of exact matches of each seed on each test table after each epoch (tables, epochs, R)."""
    table, on_device = train.to(device), [test.to(device) for test in tests]
    split = EveryRow().split(train)[np.zeros(seeds, dtype=int)]
    replicas = Replicas(fold_seeds(0, seeds), device=device)
    options = {"batch_size": 128, "epochs": epochs, "clip_norm": 5.0, "schedule": schedule}
    trainer = Trainer(replicas, table, split, ExactMatch(), model, optimizer, **options)
    scores = np.empty((len(tests), epochs, seeds))
    for epoch in range(epochs):
        report = trainer.advance()
        for index, test in enumerate(on_device):
            rows = Rows.from_folds([np.arange(len(test))] * seeds)
            scores[index, epoch] = to_host(ExactMatch().measure(trainer.model, test.scoring_batches(rows)))
        shares = " ".join(f"{share:.4f}" for share in scores[:, epoch].ravel())
        print(f"  epoch {epoch + 1:2}  {shares}  ({report.seconds:.0f} s)", flush=True)
    return scores


def summary(scores: np.ndarray) -> str:
    """Return the best, the last and the mean of the last five epochs (epochs, R) as text, means over the seeds."""
    each = {"best": scores.max(axis=0), "last": scores[-1], "mean of the last five epochs": scores[-5:].mean(axis=0)}
    parts = [f"{name} {values.mean():.4f} ({values.min():.4f} to {values.max():.4f})" for name, values in each.items()]
    return ", ".join(parts)


def first_epoch(scores: np.ndarray, level: float) -> np.ndarray:
    """Return the first epoch, from 1, after which each seed has reached a level; epochs + 1 where it has not."""
    reached = np.vstack([scores >= level, np.ones((1, scores.shape[1]), dtype=bool)])
    return reached.argmax(axis=0) + 1

"""The sequence-to-sequence runs of Deep Learning from Scratch 2, chapters 7 and 8, for bench.reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from models.seq2seq import Seq2Seq
from searchlab.backend import Device, to_host
from searchlab.data import EveryRow, SequencePairs
from searchlab.data.data_folder import find_file
from searchlab.data.pair_tables import PairFormat, TextPair, table_of
from searchlab.data.splits import Rows
from searchlab.metrics import ExactMatch
from searchlab.optim import Adam
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

BOOK_SEED = 1984  # of the shuffle by which the book splits its files
BOOK_FORMAT = PairFormat(shared_vocabulary=True, padding="learned")
SEEDS = 3
ADDITION_EPOCHS, DATE_EPOCHS = 25, 10


def run_addition(goal: Callable[[np.ndarray], bool], *, device: Device = "cpu", **options: bool) -> tuple[str, bool]:
    """Train on the book's 45,000 sums, and test on its 5,000 after each epoch."""
    pairs, is_test = read_book_file("sequence/addition.txt")
    train, test = (table_of(pairs, is_test, BOOK_FORMAT, is_test=part) for part in (False, True))
    scores = test_scores(train, [test], partial(Seq2Seq, embed=16, hidden=128, **options), ADDITION_EPOCHS, device)[0]
    return summary(scores), goal(scores)


def run_dates(goal: Callable[[np.ndarray], bool], *, device: Device = "cpu", **options: object) -> tuple[str, bool]:
    """Train on the book's 45,000 dates, and test on its 5,000, and on those whose source is not trained."""
    pairs, is_test = read_book_file("sequence/date.txt")
    train, test = (table_of(pairs, is_test, BOOK_FORMAT, is_test=part) for part in (False, True))
    trained = {source for (source, _), test_row in zip(pairs, is_test, strict=True) if not test_row}
    new = [
        row
        for row, (source, _) in enumerate(p for p, t in zip(pairs, is_test, strict=True) if t)
        if source not in trained
    ]
    model = partial(Seq2Seq, embed=16, hidden=256, reverse=True, **options)
    scores, new_scores = test_scores(train, [test, test.take(np.array(new))], model, DATE_EPOCHS, device)
    epochs = ", ".join(map(str, first_epoch(scores, 0.95)))
    text = (
        f"{summary(scores)}; on the {len(new):,} new dates {summary(new_scores)}; 0.95 first reached in epoch {epochs}"
    )
    return text, goal(np.minimum(scores, new_scores))


def read_book_file(name: str) -> tuple[list[TextPair], np.ndarray]:
    """Return the pairs of a file of the book, and which of them are in its test part."""
    lines = find_file(name).read_text().splitlines()
    pairs = [(source.rstrip(), target.rstrip()) for source, _, target in (line.partition("_") for line in lines)]
    order = np.arange(len(pairs))
    np.random.RandomState(BOOK_SEED).shuffle(order)
    is_test = np.zeros(len(pairs), dtype=bool)
    is_test[order[len(pairs) - len(pairs) // 10 :]] = True
    return pairs, is_test


def test_scores(
    train: SequencePairs, tests: list[SequencePairs], model: Callable[..., Seq2Seq], epochs: int, device: Device
) -> np.ndarray:
    """Return the share of exact matches of each seed on each test table after each epoch (tables, epochs, R)."""
    table, on_device = train.to(device), [test.to(device) for test in tests]
    split = EveryRow().split(train)[np.zeros(SEEDS, dtype=int)]
    replicas = Replicas(fold_seeds(0, SEEDS), device=device)
    trainer = Trainer(replicas, table, split, ExactMatch(), model, Adam, batch_size=128, clip_norm=5.0)
    scores = np.empty((len(tests), epochs, SEEDS))
    for epoch in range(epochs):
        report = trainer.advance()
        for index, test in enumerate(on_device):
            rows = Rows.from_folds([np.arange(len(test))] * SEEDS)
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

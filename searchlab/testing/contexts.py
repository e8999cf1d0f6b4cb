"""The contract of a data set of words with contexts, from which word vectors are learned."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.cross_validation import Blocked
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.replicas import Replicas
from searchlab.testing.replica_rows import assert_identical, select_batch

BATCH_SIZE = 8
SEEDS = (7, 7, 8)  # of three replicas, of which two have the same seed


def check_word_contexts(data: LoadedDataset, test_data: LoadedDataset) -> None:
    """Raise AssertionError unless these words keep the rules for words with contexts in `check_dataset`."""
    assert data.vocabulary is not None, "words have a vocabulary"
    assert data.sizes == test_data.sizes == (len(data.vocabulary),), f"sizes {data.sizes} of {len(data.vocabulary)}"
    words, split = _words(data), Blocked(3).split(data)
    assert (words != IGNORED).all(), f"scoring all {len(data)} words leaves some out"
    for fold in range(split.folds):
        _check_scoring(data, split.held_out, fold, words)
        _check_epoch(data, split, fold, words)
    _check_order(data, split)
    _check_frequencies(data, split, words)


def is_word_contexts(data: LoadedDataset) -> bool:
    """Return whether the rows of ordered data are words (R, B) with contexts, and not a stream of tokens (R, T, B)."""
    return next(iter(_all_batches(data))).y.ndim == 2


def expected_context(words: Array, rows: Array, place: int, max_window: int) -> Array:
    """Return the words around one place of a replica's rows, `IGNORED` where they lie outside of its block."""
    block = rows - np.arange(len(rows))  # equal numbers within a block of consecutive rows
    places = place + np.concatenate([np.arange(-max_window, 0), np.arange(1, max_window + 1)])
    is_inside = (places >= 0) & (places < len(rows))
    clipped = np.clip(places, 0, len(rows) - 1)
    is_inside &= block[clipped] == block[place]
    return np.where(is_inside, words[rows[clipped]], IGNORED)


def _check_scoring(data: LoadedDataset, held_out: Rows, fold: int, words: Array) -> None:
    rows = held_out.index[fold, : held_out.counts[fold]]
    batches = [select_batch(batch, (fold,)) for batch in data.scoring_batches(held_out)]
    y, x = np.concatenate([b.y[0] for b in batches]), np.concatenate([b.x[0] for b in batches], axis=1)
    assert np.array_equal(y[: len(rows)], words[rows]), f"scoring fold {fold} does not read each of its words in order"
    assert (y[len(rows) :] == IGNORED).all(), f"scoring fold {fold} reads words that it does not hold out"
    for place in range(0, len(rows), max(1, len(rows) // 50)):
        expected = expected_context(words, rows, place, len(x) // 2)
        assert np.array_equal(x[:, place], expected), f"the context of word {place} of fold {fold} is {x[:, place]}"
    alone = data.scoring_batches(held_out[np.array([fold])])
    for one, single in zip(batches, alone, strict=False):
        assert_identical({"x": one.x, "y": one.y}, {"x": single.x, "y": single.y}, f"fold {fold} with others and alone")


def _check_epoch(data: LoadedDataset, split: Split, fold: int, words: Array) -> None:
    batches = list(data.training_batches(split, Replicas(SEEDS), BATCH_SIZE))
    steps = data.steps_per_epoch(split, BATCH_SIZE)
    assert len(batches) == steps == split.min_train_rows // BATCH_SIZE, f"{len(batches)} batches, and {steps} steps"
    y, x = np.concatenate([b.y[fold] for b in batches]), np.concatenate([b.x[fold] for b in batches], axis=1)
    rows = split.train.index[fold, : split.train.counts[fold]]
    read, own = (np.bincount(each, minlength=data.sizes[0]) for each in (y, words[rows]))
    assert (read <= own).all(), f"an epoch of fold {fold} reads words twice, or words that are not its training words"
    contexts = {
        (int(words[row]), *expected_context(words, rows, place, len(x) // 2).tolist()) for place, row in enumerate(rows)
    }
    unknown = {(int(target), *context) for target, context in zip(y, x.T.tolist(), strict=True)} - contexts
    assert not unknown, f"fold {fold} reads a context that its training blocks do not have: {sorted(unknown)[0]}"


def _check_order(data: LoadedDataset, split: Split) -> None:
    one_fold, replicas = split[np.zeros(len(SEEDS), dtype=int)], Replicas(SEEDS)
    first, second = (next(iter(data.training_batches(one_fold, replicas, BATCH_SIZE))) for _ in range(2))
    assert (first.x[0] == first.x[1]).all(), "two replicas with one seed and one fold read words in two orders"
    assert not (first.x[0] == first.x[2]).all(), "two replicas with two seeds read words in one order"
    assert not (first.x[0] == second.x[0]).all(), "two epochs read words in one order"
    for r in range(len(SEEDS)):
        own_split, own_replicas = split[np.zeros(1, dtype=int)], Replicas(SEEDS[r : r + 1])
        alone = next(iter(data.training_batches(own_split, own_replicas, BATCH_SIZE)))
        one = select_batch(first, (r,))
        assert_identical({"x": one.x, "y": one.y}, {"x": alone.x, "y": alone.y}, f"replica {r} fused and alone")


def _check_frequencies(data: LoadedDataset, split: Split, words: Array) -> None:
    for seen in (data, data.fitted(split)):
        frequencies = next(iter(seen.training_batches(split, Replicas(SEEDS), BATCH_SIZE))).frequencies
        assert frequencies is not None, "batches of words with contexts have frequencies"
        for fold, (index, count) in enumerate(zip(split.train.index, split.train.counts, strict=True)):
            expected = np.bincount(words[index[:count]], minlength=data.sizes[0])
            assert np.array_equal(frequencies[fold], expected), f"frequencies of fold {fold} are not of its own words"


def _words(data: LoadedDataset) -> Array:
    words: Array = np.concatenate([batch.y[0] for batch in _all_batches(data)])[: len(data)]
    return words


def _all_batches(data: LoadedDataset) -> list[Batch]:
    return list(data.scoring_batches(Rows.from_folds([np.arange(len(data))])))

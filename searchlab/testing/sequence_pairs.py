"""The contract of a data set of pairs of sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.cross_validation import KFold
from searchlab.data.loaded import LoadedDataset
from searchlab.data.sequence_pairs import END_ID, START_ID
from searchlab.data.splits import Rows, Split
from searchlab.replicas import Replicas
from searchlab.testing.replica_rows import assert_identical, select_batch

BATCH_SIZE = 8
SEEDS = (7, 7, 8)  # of three replicas, of which two have the same seed

Pair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


def check_sequence_pairs(data: LoadedDataset, test_data: LoadedDataset) -> None:
    """Raise AssertionError unless these pairs keep the rules for pairs of sequences in `check_dataset`."""
    for part in (data, test_data):
        _check_batches(list(_all_batches(part)), part)
    rows, split = _pairs(_all_batches(data)), KFold(3).split(data)
    assert len(rows) == len(data), f"scoring all {len(data)} rows gives {len(rows)}"
    shared = {source for source, _ in rows} & {source for source, _ in _pairs(_all_batches(test_data))}
    assert not shared, f"{len(shared)} sources are in the training part and in the test part"
    _check_groups(data, rows)
    _check_folds(data, split, rows)
    _check_row_order(data, split)


def _check_batches(batches: list[Batch], data: LoadedDataset) -> None:
    sizes = data.sizes
    assert len(sizes) == 2, f"pairs have two sizes, of the source vocabulary and of the target vocabulary; got {sizes}"
    assert data.vocabulary is not None, "pairs have a target vocabulary"
    assert len(data.vocabulary) == sizes[1], f"{len(data.vocabulary)} target tokens, and sizes are {sizes}"
    for batch in batches:
        widths = {(each.x.shape[1], each.y.shape[1]) for each in batches}
        assert len(widths) == 1, f"batches are as wide as the longest rows of the table, not of widths {widths}"
        y, inputs = batch.y, batch.decoder_inputs
        assert inputs is not None, "a batch of pairs has decoder_inputs"
        assert inputs.shape == y.shape, f"decoder_inputs {inputs.shape} and targets {y.shape}"
        assert (inputs[:, 0] == START_ID).all(), "a decoder reads the start mark first"
        follows = (inputs[:, 1:] == y[:, :-1]) | (y[:, :-1] == IGNORED)
        assert follows.all(), "a decoder reads each target after it has had to predict it"
        assert 0 <= batch.x.min() <= batch.x.max() < sizes[0], f"sources lie outside [0, {sizes[0]})"
        assert IGNORED <= y.min() <= y.max() < sizes[1], f"targets lie outside [0, {sizes[1]})"
        is_end = (y == END_ID) & (np.cumsum(y == END_ID, axis=1) == 1)
        after = np.cumsum(is_end, axis=1) - is_end > 0
        assert np.isin(y[after], (IGNORED, END_ID)).all(), "a token follows the end mark"
        assert batch.max_length, "pairs limit the length of what is decoded"


def _check_groups(data: LoadedDataset, rows: list[Pair]) -> None:
    sources = [source for source, _ in rows]
    if len(set(sources)) < len(sources):
        assert data.groups is not None, "sources repeat, so rows have groups"
        numbers = {(source, int(group)) for source, group in zip(sources, data.groups, strict=True)}
        assert len(numbers) == len(set(sources)) == len(set(data.groups.tolist())), "a group is one distinct source"


def _check_folds(data: LoadedDataset, split: Split, rows: list[Pair]) -> None:
    width = min(BATCH_SIZE, split.min_train_rows)
    scored = list(data.scoring_batches(split.held_out))
    epoch = list(data.training_batches(split, Replicas(SEEDS), BATCH_SIZE))
    steps = data.steps_per_epoch(split, BATCH_SIZE)
    assert steps == len(epoch) == split.min_train_rows // width, f"an epoch has {len(epoch)} batches, not {steps}"
    for fold in range(split.folds):
        train, held_out = (
            Counter(rows[row] for row in part.index[fold, : part.counts[fold]])
            for part in (split.train, split.held_out)
        )
        assert not {source for source, _ in train} & {source for source, _ in held_out}, (
            f"KFold has a source on both sides of fold {fold}"
        )
        actual = Counter(_pairs(select_batch(batch, (fold,)) for batch in scored))
        assert actual == held_out, f"scoring fold {fold} does not read each of its held-out rows once"
        trained = Counter(_pairs(select_batch(batch, (fold,)) for batch in epoch))
        assert trained <= train, f"an epoch of fold {fold} reads rows twice, or rows that are not its training rows"


def _check_row_order(data: LoadedDataset, split: Split) -> None:
    one_fold, replicas = split[np.zeros(len(SEEDS), dtype=int)], Replicas(SEEDS)
    first, second = (next(iter(data.training_batches(one_fold, replicas, BATCH_SIZE))).x for _ in range(2))
    assert (first[0] == first[1]).all(), "two replicas with one seed and one fold read rows in two orders"
    assert not (first[0] == first[2]).all(), "two replicas with two seeds read rows in one order"
    assert not (first[0] == second[0]).all(), "two epochs read rows in one order"
    for r in range(len(SEEDS)):
        own_split, own_replicas = split[np.zeros(1, dtype=int)], Replicas(SEEDS[r : r + 1])
        alone = next(iter(data.training_batches(own_split, own_replicas, BATCH_SIZE)))
        assert_identical({"x": first[r : r + 1]}, {"x": alone.x}, f"the first batch of replica {r} fused and alone")


def _all_batches(data: LoadedDataset) -> Iterable[Batch]:
    return data.scoring_batches(Rows.from_folds([np.arange(len(data))]))


def _pairs(batches: Iterable[Batch]) -> list[Pair]:
    """Return the source and the target of each row of one replica that counts, without padding."""
    pairs: list[Pair] = []
    for batch in batches:
        mask = np.ones(batch.x.shape, bool) if batch.source_mask is None else batch.source_mask
        for x, is_token, y in zip(batch.x[0].T, mask[0].T, batch.y[0].T, strict=True):
            if (y != IGNORED).any():
                pairs.append((_ids(x[is_token]), _ids(y[y != IGNORED])))
    return pairs


def _ids(array: Array) -> tuple[int, ...]:
    return tuple(array.tolist())

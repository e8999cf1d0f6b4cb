"""The contract of a data set whose rows are the tokens of a text, each predicted from the tokens before it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.cross_validation import Blocked
from searchlab.data.holdout import Holdout
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.replicas import Replicas
from searchlab.testing.replica_rows import assert_identical, select_batch

STREAMS = 3  # parallel streams in a training batch
SEEDS = (7, 8, 9)  # of three replicas
MAX_SHARED = 0.01  # share of the test windows that may be in the training text: phrases that everybody uses
SAMPLED_WINDOWS = 200  # of the test text


def check_token_stream(data: LoadedDataset, test_data: LoadedDataset) -> None:
    """Raise AssertionError unless these tokens keep the rules for ordered data in `check_dataset`."""
    tokens = _tokens(_all_batches(data), data)
    assert len(tokens) == len(data), (
        f"scoring all {len(data)} tokens has {len(tokens) - 1} targets, not {len(data) - 1}"
    )
    _check_vocabulary(data)
    _check_validation_rows(data)
    split = Blocked(3).split(data)
    for fold in range(split.folds):
        _check_scoring(data, split.held_out, fold, tokens)
    _check_epoch(data, split, tokens)
    _check_order_without_seeds(data, split)
    _check_no_scaling(data, split)
    window = next(iter(_all_batches(data))).x.shape[1]
    _check_test_part_is_apart(tokens, _tokens(_all_batches(test_data), test_data), window)


def _check_vocabulary(data: LoadedDataset) -> None:
    assert data.vocabulary is not None, "tokens have a vocabulary"
    assert data.sizes == (len(data.vocabulary),), f"sizes {data.sizes} of {len(data.vocabulary)} words"
    assert data.labels is data.groups is None, "tokens have neither labels nor groups"


def _check_validation_rows(data: LoadedDataset) -> None:
    if data.validation_rows is None:
        return
    expected = np.arange(len(data) - len(data.validation_rows), len(data))
    assert np.array_equal(data.validation_rows, expected), "the validation part of the corpus is not at its end"
    held_out = Holdout().split(data).held_out
    assert np.array_equal(held_out.index[0], expected), "Holdout does not hold out the validation part of the corpus"


def _check_scoring(data: LoadedDataset, rows: Rows, fold: int, tokens: Array) -> None:
    expected = tokens[rows.index[fold, : rows.counts[fold]]]
    together = list(data.scoring_batches(rows))
    actual = _tokens((select_batch(batch, (fold,)) for batch in together), data)
    assert np.array_equal(actual, expected), (
        f"scoring fold {fold} does not predict each of its tokens but the first once"
    )
    alone = data.scoring_batches(rows[np.array([fold])])
    for batch, single in zip(together, alone, strict=False):  # together there may be more, which ignore this fold
        one = select_batch(batch, (fold,))
        assert_identical(_arrays(one), _arrays(single), f"fold {fold} scored together with others and alone")


def _check_epoch(data: LoadedDataset, split: Split, tokens: Array) -> None:
    batches = list(data.training_batches(split, Replicas(SEEDS), STREAMS))
    steps = data.steps_per_epoch(split, STREAMS)
    assert steps == len(batches), f"steps_per_epoch is {steps}, and an epoch has {len(batches)} batches"
    for batch in batches:
        assert batch.x.shape[2] == STREAMS, f"a batch of {STREAMS} streams is (R, T, {STREAMS}), not {batch.x.shape}"
    for fold in range(split.folds):
        actual = _tokens((select_batch(batch, (fold,)) for batch in batches), data)
        expected = tokens[split.train.index[fold, : split.min_train_rows]]
        has_all = np.array_equal(actual, expected)
        assert has_all, f"an epoch does not predict each training token of fold {fold} but the first once, in order"


def _check_order_without_seeds(data: LoadedDataset, split: Split) -> None:
    one_fold, replicas = split[np.zeros(len(SEEDS), dtype=int)], Replicas(SEEDS)
    first, second = (next(iter(data.training_batches(one_fold, replicas, STREAMS))) for _ in range(2))
    assert_identical(_arrays(first), _arrays(second), "the first batches of two epochs")
    alone = next(iter(data.training_batches(split[np.zeros(1, dtype=int)], Replicas(SEEDS[:1]), STREAMS)))
    for r in range(len(SEEDS)):
        one = select_batch(first, (r,))
        assert_identical(_arrays(one), _arrays(alone), f"replica {r} with others, and a replica of another seed alone")


def _check_no_scaling(data: LoadedDataset, split: Split) -> None:
    fitted = data.fitted(split)
    assert fitted.checksum() == data.checksum(), "fitted(split) changes the checksum"
    assert fitted.scaling is None, "token ids have no scaling"
    for original, seen in zip(
        data.scoring_batches(split.held_out), fitted.scoring_batches(split.held_out), strict=True
    ):
        assert_identical(_arrays(original), _arrays(seen), "tokens before and after fitted(split)")


def _check_test_part_is_apart(tokens: Array, test_tokens: Array, window: int) -> None:
    starts = np.linspace(0, max(len(test_tokens) - window, 0), SAMPLED_WINDOWS).astype(int)
    content = tokens.tobytes()
    share = sum(test_tokens[start : start + window].tobytes() in content for start in starts) / SAMPLED_WINDOWS
    assert share <= MAX_SHARED, f"{share:.0%} of the windows of the test part are in the training part too"


def _check_batch(batch: Batch, data: LoadedDataset, replicas: int) -> None:
    for name, array in (("x", batch.x), ("y", batch.y)):
        assert array.ndim == 3, f"{name} is (R, T, B), not {array.shape}"
        assert len(array) == replicas, f"axis 0 is the replica: {name} {array.shape} of {replicas}"
        assert np.issubdtype(array.dtype, np.integer), f"{name} is whole numbers, not {array.dtype}"
    assert batch.x.shape == batch.y.shape, f"x is {batch.x.shape} and y {batch.y.shape}"
    assert 0 <= batch.x.min() <= batch.x.max() < data.sizes[0], f"x lies outside [0, {data.sizes[0]})"
    assert IGNORED <= batch.y.min() <= batch.y.max() < data.sizes[0], f"y lies outside [0, {data.sizes[0]})"
    assert batch.weight is None, "a batch of tokens has no weight: a target that does not count is IGNORED"


def _tokens(batches: Iterable[Batch], data: LoadedDataset) -> Array:
    """Return the tokens of one replica: the first input, and the targets of each stream after those of the one before.

    Within a stream each input must be the target before it, also from one window to the next.
    """
    windows = list(batches)
    for batch in windows:
        _check_batch(batch, data, 1)
    x, y = (np.concatenate([getattr(batch, name)[0] for batch in windows]) for name in ("x", "y"))  # (time, B)
    has_target = y != IGNORED
    assert not (has_target[1:] & ~has_target[:-1]).any(), "a stream continues after its end"
    is_target_before = (x[1:] == y[:-1])[has_target[1:]]
    assert is_target_before.all(), "an input is not the target before it: windows do not follow each other"
    inputs, targets = x.T[has_target.T], y.T[has_target.T]  # stream after stream
    assert (inputs[1:] == targets[:-1]).all(), "a stream does not begin with the last target of the stream before"
    return np.concatenate([inputs[:1], targets])


def _arrays(batch: Batch) -> dict[str, Array]:
    return {"x": batch.x, "y": batch.y}


def _all_batches(data: LoadedDataset) -> Iterable[Batch]:
    return data.scoring_batches(Rows.from_folds([np.arange(len(data))]))

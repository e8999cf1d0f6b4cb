"""The contract of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.cross_validation import KFold
from searchlab.data.dataset import Dataset
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.replicas import Replicas
from searchlab.testing.contexts import check_word_contexts, is_word_contexts
from searchlab.testing.replica_rows import assert_identical, select_batch
from searchlab.testing.scaling import check_scaling
from searchlab.testing.sequence_pairs import check_sequence_pairs
from searchlab.testing.streams import check_token_stream

MAX_SHARED = 0.01  # share of the test rows that may be among the training rows: the same picture taken twice
BATCH_SIZE = 8
SEEDS = (7, 7, 8)  # of three replicas, of which two have the same seed


def check_dataset(dataset: Dataset) -> None:
    """Check that a data set reads the rows that a split names, and keeps its test rows apart.

    It checks that:

    - `training()` and `testing()` give the same rows each time, and have the same sizes;
    - at most 1 % of the test rows are among the training rows;
    - x is float32 or whole numbers, y is labels or float32, and axis 0 of a batch is the replica;
    - labels are the targets, and there is one group per row, where the data have labels or groups;
    - scoring reads each held-out row once, without its padding;
    - an epoch reads each training row at most once, and no other row;
    - replicas with the same seed read rows in the same order, and otherwise in another; each epoch has another order;
    - mean and scale of standardized data are measured on the training rows of each replica, and are the same together
      and alone; so are the medians that fill empty cells of a table, and the words that have an input of their own.

    Ordered data, the tokens of a text, have other rules in place of the last three:

    - scoring predicts every token of a fold but the first, once, in order;
    - an epoch reads the parallel streams of each replica window by window, in the order of the text;
    - a fold is a block of the text, and the validation part of the corpus, where it has one, is at its end.

    Pairs of sequences have further rules:

    - no source is in both parts, or on both sides of a fold of `KFold`;
    - all batches are as wide as the longest rows of the table;
    - `decoder_inputs` are a start mark and each target but the last.

    Words with contexts, from which word vectors are learned, are ordered data with these rules:

    - scoring reads every word of a fold once, in order, and an epoch reads each training word at most once, shuffled;
    - a context holds the words around, and none from beyond the ends of the block that the word is in;
    - frequencies are those of the training words of each fold.

    Args:
        dataset: The data set.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import Spiral
        >>> from searchlab.testing import check_dataset
        >>> check_dataset(Spiral())
    """
    data, test_data = dataset.training(), dataset.testing()
    _check_repeated_reading(dataset, data, test_data)
    assert data.is_ordered == test_data.is_ordered, "training rows and test rows differ in is_ordered"
    if data.is_ordered:
        check = check_word_contexts if is_word_contexts(data) else check_token_stream
        check(data, test_data)
        return
    if next(iter(_all_batches(data))).decoder_inputs is not None:
        check_sequence_pairs(data, test_data)
        return
    _check_test_rows_are_apart(data, test_data)
    _check_labels_and_groups(data)
    split = KFold(3).split(_RowCount(len(data) - (len(data) % 3 == 0)))  # one row fewer, so that folds are unequal
    _check_scoring(data, split)
    _check_epochs(data, split)
    _check_row_order(data, split)
    check_scaling(data, split)


@dataclass(frozen=True)
class _RowCount:
    """A number of rows about which nothing else is known, for a validation scheme to split."""

    count: int
    labels: Array | None = None
    groups: Array | None = None
    is_ordered: bool = False
    validation_rows: Array | None = None

    def __len__(self) -> int:
        return self.count


def _check_repeated_reading(dataset: Dataset, data: LoadedDataset, test_data: LoadedDataset) -> None:
    for name, first, second in (("training", data, dataset.training()), ("testing", test_data, dataset.testing())):
        assert first.checksum() == second.checksum(), f"{name}() read twice has two checksums"
        assert len(first) == len(second) > 0, f"{name}() has {len(first)} rows, and then {len(second)}"
    assert data.sizes == test_data.sizes, f"training rows have sizes {data.sizes} and test rows {test_data.sizes}"
    assert all(isinstance(size, int) and size > 0 for size in data.sizes), f"sizes are whole numbers: {data.sizes}"


def _check_test_rows_are_apart(data: LoadedDataset, test_data: LoadedDataset) -> None:
    training_rows, test_rows = set(_row_bytes(_all_batches(data))), _row_bytes(_all_batches(test_data))
    assert len(test_rows) == len(test_data), f"scoring all {len(test_data)} test rows gives {len(test_rows)}"
    share = sum(row in training_rows for row in test_rows) / len(test_rows)
    assert share <= MAX_SHARED, f"{share:.0%} of the test rows are training rows too"


def _check_labels_and_groups(data: LoadedDataset) -> None:
    targets = [batch.y[0] for batch in _all_batches(data)]
    if data.labels is not None:
        has_whole_targets = all(np.issubdtype(y.dtype, np.integer) for y in targets)
        assert has_whole_targets, "data with labels have targets that are not whole numbers"
        assert np.array_equal(data.labels, np.concatenate(targets)), "labels are not the targets, row by row"
    if data.groups is not None:
        assert data.groups.shape == (len(data),), f"groups {data.groups.shape} are not one for each row"
    for array in (data.labels, data.groups):
        assert array is None or isinstance(array, np.ndarray), "labels and groups are on the host"


def _check_scoring(data: LoadedDataset, split: Split) -> None:
    rows, held_out = _row_bytes(_all_batches(data)), split.held_out
    assert len(rows) == len(data), f"scoring all {len(data)} rows gives {len(rows)}"
    batches = list(data.scoring_batches(held_out))
    for batch in batches:
        _check_batch(batch, data, split.folds)
    for fold in range(split.folds):
        actual = Counter(_fold_bytes(batches, fold))
        expected = Counter(rows[row] for row in held_out.index[fold][: held_out.counts[fold]])
        assert actual == expected, f"scoring fold {fold} does not read each of its held-out rows once with weight 1"


def _check_epochs(data: LoadedDataset, split: Split) -> None:
    rows = _row_bytes(_all_batches(data))
    for batch_size in (BATCH_SIZE, 10 * len(data)):
        batches = list(data.training_batches(split, Replicas(SEEDS), batch_size))
        width = min(batch_size, split.min_train_rows)
        assert len(batches) == split.min_train_rows // width, (
            f"batches of {batch_size}: {len(batches)} in an epoch of {split.min_train_rows}"
        )
        assert data.steps_per_epoch(split, batch_size) == len(batches), (
            f"steps_per_epoch is {data.steps_per_epoch(split, batch_size)}, and an epoch has {len(batches)} batches"
        )
        for batch in batches:
            _check_batch(batch, data, split.folds)
            assert batch.y.shape[1] == width, f"a batch of {batch_size} has {batch.y.shape[1]} rows"
        for fold in range(split.folds):
            actual = Counter(_fold_bytes(batches, fold))
            allowed = Counter(rows[row] for row in split.train.index[fold][: split.train.counts[fold]])
            assert actual <= allowed, (
                f"an epoch of fold {fold} reads rows twice, or rows that are not its training rows"
            )


def _check_row_order(data: LoadedDataset, split: Split) -> None:
    one_fold = split[np.zeros(len(SEEDS), dtype=int)]
    replicas = Replicas(SEEDS)
    epochs = [list(data.training_batches(one_fold, replicas, BATCH_SIZE)) for _ in range(2)]
    first, second = ({"x": batches[0].x, "y": batches[0].y} for batches in epochs)
    assert np.array_equal(first["x"][0], first["x"][1], equal_nan=True), (
        "two replicas with one seed and one fold read rows in two orders"
    )
    assert not (first["x"][0] == first["x"][2]).all(), "two replicas with two seeds read rows in one order"
    assert not (first["x"][0] == second["x"][0]).all(), "two epochs read rows in one order"
    for r in range(len(SEEDS)):
        own_split, own_replicas = split[np.zeros(1, dtype=int)], Replicas(SEEDS[r : r + 1])
        alone = next(iter(data.training_batches(own_split, own_replicas, BATCH_SIZE)))
        fused = {name: array[r : r + 1] for name, array in first.items()}
        assert_identical(fused, {"x": alone.x, "y": alone.y}, f"the first batch of replica {r} fused and alone")


def _check_batch(batch: Batch, data: LoadedDataset, replicas: int) -> None:
    assert len(batch.x) == len(batch.y) == replicas, f"axis 0 is the replica: x {batch.x.shape}, y {batch.y.shape}"
    is_whole = np.issubdtype(batch.x.dtype, np.integer)
    # float64 where float32 would be too coarse: fitted data standardize it, and check_scaling checks that
    is_float = batch.x.dtype in (np.float32, np.float64)
    assert is_whole or is_float, f"x is float32, float64 or whole numbers, not {batch.x.dtype}"
    shape, outputs = batch.y.shape, data.sizes[-1]
    if np.issubdtype(batch.y.dtype, np.integer):
        assert 0 <= batch.y.min() <= batch.y.max() < outputs, f"y lies outside [0, {outputs})"
    else:
        is_float = batch.y.dtype in (np.float32, np.float64)
        assert is_float, f"y is whole numbers, float32 or float64, not {batch.y.dtype}"
        assert shape[-1] == outputs, f"y that is not whole numbers has {outputs} per row: {shape}"
        assert batch.y.ndim == batch.x.ndim, f"y of floats is (R, B, {outputs}), not {shape}"
        shape = shape[:-1]
    assert batch.weight is None or batch.weight.shape == shape, "weight is one for each target"


def _all_batches(data: LoadedDataset) -> Iterable[Batch]:
    return data.scoring_batches(Rows.from_folds([np.arange(len(data))]))


def _fold_bytes(batches: Iterable[Batch], fold: int) -> list[bytes]:
    return _row_bytes(select_batch(batch, (fold,)) for batch in batches)


def _row_bytes(batches: Iterable[Batch]) -> list[bytes]:
    """Return the rows of one replica that count, each as its bytes."""
    rows = []
    for batch in batches:
        counts: Array = np.ones(batch.y.shape[:2], bool) if batch.weight is None else batch.weight.astype(bool)
        pairs = zip(batch.x[0], batch.y[0], counts[0], strict=True)
        rows += [x.tobytes() + y.tobytes() for x, y, is_counted in pairs if is_counted]
    return rows

"""The contract of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.dataset import Dataset
from searchlab.data.examples import Table
from searchlab.data.splits import KFold, Rows, Split
from searchlab.replicas import Replicas
from searchlab.testing.lanes import lanes, same_bits

SHARED = 0.01  # of the test rows may be among the training rows: the same picture taken twice
BATCH = 8
SEEDS = (7, 7, 8)  # of the replicas that read an epoch: two agree


def check_dataset(dataset: Dataset) -> None:
    """The data set reads the same rows each time, cuts them as a split says, and keeps its test rows apart.

    Rows are x of float32 or whole numbers with whole y; replicas with one seed see one order; scoring reads each
    held-out row once, whatever its padding. Raises AssertionError saying which rule broke.
    """
    table, locked = dataset.training(), dataset.testing()
    _reads_the_same_again(dataset, table, locked)
    _test_rows_are_apart(table, locked)
    split = KFold(3).split(len(table) - (len(table) % 3 == 0))  # one row fewer, so that folds are unequal
    _scoring_reads_each_row_once(table, split)
    _epochs_read_training_rows(table, split)
    _seeds_set_the_order(table, split)


def _reads_the_same_again(dataset: Dataset, table: Table, locked: Table) -> None:
    for name, first, second in (("training", table, dataset.training()), ("testing", locked, dataset.testing())):
        assert first.checksum() == second.checksum(), f"{name}() read twice has two checksums"
        assert len(first) == len(second) > 0, f"{name}() has {len(first)} rows, and then {len(second)}"
    assert table.sizes == locked.sizes, f"training rows have sizes {table.sizes} and test rows {locked.sizes}"
    assert all(isinstance(size, int) and size > 0 for size in table.sizes), f"sizes are whole numbers: {table.sizes}"


def _test_rows_are_apart(table: Table, locked: Table) -> None:
    seen, tested = set(_rows(_whole(table))), _rows(_whole(locked))
    assert len(tested) == len(locked), f"scoring all {len(locked)} test rows gives {len(tested)}"
    share = sum(row in seen for row in tested) / len(tested)
    assert share <= SHARED, f"{share:.0%} of the test rows are training rows too"


def _scoring_reads_each_row_once(table: Table, split: Split) -> None:
    everything, held_out = _rows(_whole(table)), split.held_out
    assert len(everything) == len(table), f"scoring all {len(table)} rows gives {len(everything)}"
    batches = list(table.scoring(held_out))
    for batch in batches:
        _is_well_formed(batch, table, split.folds)
    for fold in range(split.folds):
        found = Counter(row for batch in batches for row in _rows([lanes(batch, (fold,))]))
        wanted = Counter(everything[row] for row in held_out.index[fold][: held_out.counts[fold]])
        assert found == wanted, f"scoring fold {fold} does not read each of its held-out rows once, weighed 1"


def _epochs_read_training_rows(table: Table, split: Split) -> None:
    everything = _rows(_whole(table))
    for size in (BATCH, 10 * len(table)):
        batches = list(table.epoch(split, Replicas(SEEDS), size))
        width = min(size, split.shortest)
        assert len(batches) == split.shortest // width, (
            f"batches of {size}: {len(batches)} in an epoch of {split.shortest}"
        )
        for batch in batches:
            _is_well_formed(batch, table, split.folds)
            assert batch.y.shape[-1] == width, f"a batch of {size} has {batch.y.shape[-1]} rows"
        for fold in range(split.folds):
            found = Counter(row for batch in batches for row in _rows([lanes(batch, (fold,))]))
            allowed = Counter(everything[row] for row in split.train.index[fold][: split.train.counts[fold]])
            assert found <= allowed, f"an epoch of fold {fold} reads rows twice, or rows that are not its training rows"


def _seeds_set_the_order(table: Table, split: Split) -> None:
    one_fold = split[np.zeros(len(SEEDS), dtype=int)]
    replicas = Replicas(SEEDS)
    epochs = [list(table.epoch(one_fold, replicas, BATCH)) for _ in range(2)]
    first, again = ({"x": batches[0].x, "y": batches[0].y} for batches in epochs)
    assert (first["x"][0] == first["x"][1]).all(), "two replicas with one seed and one fold see two orders"
    assert not (first["x"][0] == first["x"][2]).all(), "two replicas with two seeds see one order"
    assert not (first["x"][0] == again["x"][0]).all(), "two epochs have one order"
    for r in range(len(SEEDS)):
        alone = next(iter(table.epoch(split[np.zeros(1, dtype=int)], Replicas(SEEDS[r : r + 1]), BATCH)))
        fused = {name: array[r : r + 1] for name, array in first.items()}
        same_bits(fused, {"x": alone.x, "y": alone.y}, f"the first batch of replica {r} fused and alone")


def _is_well_formed(batch: Batch, table: Table, replicas: int) -> None:
    assert len(batch.x) == len(batch.y) == replicas, f"axis 0 is the replica: x {batch.x.shape}, y {batch.y.shape}"
    whole_x, whole_y = (np.issubdtype(array.dtype, np.integer) for array in (batch.x, batch.y))
    assert whole_x or batch.x.dtype == np.float32, f"x is float32 or whole numbers, not {batch.x.dtype}"
    assert whole_y, f"y is whole numbers, not {batch.y.dtype}"
    assert 0 <= batch.y.min() <= batch.y.max() < table.sizes[-1], f"y lies outside [0, {table.sizes[-1]})"
    assert batch.weight is None or batch.weight.shape == batch.y.shape, "weight is shaped as y"


def _whole(table: Table) -> Iterable[Batch]:
    return table.scoring(Rows.of([np.arange(len(table))]))


def _rows(batches: Iterable[Batch]) -> list[bytes]:
    """The rows of one replica that count, each as its bytes."""
    found = []
    for batch in batches:
        counts: Array = np.ones(batch.y.shape, bool) if batch.weight is None else batch.weight.astype(bool)
        found += [
            x.tobytes() + y.tobytes() for x, y, real in zip(batch.x[0], batch.y[0], counts[0], strict=True) if real
        ]
    return found

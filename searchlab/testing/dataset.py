"""The contract of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.dataset import Dataset
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import KFold, Rows, Split
from searchlab.replicas import Fused, Replicas
from searchlab.testing.lanes import SURVIVORS, lanes, same_bits
from searchlab.testing.streams import check_streams

SHARED = 0.01  # of the test rows may be among the training rows: the same picture taken twice
BATCH = 8
SEEDS = (7, 7, 8)  # of the replicas that read an epoch: two agree
NEAR = 1e-3  # of its scale a mean may be away from 0, and of 1 a scale: float32 rounds what float64 has measured


def check_dataset(dataset: Dataset) -> None:
    """The data set reads the same rows each time, cuts them as a split says, and keeps its test rows apart.

    Rows are x of float32 or whole numbers with y of classes or float32; replicas with one seed see one order; scoring
    reads each held-out row once, whatever its padding. Rows that follow from those before them keep their order: see
    `searchlab.testing.streams`. What is learnt from rows, mean and scale, is learnt from each
    replica's own training rows, alone as in company. Raises AssertionError saying which rule broke.
    """
    table, locked = dataset.training(), dataset.testing()
    _reads_the_same_again(dataset, table, locked)
    assert table.ordered == locked.ordered, "training rows are ordered and test rows are not, or the other way round"
    if table.ordered:
        check_streams(table, locked)
        return
    _test_rows_are_apart(table, locked)
    _rows_are_described(table)
    split = KFold(3).split(_First(len(table) - (len(table) % 3 == 0)))  # one row fewer, so that folds are unequal
    _scoring_reads_each_row_once(table, split)
    _epochs_read_training_rows(table, split)
    _seeds_set_the_order(table, split)
    _fits_training_rows_alone(table, split)


@dataclass(frozen=True)
class _First:
    """So many rows, of which nothing else is known."""

    count: int
    labels: Array | None = None
    groups: Array | None = None
    ordered: bool = False
    validation: Array | None = None

    def __len__(self) -> int:
        return self.count


def _reads_the_same_again(dataset: Dataset, table: LoadedDataset, locked: LoadedDataset) -> None:
    for name, first, second in (("training", table, dataset.training()), ("testing", locked, dataset.testing())):
        assert first.checksum() == second.checksum(), f"{name}() read twice has two checksums"
        assert len(first) == len(second) > 0, f"{name}() has {len(first)} rows, and then {len(second)}"
    assert table.sizes == locked.sizes, f"training rows have sizes {table.sizes} and test rows {locked.sizes}"
    assert all(isinstance(size, int) and size > 0 for size in table.sizes), f"sizes are whole numbers: {table.sizes}"


def _test_rows_are_apart(table: LoadedDataset, locked: LoadedDataset) -> None:
    seen, tested = set(_rows(_whole(table))), _rows(_whole(locked))
    assert len(tested) == len(locked), f"scoring all {len(locked)} test rows gives {len(tested)}"
    share = sum(row in seen for row in tested) / len(tested)
    assert share <= SHARED, f"{share:.0%} of the test rows are training rows too"


def _rows_are_described(table: LoadedDataset) -> None:
    """Labels are the targets that scoring gives, and groups are one for each row."""
    targets = [batch.y[0] for batch in _whole(table)]
    classes = all(np.issubdtype(y.dtype, np.integer) for y in targets)
    if table.labels is not None:
        assert classes, "labels belong to whole targets"
        assert np.array_equal(table.labels, np.concatenate(targets)), "labels are not the targets, row by row"
    if table.groups is not None:
        assert table.groups.shape == (len(table),), f"groups {table.groups.shape} are not one for each row"
    for given in (table.labels, table.groups):
        assert given is None or isinstance(given, np.ndarray), "labels and groups are on the host"


def _scoring_reads_each_row_once(table: LoadedDataset, split: Split) -> None:
    everything, held_out = _rows(_whole(table)), split.held_out
    assert len(everything) == len(table), f"scoring all {len(table)} rows gives {len(everything)}"
    batches = list(table.scoring(held_out))
    for batch in batches:
        _is_well_formed(batch, table, split.folds)
    for fold in range(split.folds):
        found = Counter(row for batch in batches for row in _rows([lanes(batch, (fold,))]))
        wanted = Counter(everything[row] for row in held_out.index[fold][: held_out.counts[fold]])
        assert found == wanted, f"scoring fold {fold} does not read each of its held-out rows once, weighed 1"


def _epochs_read_training_rows(table: LoadedDataset, split: Split) -> None:
    everything = _rows(_whole(table))
    for size in (BATCH, 10 * len(table)):
        batches = list(table.epoch(split, Replicas(SEEDS), size))
        width = min(size, split.shortest)
        assert len(batches) == split.shortest // width, (
            f"batches of {size}: {len(batches)} in an epoch of {split.shortest}"
        )
        assert table.steps(split, size) == len(batches), (
            f"steps says {table.steps(split, size)} of {len(batches)} batches"
        )
        for batch in batches:
            _is_well_formed(batch, table, split.folds)
            assert batch.y.shape[1] == width, f"a batch of {size} has {batch.y.shape[1]} rows"
        for fold in range(split.folds):
            found = Counter(row for batch in batches for row in _rows([lanes(batch, (fold,))]))
            allowed = Counter(everything[row] for row in split.train.index[fold][: split.train.counts[fold]])
            assert found <= allowed, f"an epoch of fold {fold} reads rows twice, or rows that are not its training rows"


def _seeds_set_the_order(table: LoadedDataset, split: Split) -> None:
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


def _fits_training_rows_alone(table: LoadedDataset, split: Split) -> None:
    fitted = table.fitted(split)
    assert (len(fitted), fitted.sizes) == (len(table), table.sizes), "fitted, a table keeps its rows and sizes"
    assert fitted.checksum() == table.checksum(), "fitted, a table has another checksum"
    if fitted.scaling is None:
        same_bits(_x_of(table, split.held_out), _x_of(fitted, split.held_out), "rows seen as they are, and fitted")
    else:
        _is_scaled(table, fitted, split)
    for fold in range(split.folds):
        one = split[np.array([fold])]
        batches, alone = list(fitted.scoring(split.held_out)), list(table.fitted(one).scoring(one.held_out))
        for together, lonely in zip(batches, alone, strict=False):  # alone there is less padding
            width = lonely.x.shape[1]
            pair = ({"x": together.x[fold : fold + 1, :width]}, {"x": lonely.x})
            same_bits(*pair, f"fold {fold} fitted in company and alone")
    if isinstance(fitted, Fused):
        kept = split[np.array(SURVIVORS)]
        fitted.keep(np.array(SURVIVORS))
        same_bits(
            _x_of(fitted, kept.held_out), _x_of(table.fitted(kept), kept.held_out), "survivors, and those fitted anew"
        )


def _is_scaled(table: LoadedDataset, fitted: LoadedDataset, split: Split) -> None:
    """Each fold's training rows have mean 0 and scale 1, or 0 where a feature is constant; targets are as they were."""
    mean, scale = fitted.scaling or (np.zeros(0), np.zeros(0))
    assert mean.shape == scale.shape == (split.folds, table.sizes[0]), f"mean {mean.shape} and scale are (R, features)"
    assert np.isfinite(mean).all(), "means are finite"
    assert (scale > 0).all(), "scales are positive"
    for raw, seen in zip(table.scoring(split.train), fitted.scoring(split.train), strict=True):
        same_bits({"y": raw.y}, {"y": seen.y}, "targets as they are, and of a fitted table")
    x = _x_of(fitted, split.train)["x"].astype(np.float64)  # (R, width, features)
    for fold, count in enumerate(split.train.counts):
        rows = x[fold, :count]
        tolerance = NEAR + np.abs(mean[fold] / scale[fold]) * np.finfo(np.float32).eps
        assert (np.abs(rows.mean(axis=0)) < tolerance).all(), f"fold {fold} has training rows whose mean is not 0"
        deviation = rows.std(axis=0)
        constant = deviation == 0.0
        assert (np.abs(deviation - 1.0) < tolerance)[~constant].all(), f"fold {fold} has a scale that is not 1"


def _is_well_formed(batch: Batch, table: LoadedDataset, replicas: int) -> None:
    assert len(batch.x) == len(batch.y) == replicas, f"axis 0 is the replica: x {batch.x.shape}, y {batch.y.shape}"
    whole_x = np.issubdtype(batch.x.dtype, np.integer)
    assert whole_x or batch.x.dtype == np.float32, f"x is float32 or whole numbers, not {batch.x.dtype}"
    targets = batch.y.shape
    if np.issubdtype(batch.y.dtype, np.integer):
        assert 0 <= batch.y.min() <= batch.y.max() < table.sizes[-1], f"y lies outside [0, {table.sizes[-1]})"
    else:
        assert batch.y.dtype == np.float32, f"y is whole numbers or float32, not {batch.y.dtype}"
        assert targets[-1] == table.sizes[-1], f"y that is not whole numbers has {table.sizes[-1]} per row: {targets}"
        assert batch.y.ndim == batch.x.ndim, f"y of float32 is (R, B, {table.sizes[-1]}), not {targets}"
        targets = targets[:-1]
    assert batch.weight is None or batch.weight.shape == targets, "weight is one for each target"


def _x_of(table: LoadedDataset, rows: Rows) -> dict[str, Array]:
    """What the table shows of these rows, padding and all: (R, width, ...)."""
    return {"x": np.concatenate([batch.x for batch in table.scoring(rows)], axis=1)}


def _whole(table: LoadedDataset) -> Iterable[Batch]:
    return table.scoring(Rows.of([np.arange(len(table))]))


def _rows(batches: Iterable[Batch]) -> list[bytes]:
    """The rows of one replica that count, each as its bytes."""
    found = []
    for batch in batches:
        counts: Array = np.ones(batch.y.shape[:2], bool) if batch.weight is None else batch.weight.astype(bool)
        found += [
            x.tobytes() + y.tobytes() for x, y, real in zip(batch.x[0], batch.y[0], counts[0], strict=True) if real
        ]
    return found

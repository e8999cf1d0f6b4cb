"""What the contract of a data set asks of rows that follow from those before them: tokens."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Blocked, Holdout, Rows, Split
from searchlab.replicas import Replicas
from searchlab.testing.lanes import lanes, same_bits

LANES = 3
SEEDS = (7, 8, 9)  # of the replicas that read an epoch
SHARED = 0.01  # of the test part's windows may be in the training part: a phrase that everybody uses
SAMPLED = 200  # windows of the test part are looked for


def check_streams(table: LoadedDataset, locked: LoadedDataset) -> None:
    """Scoring asks for every token but the first once, in order; epochs read each replica's own stream in lanes.

    Targets are the tokens that follow, or IGNORED where none is asked for. No seed sets an order. Folds are blocks.
    """
    stream = _stream(_whole(table), table)
    assert len(stream) == len(table), (
        f"scoring all {len(table)} tokens asks for {len(stream) - 1}, not {len(table) - 1}"
    )
    _has_words(table)
    _holds_out_its_validation(table)
    split = Blocked(3).split(table)
    for fold in range(split.folds):
        _scores_each_once(table, split.held_out, fold, stream)
    _reads_in_lanes(table, split, stream)
    _no_seed_sets_the_order(table, split)
    _fits_nothing(table, split)
    _test_part_is_apart(stream, _stream(_whole(locked), locked), next(iter(_whole(table))).x.shape[1])


def _has_words(table: LoadedDataset) -> None:
    assert table.vocabulary is not None, "tokens have a vocabulary"
    assert table.sizes == (len(table.vocabulary),), f"sizes {table.sizes} of {len(table.vocabulary)} words"
    assert table.labels is table.groups is None, "tokens have neither labels nor groups"


def _holds_out_its_validation(table: LoadedDataset) -> None:
    if table.validation is None:
        return
    ends = np.arange(len(table) - len(table.validation), len(table))
    assert np.array_equal(table.validation, ends), "the corpus' own validation part is not at its end"
    held_out = Holdout().split(table).held_out
    assert np.array_equal(held_out.index[0], ends), "Holdout does not hold out the corpus' own validation part"


def _scores_each_once(table: LoadedDataset, rows: Rows, fold: int, stream: Array) -> None:
    own = stream[rows.index[fold, : rows.counts[fold]]]
    together = list(table.scoring(rows))
    found = _stream((lanes(batch, (fold,)) for batch in together), table)
    assert np.array_equal(found, own), f"scoring fold {fold} does not ask for each of its tokens but the first once"
    alone = list(table.scoring(rows[np.array([fold])]))
    for one, other in zip(together, alone, strict=False):  # in company there may be more that ignore this fold
        pair = ({"x": lanes(one, (fold,)).x, "y": lanes(one, (fold,)).y}, {"x": other.x, "y": other.y})
        same_bits(*pair, f"fold {fold} scored in company and alone")


def _reads_in_lanes(table: LoadedDataset, split: Split, stream: Array) -> None:
    batches = list(table.epoch(split, Replicas(SEEDS), LANES))
    assert table.steps(split, LANES) == len(batches), (
        f"steps says {table.steps(split, LANES)} of {len(batches)} batches"
    )
    for batch in batches:
        _is_well_formed(batch, table, split.folds)
        assert batch.y.min() >= 0, "an epoch has full windows alone, and no target IGNORED"
    x, y = (np.concatenate([getattr(batch, name) for batch in batches], axis=1) for name in ("x", "y"))  # (R, T, B)
    lane = split.shortest // LANES
    assert lane - batches[0].x.shape[1] <= x.shape[1] < lane, f"{x.shape[1]} tokens are read of lanes of {lane}"
    for fold in range(split.folds):
        own = stream[split.train.index[fold, : LANES * lane]].reshape(LANES, lane).T  # (lane, B)
        assert np.array_equal(x[fold], own[: x.shape[1]]), f"windows of fold {fold} do not follow each other in lanes"
        assert np.array_equal(y[fold], own[1 : x.shape[1] + 1]), (
            f"targets of fold {fold} are not the tokens that follow"
        )


def _no_seed_sets_the_order(table: LoadedDataset, split: Split) -> None:
    one_fold, replicas = split[np.zeros(len(SEEDS), dtype=int)], Replicas(SEEDS)
    first, again = (next(iter(table.epoch(one_fold, replicas, LANES))) for _ in range(2))
    same_bits({"x": first.x, "y": first.y}, {"x": again.x, "y": again.y}, "two epochs")
    alone = next(iter(table.epoch(split[np.zeros(1, dtype=int)], Replicas(SEEDS[:1]), LANES)))
    for r in range(len(SEEDS)):
        one = lanes(first, (r,))
        same_bits({"x": one.x, "y": one.y}, {"x": alone.x, "y": alone.y}, f"replica {r} in company, and another alone")


def _fits_nothing(table: LoadedDataset, split: Split) -> None:
    fitted = table.fitted(split)
    assert fitted.checksum() == table.checksum(), "fitted, a table has another checksum"
    assert fitted.scaling is None, "ids have no scale"
    for raw, seen in zip(table.scoring(split.held_out), fitted.scoring(split.held_out), strict=True):
        same_bits({"x": raw.x, "y": raw.y}, {"x": seen.x, "y": seen.y}, "tokens seen as they are, and fitted")


def _test_part_is_apart(stream: Array, tested: Array, window: int) -> None:
    starts = np.linspace(0, max(len(tested) - window, 0), SAMPLED).astype(int)
    seen = stream.tobytes()
    share = sum(tested[start : start + window].tobytes() in seen for start in starts) / SAMPLED
    assert share <= SHARED, f"{share:.0%} of the test part's windows are in the training part too"


def _is_well_formed(batch: Batch, table: LoadedDataset, replicas: int) -> None:
    for name, array in (("x", batch.x), ("y", batch.y)):
        assert array.ndim == 3, f"{name} is (R, T, B), not {array.shape}"
        assert len(array) == replicas, f"axis 0 is the replica: {name} {array.shape} of {replicas}"
        assert np.issubdtype(array.dtype, np.integer), f"{name} is whole numbers, not {array.dtype}"
    assert batch.x.shape == batch.y.shape, f"x is {batch.x.shape} and y {batch.y.shape}"
    assert 0 <= batch.x.min() <= batch.x.max() < table.sizes[0], f"x lies outside [0, {table.sizes[0]})"
    assert IGNORED <= batch.y.min() <= batch.y.max() < table.sizes[0], f"y lies outside [0, {table.sizes[0]})"
    assert batch.weight is None, "what does not count has the target IGNORED, and no weight"


def _stream(batches: Iterable[Batch], table: LoadedDataset) -> Array:
    """One replica's tokens: what its lanes are asked for, lane after lane, and before that its very first input.

    On the way: within a lane each input is the target before it, across windows too.
    """
    read = list(batches)
    for batch in read:
        _is_well_formed(batch, table, 1)
    x, y = (np.concatenate([getattr(batch, name)[0] for batch in read]) for name in ("x", "y"))  # (time, B)
    asked = y != IGNORED
    assert not (asked[1:] & ~asked[:-1]).any(), "a lane goes on after its end"
    assert (x[1:] == y[:-1])[asked[1:]].all(), "an input is not the target before it: windows do not follow each other"
    inputs = x.T[asked.T]  # lane after lane
    assert (inputs[1:] == y.T[asked.T][:-1]).all(), "a lane does not begin with the last target of the lane before"
    return np.concatenate([inputs[:1], y.T[asked.T]])


def _whole(table: LoadedDataset) -> Iterable[Batch]:
    return table.scoring(Rows.of([np.arange(len(table))]))

"""Tables of independent rows: what they hold, and how each replica sees them standardized by its own training rows."""

import numpy as np
import pytest

from searchlab.data import EveryRow, Examples, KFold, Rows, Standardized
from searchlab.data.examples import ROWS_AT_ONCE
from searchlab.data.standardize import moments
from searchlab.replicas import Replicas

SCALES = np.array([1.0, 1e-6, 1e6, 30.0], np.float32)


def raw(rows=61, standardize=True, seed=0, **given):
    """Rows whose features differ in size and place; the last is constant."""
    x = np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32) * SCALES + SCALES * 3
    x[:, 3] = 0.1
    y = np.random.default_rng(seed + 1).integers(3, size=rows)
    return Examples(x, y, 3, standardize=standardize, **given)


def x_of(batches):
    return np.concatenate([batch.x for batch in batches], axis=1)


def test_a_table_keeps_what_is_known_of_it():
    table = raw(image=(2, 2), names=("a", "b", "c"), groups=np.arange(61) // 2)
    rows = np.array([5, 3, 60])
    for other in (table.on("cpu"), table.take(rows), table.take(rows).on("cpu")):
        assert (other.image, other.names, other.standardize, other.sizes) == ((2, 2), ("a", "b", "c"), True, (4, 3))
    assert table.take(rows).groups.tolist() == [2, 1, 30]
    assert (table.take(rows).labels == table.y[rows]).all()
    assert table.take(rows).x.tobytes() == table.x[rows].tobytes()
    assert table.scaling is None


def test_targets_that_are_numbers_are_not_labels():
    targets = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
    table = Examples(np.zeros((10, 3), np.float32), targets, 2)
    assert table.labels is None
    batch = next(table.epoch(KFold(2).split(table), Replicas([1, 2]), 4))
    assert (batch.x.shape, batch.y.shape) == ((2, 4, 3), (2, 4, 2))
    (scored,) = table.scoring(Rows.of([np.array([7, 1]), np.array([4])]))
    assert scored.y.tobytes() == targets[[[7, 1], [4, 4]]].tobytes()
    assert scored.weight.tolist() == [[True, True], [True, False]]


def test_the_checksum_is_of_rows_targets_and_groups():
    table, groups = raw(), np.arange(61)
    others = [raw(seed=1), Examples(table.x, table.y + 1, 4), raw(groups=groups), raw(groups=groups + 1)]
    assert len({table.checksum(), *(other.checksum() for other in others)}) == 5
    assert table.checksum() == raw(standardize=False).checksum() == table.fitted(KFold(2).split(table)).checksum()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"y": np.zeros(4, int)}, "5 rows and 4 targets"),
        ({"groups": np.zeros(4, int)}, "a whole number for each of 5 rows"),
        ({"groups": np.array(list("abcde"))}, "a whole number for each of 5 rows"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        Examples(**{"x": np.zeros((5, 2), np.float32), "y": np.zeros(5, int), "outputs": 2, **given})


def test_without_standardize_a_table_is_its_own_fit():
    table = raw(standardize=False)
    assert table.fitted(KFold(3).split(table)) is table


def test_moments_agree_with_numpy_in_float64():
    table, rows = raw(), np.random.default_rng(2).permutation(61)[:40]
    mean, scale = moments(table.x, rows)
    wide = table.x[rows].astype(np.float64)
    assert mean.dtype == scale.dtype == np.float32
    assert mean == pytest.approx(wide.mean(axis=0), rel=1e-6)
    assert scale[:3] == pytest.approx(wide.std(axis=0)[:3], rel=1e-6)


def test_many_rows_are_summed_in_parts():
    x = np.random.default_rng(0).standard_normal((10_001, 2)).astype(np.float32) + 5
    rows = np.random.default_rng(1).permutation(10_001)[:9_999]
    mean, scale = moments(x, rows)
    assert mean == pytest.approx(x[rows].mean(axis=0, dtype=np.float64), rel=1e-6)
    assert scale == pytest.approx(x[rows].std(axis=0, dtype=np.float64), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e30, 1e-40, 123_456.7])
def test_a_constant_feature_has_scale_1_and_becomes_0(value):
    x = np.full((5_000, 1), value, np.float32)
    mean, scale = moments(x, np.arange(5_000))
    assert (mean[0], scale[0]) == (x[0, 0], 1.0)
    x[:, 0] = np.where(np.arange(5_000) % 2, np.float32(1e-44), 0)  # not constant, but 1 / scale would be infinite
    assert moments(x, np.arange(5_000))[1][0] == 1.0


def test_large_offsets_do_not_cancel():
    x = (np.arange(1_000, dtype=np.float32) % 2 + 2.0**23)[:, None]  # as sums of squares in float32 both would be lost
    mean, scale = moments(x, np.arange(1_000))
    assert scale[0] == pytest.approx(0.5)
    assert mean[0] in (2.0**23, 2.0**23 + 1)


def test_each_replica_is_scaled_by_its_own_training_rows():
    table = raw()
    split = KFold(3).split(table)[np.array([0, 1, 2, 0])]
    fitted = table.fitted(split)
    mean, scale = fitted.scaling
    assert mean.shape == scale.shape == (4, 4)
    assert mean[0].tobytes() == mean[3].tobytes() != mean[1].tobytes()
    for r, count in enumerate(split.train.counts):
        wide = table.x[split.train.index[r, :count]].astype(np.float64)
        assert mean[r] == pytest.approx(wide.mean(axis=0), rel=1e-6)
    seen = x_of(fitted.scoring(split.held_out))
    expected = (table.x[split.held_out.index] - mean[:, None]) * (1 / scale[:, None])
    assert seen.tobytes() == expected.tobytes()
    assert seen[..., 3].tolist() == np.zeros(seen.shape[:2]).tolist()


def test_held_out_rows_have_no_part_in_the_scaling():
    table, other = raw(), raw()
    split = KFold(3).split(table)[np.array([1])]
    other.x[split.held_out.index[0, : split.held_out.counts[0]]] += 100.0
    for one, twin in zip(table.fitted(split).scaling, other.fitted(split).scaling, strict=True):
        assert one.tobytes() == twin.tobytes()


def test_rows_are_shared_and_stay_as_they_are():
    table = raw(rows=300)
    before = table.x.tobytes()
    fitted = table.fitted(KFold(2).split(table)[np.tile([0, 1], 10)])
    assert isinstance(fitted, Standardized)
    assert fitted.rows.x is table.x
    for _ in range(2):
        first = x_of(fitted.scoring(Rows.of([np.arange(300)] * 20)))
    assert first.shape[1] > ROWS_AT_ONCE
    assert table.x.tobytes() == before
    assert first.tobytes() == x_of(fitted.scoring(Rows.of([np.arange(300)] * 20))).tobytes()


def test_fused_equals_alone_and_survivors_go_on():
    table, seeds = raw(), [1, 2, 3, 1]
    split = KFold(3).split(table)[np.array([0, 1, 2, 0])]
    together = x_of(table.fitted(split).epoch(split, Replicas(seeds), 8))
    for r in range(4):
        one = split[np.array([r])]
        alone = x_of(table.fitted(one).epoch(one, Replicas(seeds[r : r + 1]), 8))
        assert together[r : r + 1].tobytes() == alone.tobytes()
    fitted, rows = table.fitted(split), np.array([3, 1])
    fitted.keep(rows)
    assert fitted.scaling[0].shape == (2, 4)
    kept = x_of(fitted.epoch(split[rows], Replicas([1, 2]), 8))
    assert kept.tobytes() == together[rows].tobytes()


def test_a_fold_is_measured_once_whatever_the_number_of_trials(monkeypatch):
    asked = []
    monkeypatch.setattr("searchlab.data.examples.moments", lambda *given: asked.append(1) or moments(*given))
    table = raw()
    split = KFold(3).split(table)
    for _ in range(4):
        table.fitted(split[np.tile(np.arange(3), 5)])
    assert len(asked) == 3
    table.fitted(KFold(3, seed=1).split(table))
    assert len(asked) == 6


def test_test_rows_are_seen_by_the_scaling_of_training_rows():
    """As the final test does: another table, the replica's own mean and scale."""
    table, locked = raw(), raw(rows=7, seed=5)
    mean, scale = table.fitted(EveryRow().split(table)).scaling
    seen = Standardized(locked, mean, scale).on("cpu")
    assert x_of(seen.scoring(Rows.of([np.arange(7)])))[0] == pytest.approx((locked.x - mean) / scale, rel=1e-5)
    assert (len(seen), seen.sizes, seen.groups) == (7, (4, 3), None)
    assert (seen.labels == locked.y).all()
    refitted = seen.fitted(EveryRow().split(seen))
    assert refitted.scaling[0].tobytes() == locked.fitted(EveryRow().split(locked)).scaling[0].tobytes()

"""Independent rows: what they hold, and how each replica sees them standardized by its own training rows."""

import numpy as np
import pytest

from searchlab.data import EveryRow, Examples, KFold, Rows, Standardized
from searchlab.data.scaling import mean_and_scale
from searchlab.data.shuffled_rows import SCORING_BATCH_SIZE
from searchlab.replicas import Replicas

SCALES = np.array([1.0, 1e-6, 1e6, 30.0], np.float32)


def raw(rows=61, standardize=True, seed=0, **options):
    """Return rows whose features differ in mean and scale; the last feature is constant."""
    x = np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32) * SCALES + SCALES * 3
    x[:, 3] = 0.1
    y = np.random.default_rng(seed + 1).integers(3, size=rows)
    return Examples(x, y, 3, standardize=standardize, **options)


def x_of(batches):
    return np.concatenate([batch.x for batch in batches], axis=1)


def test_moved_and_selected_rows_keep_their_description():
    data = raw(image_shape=(2, 2), target_names=("a", "b", "c"), groups=np.arange(61) // 2)
    rows = np.array([5, 3, 60])
    for other in (data.to("cpu"), data.take(rows), data.take(rows).to("cpu")):
        assert (other.image_shape, other.target_names) == ((2, 2), ("a", "b", "c"))
        assert (other.standardize, other.sizes) == (True, (4, 3))
    assert data.take(rows).groups.tolist() == [2, 1, 30]
    assert (data.take(rows).labels == data.y[rows]).all()
    assert data.take(rows).x.tobytes() == data.x[rows].tobytes()
    assert data.scaling is None


def test_targets_that_are_numbers_are_not_labels():
    targets = np.random.default_rng(0).standard_normal((10, 2)).astype(np.float32)
    data = Examples(np.zeros((10, 3), np.float32), targets, 2)
    assert data.labels is None
    batch = next(data.training_batches(KFold(2).split(data), Replicas([1, 2]), 4))
    assert (batch.x.shape, batch.y.shape) == ((2, 4, 3), (2, 4, 2))
    (scored,) = data.scoring_batches(Rows.from_folds([np.array([7, 1]), np.array([4])]))
    assert scored.y.tobytes() == targets[[[7, 1], [4, 4]]].tobytes()
    assert scored.weight.tolist() == [[True, True], [True, False]]


def test_the_checksum_covers_rows_targets_and_groups():
    data, groups = raw(), np.arange(61)
    others = [raw(seed=1), Examples(data.x, data.y + 1, 4), raw(groups=groups), raw(groups=groups + 1)]
    assert len({data.checksum(), *(other.checksum() for other in others)}) == 5
    assert data.checksum() == raw(standardize=False).checksum() == data.fitted(KFold(2).split(data)).checksum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.zeros(4, int)}, "x has 5 rows and y has 4"),
        ({"groups": np.zeros(4, int)}, "one whole number for each of 5 rows"),
        ({"groups": np.array(list("abcde"))}, "one whole number for each of 5 rows"),
    ],
)
def test_arrays_that_do_not_fit_together_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        Examples(**{"x": np.zeros((5, 2), np.float32), "y": np.zeros(5, int), "outputs": 2, **arguments})


def test_without_standardize_fitted_changes_nothing():
    data = raw(standardize=False)
    assert data.fitted(KFold(3).split(data)) is data


def test_mean_and_scale_agree_with_numpy_in_float64():
    data, rows = raw(), np.random.default_rng(2).permutation(61)[:40]
    mean, scale = mean_and_scale(data.x, rows)
    exact = data.x[rows].astype(np.float64)
    assert mean.dtype == scale.dtype == np.float32
    assert mean == pytest.approx(exact.mean(axis=0), rel=1e-6)
    assert scale[:3] == pytest.approx(exact.std(axis=0)[:3], rel=1e-6)


def test_many_rows_are_summed_in_chunks():
    x = np.random.default_rng(0).standard_normal((10_001, 2)).astype(np.float32) + 5
    rows = np.random.default_rng(1).permutation(10_001)[:9_999]
    mean, scale = mean_and_scale(x, rows)
    assert mean == pytest.approx(x[rows].mean(axis=0, dtype=np.float64), rel=1e-6)
    assert scale == pytest.approx(x[rows].std(axis=0, dtype=np.float64), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e30, 1e-40, 123_456.7])
def test_a_constant_feature_has_scale_1_and_becomes_0(value):
    x = np.full((5_000, 1), value, np.float32)
    mean, scale = mean_and_scale(x, np.arange(5_000))
    assert (mean[0], scale[0]) == (x[0, 0], 1.0)
    x[:, 0] = np.where(np.arange(5_000) % 2, np.float32(1e-44), 0)  # not constant, but 1 / scale would be infinite
    assert mean_and_scale(x, np.arange(5_000))[1][0] == 1.0


def test_a_large_mean_does_not_cancel():
    x = (np.arange(1_000, dtype=np.float32) % 2 + 2.0**23)[:, None]  # sums of squares in float32 would lose both
    mean, scale = mean_and_scale(x, np.arange(1_000))
    assert scale[0] == pytest.approx(0.5)
    assert mean[0] in (2.0**23, 2.0**23 + 1)


def test_each_replica_is_scaled_by_its_own_training_rows():
    data = raw()
    split = KFold(3).split(data)[np.array([0, 1, 2, 0])]
    fitted = data.fitted(split)
    mean, scale = fitted.scaling.mean, fitted.scaling.scale
    assert mean.shape == scale.shape == (4, 4)
    assert mean[0].tobytes() == mean[3].tobytes() != mean[1].tobytes()
    for r, count in enumerate(split.train.counts):
        exact = data.x[split.train.index[r, :count]].astype(np.float64)
        assert mean[r] == pytest.approx(exact.mean(axis=0), rel=1e-6)
    seen = x_of(fitted.scoring_batches(split.held_out))
    expected = (data.x[split.held_out.index] - mean[:, None]) * (1 / scale[:, None])
    assert seen.tobytes() == expected.tobytes()
    assert seen[..., 3].tolist() == np.zeros(seen.shape[:2]).tolist()


def test_held_out_rows_do_not_influence_the_scaling():
    data, other = raw(), raw()
    split = KFold(3).split(data)[np.array([1])]
    other.x[split.held_out.index[0, : split.held_out.counts[0]]] += 100.0
    expected, found = data.fitted(split).scaling, other.fitted(split).scaling
    assert expected.mean.tobytes() == found.mean.tobytes()
    assert expected.scale.tobytes() == found.scale.tobytes()


def test_rows_are_shared_and_do_not_change():
    data = raw(rows=300)
    before = data.x.tobytes()
    fitted = data.fitted(KFold(2).split(data)[np.tile([0, 1], 10)])
    assert isinstance(fitted, Standardized)
    assert fitted.data.x is data.x
    rows = Rows.from_folds([np.arange(300)] * 20)
    first, second = (x_of(fitted.scoring_batches(rows)) for _ in range(2))
    assert first.shape[1] > SCORING_BATCH_SIZE
    assert first.tobytes() == second.tobytes()
    assert data.x.tobytes() == before


def test_fused_equals_alone_and_survivors_continue():
    data, seeds = raw(), [1, 2, 3, 1]
    split = KFold(3).split(data)[np.array([0, 1, 2, 0])]
    fused = x_of(data.fitted(split).training_batches(split, Replicas(seeds), 8))
    for r in range(4):
        fold = split[np.array([r])]
        alone = x_of(data.fitted(fold).training_batches(fold, Replicas(seeds[r : r + 1]), 8))
        assert fused[r : r + 1].tobytes() == alone.tobytes()
    fitted, rows = data.fitted(split), np.array([3, 1])
    fitted.select_replicas(rows)
    assert fitted.scaling.mean.shape == (2, 4)
    survivors = x_of(fitted.training_batches(split[rows], Replicas([1, 2]), 8))
    assert survivors.tobytes() == fused[rows].tobytes()


def test_the_scaling_of_a_fold_is_computed_once_for_all_trials(monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return mean_and_scale(*arguments)

    monkeypatch.setattr("searchlab.data.examples.mean_and_scale", counted)
    data = raw()
    split = KFold(3).split(data)
    for _ in range(4):
        data.fitted(split[np.tile(np.arange(3), 5)])
    assert len(calls) == 3
    data.fitted(KFold(3, seed=1).split(data))
    assert len(calls) == 6


def test_test_rows_are_scaled_by_the_training_rows():
    """As in the final test: other rows, with the replica's own mean and scale."""
    data, testing = raw(), raw(rows=7, seed=5)
    scaling = data.fitted(EveryRow().split(data)).scaling
    seen = Standardized(testing, scaling).to("cpu")
    x = x_of(seen.scoring_batches(Rows.from_folds([np.arange(7)])))[0]
    assert x == pytest.approx((testing.x - scaling.mean) / scaling.scale, rel=1e-5)
    assert (len(seen), seen.sizes, seen.groups) == (7, (4, 3), None)
    assert (seen.labels == testing.y).all()
    refitted = seen.fitted(EveryRow().split(seen))
    assert refitted.scaling.mean.tobytes() == testing.fitted(EveryRow().split(testing)).scaling.mean.tobytes()

"""Where arrays live, and the sums that are products with ones."""

import numpy as np
import pytest

from searchlab import backend
from searchlab.backend import (
    FEW_ROWS,
    add_rows,
    as_matrices,
    column_sums,
    row_maxima,
    row_sums,
    take_rows,
    to_device,
    to_host,
    unavailable_reason,
    xp_of,
)

SHAPES = [(1, 1, 1), (3, 7, 2), (2, 1, 65), (3, 5, 64), (1, 4, 100)]


def matrices(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_maxima_agree_with_numpy(shape):
    a = matrices(shape)
    assert column_sums(a) == pytest.approx(a.sum(axis=1, keepdims=True), rel=1e-4, abs=1e-5)
    assert row_sums(a) == pytest.approx(a.sum(axis=2, keepdims=True), rel=1e-4, abs=1e-5)
    assert (row_maxima(a) == a.max(axis=2, keepdims=True)).all()
    for reduced in (column_sums(a), row_sums(a), row_maxima(a)):
        assert reduced.dtype == np.float32


@pytest.mark.parametrize("shape", SHAPES)
def test_nan_shows_in_its_row_alone(shape):
    a = matrices(shape)
    a[-1, -1, -1] = np.nan
    maxima = row_maxima(a)
    assert np.isnan(maxima[-1, -1, 0])
    assert np.isnan(maxima).sum() == np.isnan(row_sums(a)).sum() == 1


@pytest.mark.parametrize("reduce", [column_sums, row_sums, row_maxima])
@pytest.mark.parametrize("shape", [(5, 33, 10), (5, 1, 3), (5, 128, 64), (5, 7, 1)])
def test_reductions_of_a_replica_do_not_depend_on_its_neighbours(reduce, shape):
    a = matrices(shape)
    whole = reduce(a)
    for r in range(len(a)):
        assert reduce(a[r : r + 1].copy()).tobytes() == whole[r : r + 1].tobytes()


def test_as_matrices_joins_all_but_replica_and_features():
    assert as_matrices(np.zeros((2, 3, 4, 5))).shape == (2, 12, 5)
    rows = np.zeros((2, 3, 5))
    assert as_matrices(rows) is rows


def store_slice(rows, features=3, replicas=3, dtype=np.float32):
    """A table (R, V, F) that is a slice of a larger array (R, P), as every Parameter is, and that array."""
    size = rows * features
    store = np.random.default_rng(0).standard_normal((replicas, size + 5)).astype(dtype)
    return store[:, 2 : 2 + size].reshape(replicas, rows, features), store


FEW_AND_MANY = pytest.mark.parametrize("rows", [1, 4, FEW_ROWS, FEW_ROWS + 1, 1000])


@FEW_AND_MANY
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_rows_are_taken(rows, kind):
    table, _ = store_slice(rows)
    ids = np.random.default_rng(1).integers(rows, size=(3, 50)).astype(kind)
    out = np.full((3, 50, 3), np.nan, np.float32)
    take_rows(table, ids, out)
    assert (out == table[np.arange(3)[:, None], ids]).all()


@FEW_AND_MANY
def test_rows_outside_the_table_are_refused(rows):
    table, _ = store_slice(rows)
    for outside in (rows, -1):
        with pytest.raises(IndexError, match=f"rows {outside} to {outside} of a table"):
            take_rows(table, np.full((3, 2), outside), np.empty((3, 2, 3), np.float32))


def test_no_rows_are_taken_of_any_table():
    take_rows(np.ones((3, 4, 2)), np.empty((3, 0), int), np.empty((3, 0, 2)))


@FEW_AND_MANY
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_rows_named_twice_are_added_to_twice(rows, kind):
    target, store = store_slice(rows, dtype=np.float64)
    generator = np.random.default_rng(1)
    ids = generator.integers(min(rows, 20), size=(3, 60)).astype(kind)
    values = generator.standard_normal((3, 60, 3))
    due, around = target.copy(), store[:, [0, 1, -3, -2, -1]].copy()
    for r, row in np.ndindex(3, 60):
        due[r, ids[r, row]] += values[r, row]
    add_rows(target, ids, values)
    assert target == pytest.approx(due)
    assert np.shares_memory(target, store)
    assert (store[:, [0, 1, -3, -2, -1]] == around).all(), "its neighbours in the store are left alone"


@FEW_AND_MANY
def test_rows_added_to_do_not_depend_on_the_replicas_beside(rows):
    ids = np.random.default_rng(1).integers(rows, size=(3, 60))
    values = np.random.default_rng(2).standard_normal((3, 60, 3)).astype(np.float32)
    together, _ = store_slice(rows)
    add_rows(together, ids, values)
    for r in range(3):
        alone, _ = store_slice(rows)
        alone = alone[r : r + 1].copy()
        add_rows(alone, ids[r : r + 1], values[r : r + 1])
        assert alone.tobytes() == together[r : r + 1].tobytes()


def test_the_host_is_numpy_and_needs_no_copy():
    a = np.ones(3)
    assert xp_of(a) is np
    assert to_device(a, "cpu") is a
    assert to_host(a) is a
    assert unavailable_reason("cpu") is None


def test_cuda_without_cupy_is_told_in_words(monkeypatch):
    def absent():
        raise ImportError("no module named cupy")

    monkeypatch.setattr(backend, "_cupy", absent)
    assert "searchlab[gpu]" in unavailable_reason("cuda")


def test_cuda_without_a_device_is_told_in_words(monkeypatch):
    class Runtime:
        def __init__(self, count):
            self.cuda = self.runtime = self
            self.count = count

        def getDeviceCount(self):
            if self.count is None:
                raise OSError("cudaErrorInsufficientDriver")
            return self.count

    monkeypatch.setattr(backend, "_cupy", lambda: Runtime(0))
    assert unavailable_reason("cuda") == "CuPy finds no CUDA device"
    monkeypatch.setattr(backend, "_cupy", lambda: Runtime(None))
    assert "cudaErrorInsufficientDriver" in unavailable_reason("cuda")
    monkeypatch.setattr(backend, "_cupy", lambda: Runtime(1))
    assert unavailable_reason("cuda") is None

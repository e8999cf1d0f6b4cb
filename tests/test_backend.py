"""Array backends: devices, reductions, and gathering and scattering of rows."""

import numpy as np
import pytest

from searchlab import backend
from searchlab.backend import (
    ONE_HOT_MAX_ROWS,
    as_matrices,
    column_sums,
    gather_rows,
    row_maxima,
    row_sums,
    scatter_add_rows,
    to_device,
    to_host,
    unavailable_reason,
    xp_of,
)

SHAPES = [(1, 1, 1), (3, 7, 2), (2, 1, 65), (3, 5, 64), (1, 4, 100)]


def make_matrices(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_maxima_agree_with_numpy(shape):
    matrices = make_matrices(shape)
    assert column_sums(matrices) == pytest.approx(matrices.sum(axis=1, keepdims=True), rel=1e-4, abs=1e-5)
    assert row_sums(matrices) == pytest.approx(matrices.sum(axis=2, keepdims=True), rel=1e-4, abs=1e-5)
    assert (row_maxima(matrices) == matrices.max(axis=2, keepdims=True)).all()
    for reduced in (column_sums(matrices), row_sums(matrices), row_maxima(matrices)):
        assert reduced.dtype == np.float32


@pytest.mark.parametrize("shape", SHAPES)
def test_nan_stays_in_its_row(shape):
    matrices = make_matrices(shape)
    matrices[-1, -1, -1] = np.nan
    maxima = row_maxima(matrices)
    assert np.isnan(maxima[-1, -1, 0])
    assert np.isnan(maxima).sum() == np.isnan(row_sums(matrices)).sum() == 1


@pytest.mark.parametrize("reduce", [column_sums, row_sums, row_maxima])
@pytest.mark.parametrize("shape", [(5, 33, 10), (5, 1, 3), (5, 128, 64), (5, 7, 1)])
def test_reductions_of_a_replica_do_not_depend_on_others(reduce, shape):
    matrices = make_matrices(shape)
    fused = reduce(matrices)
    for r in range(len(matrices)):
        assert reduce(matrices[r : r + 1].copy()).tobytes() == fused[r : r + 1].tobytes()


def test_as_matrices_merges_all_axes_but_replica_and_features():
    assert as_matrices(np.zeros((2, 3, 4, 5))).shape == (2, 12, 5)
    rows = np.zeros((2, 3, 5))
    assert as_matrices(rows) is rows


def table_and_store(rows, features=3, replicas=3, dtype=np.float32):
    """Return a table (R, V, F) that is a slice of a larger array (R, P), as every Parameter is, and that array."""
    size = rows * features
    store = np.random.default_rng(0).standard_normal((replicas, size + 5)).astype(dtype)
    return store[:, 2 : 2 + size].reshape(replicas, rows, features), store


ROW_COUNTS = pytest.mark.parametrize("rows", [1, 4, ONE_HOT_MAX_ROWS, ONE_HOT_MAX_ROWS + 1, 1000])


@ROW_COUNTS
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_gather_rows_copies_rows(rows, dtype):
    table, _ = table_and_store(rows)
    ids = np.random.default_rng(1).integers(rows, size=(3, 50)).astype(dtype)
    out = np.full((3, 50, 3), np.nan, np.float32)
    gather_rows(table, ids, out)
    assert (out == table[np.arange(3)[:, None], ids]).all()


@ROW_COUNTS
def test_gather_rows_outside_the_table_raises(rows):
    table, _ = table_and_store(rows)
    for outside in (rows, -1):
        with pytest.raises(IndexError, match=f"got rows {outside} to {outside}"):
            gather_rows(table, np.full((3, 2), outside), np.empty((3, 2, 3), np.float32))


def test_gather_rows_of_no_rows():
    gather_rows(np.ones((3, 4, 2)), np.empty((3, 0), int), np.empty((3, 0, 2)))


@ROW_COUNTS
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_scatter_add_adds_every_value_of_a_repeated_row(rows, dtype):
    target, store = table_and_store(rows, dtype=np.float64)
    generator = np.random.default_rng(1)
    ids = generator.integers(min(rows, 20), size=(3, 60)).astype(dtype)
    values = generator.standard_normal((3, 60, 3))
    expected, neighbors = target.copy(), store[:, [0, 1, -3, -2, -1]].copy()
    for r, n in np.ndindex(3, 60):
        expected[r, ids[r, n]] += values[r, n]
    scatter_add_rows(target, ids, values)
    assert target == pytest.approx(expected)
    assert np.shares_memory(target, store)
    assert (store[:, [0, 1, -3, -2, -1]] == neighbors).all(), "the rest of the store is not changed"


@ROW_COUNTS
def test_scatter_add_does_not_depend_on_other_replicas(rows):
    ids = np.random.default_rng(1).integers(rows, size=(3, 60))
    values = np.random.default_rng(2).standard_normal((3, 60, 3)).astype(np.float32)
    fused, _ = table_and_store(rows)
    scatter_add_rows(fused, ids, values)
    for r in range(3):
        alone, _ = table_and_store(rows)
        alone = alone[r : r + 1].copy()
        scatter_add_rows(alone, ids[r : r + 1], values[r : r + 1])
        assert alone.tobytes() == fused[r : r + 1].tobytes()


def test_host_arrays_are_numpy_arrays_and_are_not_copied():
    array = np.ones(3)
    assert xp_of(array) is np
    assert to_device(array, "cpu") is array
    assert to_host(array) is array
    assert unavailable_reason("cpu") is None


def test_unavailable_reason_without_cupy(monkeypatch):
    def fail_to_import():
        raise ImportError("no module named cupy")

    monkeypatch.setattr(backend, "_cupy", fail_to_import)
    assert "searchlab[gpu]" in unavailable_reason("cuda")


def test_unavailable_reason_without_a_device(monkeypatch):
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

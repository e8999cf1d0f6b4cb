"""Array backends: NumPy on the host or CuPy on a CUDA device; the type of an array determines its module.

The only file that knows CuPy. CuPy is imported when a CUDA device is requested by name, never because one is visible: a
CPU trial on a GPU machine stays on the CPU.
"""

from __future__ import annotations

import importlib
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array of NumPy or of CuPy: both have the same methods."""

Device: TypeAlias = Literal["cpu", "cuda"]

ONE_HOT_MAX_ROWS = 128  # table rows up to which a product with one-hot rows is a faster scatter-add than sorting
NARROW_MAX_COLUMNS = 64  # columns up to which NumPy's row maxima are faster over a transposed copy


@cache
def _cupy() -> ModuleType:
    return importlib.import_module("cupy")


def xp_of(array: Array) -> Any:
    """Return the module, numpy or cupy, that made this array.

    Args:
        array: An array of NumPy or of CuPy.

    Example:
        >>> from searchlab.nn import xp_of
        >>> import numpy as np
        >>> xp_of(np.zeros(3)) is np
        True
    """
    return np if isinstance(array, np.ndarray) else _cupy()


def xp_for_device(device: Device) -> Any:
    """Return the module, numpy or cupy, that makes arrays on this device."""
    return np if device == "cpu" else _cupy()


def to_device(array: Array, device: Device) -> Array:
    """Return the array on the device, without a copy where it is there already."""
    on_device: Array = xp_for_device(device).asarray(array)
    return on_device


def to_device_of(like: Array, array: Array) -> Array:
    """Return the array on the device of `like`."""
    return to_device(array, "cpu" if isinstance(like, np.ndarray) else "cuda")


def select_rows(array: Array, rows: Array) -> Array:
    """Return these rows (kept,), given on the host, of an array on any device."""
    selected: Array = array[to_device_of(array, rows)]
    return selected


def to_host(array: Array) -> Array:
    """Return the array as a NumPy array; wait for a device to finish computing it."""
    if isinstance(array, np.ndarray):
        return array
    host: Array = _cupy().asnumpy(array)
    return host


def unavailable_reason(device: Device) -> str | None:
    """Return why this device cannot be used here, in a few words; None when it can."""
    if device == "cpu":
        return None
    try:
        count = _cupy().cuda.runtime.getDeviceCount()
    except ImportError:
        return "CuPy is not installed (pip install 'searchlab[gpu]')"
    except Exception as error:  # CuPy raises its own CUDA errors, which cannot be named without CuPy
        return f"CuPy finds no CUDA device ({error})"
    return None if count else "CuPy finds no CUDA device"


def free_memory() -> int:
    """Return the free bytes of the CUDA device, including those that CuPy's memory pool keeps for the next array."""
    free: int = _cupy().cuda.runtime.memGetInfo()[0]
    return free + int(_cupy().get_default_memory_pool().free_bytes())


def total_memory() -> int:
    """Return all bytes of the CUDA device, free or in use."""
    total: int = _cupy().cuda.runtime.memGetInfo()[1]
    return total


@lru_cache(maxsize=64)
def ones_row(xp: Any, dtype: Any, length: int) -> Array:
    """Return ones (1, 1, length), cached: a product with them sums small matrices up to 5 times as fast as np.sum."""
    ones: Array = xp.ones((1, 1, length), dtype=dtype)
    return ones


def column_sums(matrices: Array) -> Array:
    """Return the sums (R, 1, O) over the rows of matrices (R, N, O)."""
    xp = xp_of(matrices)
    sums: Array = xp.matmul(ones_row(xp, matrices.dtype, matrices.shape[1]), matrices)
    return sums


def row_sums(matrices: Array) -> Array:
    """Return the sums (R, N, 1) over the columns of matrices (R, N, O)."""
    xp = xp_of(matrices)
    sums: Array = xp.matmul(matrices, ones_row(xp, matrices.dtype, matrices.shape[2]).swapaxes(1, 2))
    return sums


def as_matrices(array: Array) -> Array:
    """Return the array (R, ..., F) as one matrix per replica (R, N, F), so that rows and sequences share one code path.

    Args:
        array: An array (R, ..., F) of at least two dimensions.

    Example:
        >>> from searchlab.nn import as_matrices
        >>> import numpy as np
        >>> as_matrices(np.zeros((2, 3, 4, 5))).shape
        (2, 12, 5)
    """
    matrices: Array = array if array.ndim == 3 else array.reshape(len(array), -1, array.shape[-1])
    return matrices


def gather_rows(table: Array, rows: Array, out: Array) -> None:
    """Copy these rows (R, N) of each replica's table (R, V, F) into out (R, N, F).

    Raises IndexError on the host for a row that the table does not have; a device does not check.
    """
    xp, mode = xp_of(table), {}
    if xp is np:
        if rows.size and not 0 <= rows.min() <= rows.max() < table.shape[1]:
            raise IndexError(f"the table has rows 0 to {table.shape[1] - 1}; got rows {rows.min()} to {rows.max()}")
        mode = {"mode": "clip"}  # checked above: NumPy's own check buffers `out`, which takes 3 to 6 times as long
    for r in range(len(rows)):  # a replica's table may be a slice of a larger array, not contiguous with the next
        xp.take(table[r], rows[r], axis=0, out=out[r], **mode)


def scatter_add_rows(target: Array, rows: Array, values: Array) -> None:
    """Add values (R, N, F) to these rows (R, N) of target (R, V, F), in place; a repeated row receives every value."""
    R, V, F = target.shape
    if V <= ONE_HOT_MAX_ROWS:  # a product with one-hot rows
        xp = xp_of(target)
        one_hot = xp.zeros((R, rows.shape[1], V), dtype=target.dtype)
        one_hot[xp.arange(R)[:, None], xp.arange(rows.shape[1]), rows] = 1.0
        target += xp.matmul(one_hot.swapaxes(1, 2), values)
    elif not isinstance(target, np.ndarray):
        for r in range(R):  # a replica's slice of a larger array is not contiguous with the next
            _cupy().add.at(target[r], rows[r], values[r])
    else:  # sort the rows and sum runs of equal ones: ten times as fast as adding one by one
        flat_rows = (rows + np.arange(R)[:, None] * V).reshape(-1)  # (R N,)
        order = np.argsort(flat_rows, kind="stable")
        sorted_rows = flat_rows[order]
        starts = np.flatnonzero(np.concatenate([[True], sorted_rows[1:] != sorted_rows[:-1]]))
        distinct_rows = sorted_rows[starts]
        sums = np.add.reduceat(values.reshape(-1, F)[order], starts, axis=0)
        target[distinct_rows // V, distinct_rows % V] += sums


def row_maxima(matrices: Array) -> Array:
    """Return the maxima (R, N, 1) over the columns of matrices (R, N, O)."""
    is_narrow = matrices.shape[2] <= NARROW_MAX_COLUMNS and isinstance(matrices, np.ndarray)
    if is_narrow:  # NumPy reduces short rows one by one; over a transposed copy it compares whole vectors
        columns = matrices.reshape(-1, matrices.shape[2]).T.copy()  # (O, R N)
        largest: Array = np.maximum.reduce(columns)
        return largest.reshape(*matrices.shape[:2], 1)
    maxima: Array = matrices.max(axis=2, keepdims=True)
    return maxima

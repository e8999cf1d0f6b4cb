"""Where arrays live: NumPy on the host or CuPy on a CUDA device, asked of the array itself.

The only file that knows CuPy. It is imported when a CUDA device is asked for by name, never because one is visible:
a CPU trial on a GPU machine stays on the CPU.
"""

from __future__ import annotations

import importlib
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array of NumPy or of CuPy: both answer to the same calls."""

Device: TypeAlias = Literal["cpu", "cuda"]

FEW_ROWS = 128  # up to here a product with one-hot rows adds rows up faster than sorting them


@cache
def _cupy() -> ModuleType:
    return importlib.import_module("cupy")


def xp_of(array: Array) -> Any:
    """The module, numpy or cupy, that made this array."""
    return np if isinstance(array, np.ndarray) else _cupy()


def module_of(device: Device) -> Any:
    """The module, numpy or cupy, that makes arrays on this device."""
    return np if device == "cpu" else _cupy()


def to_device(array: Array, device: Device) -> Array:
    """The same numbers on the device; no copy where they are there already."""
    moved: Array = module_of(device).asarray(array)
    return moved


def to_device_of(like: Array, array: Array) -> Array:
    """The same numbers where `like` lives."""
    return to_device(array, "cpu" if isinstance(like, np.ndarray) else "cuda")


def select(array: Array, rows: Array) -> Array:
    """These rows (kept,), numbered on the host, of an array wherever it lives."""
    selected: Array = array[to_device_of(array, rows)]
    return selected


def to_host(array: Array) -> Array:
    """The same numbers as a NumPy array; waits for a device to finish them."""
    if isinstance(array, np.ndarray):
        return array
    host: Array = _cupy().asnumpy(array)
    return host


def unavailable_reason(device: Device) -> str | None:
    """Why this device cannot be used here, in a few words; None when it can."""
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
    """Bytes free on the CUDA device, those that CuPy keeps for the next array included."""
    free: int = _cupy().cuda.runtime.memGetInfo()[0]
    return free + int(_cupy().get_default_memory_pool().free_bytes())


def total_memory() -> int:
    """Bytes of the CUDA device, free or taken."""
    total: int = _cupy().cuda.runtime.memGetInfo()[1]
    return total


@lru_cache(maxsize=64)
def ones_row(xp: Any, dtype: Any, length: int) -> Array:
    """Ones (1, 1, length), kept: a product with them sums small matrices up to 5 times as fast as NumPy's sum."""
    ones: Array = xp.ones((1, 1, length), dtype=dtype)
    return ones


def column_sums(matrices: Array) -> Array:
    """Sums (R, 1, O) over the rows of matrices (R, N, O)."""
    xp = xp_of(matrices)
    sums: Array = xp.matmul(ones_row(xp, matrices.dtype, matrices.shape[1]), matrices)
    return sums


def row_sums(matrices: Array) -> Array:
    """Sums (R, N, 1) over the columns of matrices (R, N, O)."""
    xp = xp_of(matrices)
    sums: Array = xp.matmul(matrices, ones_row(xp, matrices.dtype, matrices.shape[2]).swapaxes(1, 2))
    return sums


def as_matrices(array: Array) -> Array:
    """The array (R, ..., F) as (R, N, F): one matrix per replica, rows and sequences alike."""
    matrices: Array = array if array.ndim == 3 else array.reshape(len(array), -1, array.shape[-1])
    return matrices


def take_rows(table: Array, rows: Array, out: Array) -> None:
    """Copy these rows (R, N) of each replica's table (R, V, F) into out (R, N, F).

    Raises IndexError on the host for a row that the table does not have; a device does not look.
    """
    xp, checked = xp_of(table), {}
    if xp is np:
        if rows.size and not 0 <= rows.min() <= rows.max() < table.shape[1]:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a table with rows 0 to {table.shape[1] - 1}")
        checked = {"mode": "clip"}  # with its own check, NumPy writes elsewhere first: it takes 3 to 6 times as long
    for r in range(len(rows)):  # a replica's table may be a slice of a larger store, not in one piece with the next
        xp.take(table[r], rows[r], axis=0, out=out[r], **checked)


def add_rows(target: Array, rows: Array, values: Array) -> None:
    """Add values (R, N, F) to these rows (R, N) of target (R, V, F), in place; a row named twice is added to twice."""
    R, V, F = target.shape
    if V <= FEW_ROWS:  # a product with one-hot rows
        xp = xp_of(target)
        hot = xp.zeros((R, rows.shape[1], V), dtype=target.dtype)
        hot[xp.arange(R)[:, None], xp.arange(rows.shape[1]), rows] = 1.0
        target += xp.matmul(hot.swapaxes(1, 2), values)
    elif not isinstance(target, np.ndarray):
        for r in range(R):  # a replica's slice of the store is not in one piece with the next
            _cupy().add.at(target[r], rows[r], values[r])
    else:  # the rows are sorted and runs of one row summed: ten times as fast as adding one by one
        flat = (rows + np.arange(R)[:, None] * V).reshape(-1)  # (R N,)
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        where = ordered[starts]
        target[where // V, where % V] += np.add.reduceat(values.reshape(-1, F)[order], starts, axis=0)


def row_maxima(matrices: Array) -> Array:
    """Maxima (R, N, 1) over the columns of matrices (R, N, O)."""
    narrow = matrices.shape[2] <= 64 and isinstance(matrices, np.ndarray)
    if narrow:  # NumPy reduces short rows one by one; over a transposed copy it compares whole vectors
        columns = matrices.reshape(-1, matrices.shape[2]).T.copy()  # (O, R N)
        largest: Array = np.maximum.reduce(columns)
        return largest.reshape(*matrices.shape[:2], 1)
    maxima: Array = matrices.max(axis=2, keepdims=True)
    return maxima

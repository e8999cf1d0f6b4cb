"""Scatter-add, by the compiled kernel where there is one."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, scatter_add_rows
from searchlab.kernels import compiled, uses_compiled


def add_rows(target: Array, rows: Array, values: Array) -> None:
    """Add values (R, N, F) to these rows (R, N) of target (R, V, F), in place; a repeated row receives every value.

    Raises IndexError on the host for a row that the table does not have.
    """
    if not uses_compiled(target) or values.dtype != np.float32:
        scatter_add_rows(target, rows, values)
        return
    kernel = compiled("scatter").add_rows
    rows, values = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(values)
    for r in range(len(rows)):  # a replica's table may be a slice of a larger array, not contiguous with the next
        if not kernel(target[r], rows[r], values[r]):
            raise IndexError(f"the table has rows 0 to {target.shape[1] - 1}; got rows up to {rows[r].max()}")

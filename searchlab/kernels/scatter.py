"""The kernel of a scatter-add: gradients of table rows that a window read, one after the other."""

from __future__ import annotations

from typing import Any

from searchlab.kernels.jit import jit


@jit
def add_rows(target: Any, rows: Any, values: Any) -> bool:
    """Add values (N, F) to these rows (N,) of a table (V, F), in order; return whether the table has all the rows."""
    for n in range(rows.shape[0]):
        if not 0 <= rows[n] < target.shape[0]:
            return False
        _add(target[rows[n]], values[n])
    return True


@jit
def _add(x: Any, y: Any) -> None:
    for j in range(x.shape[0]):
        x[j] += y[j]

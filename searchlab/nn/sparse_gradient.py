"""Gradients of the rows of a table that a step has touched, each row once with the sum of its gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from searchlab.backend import Array, xp_of

SUMMED_TOGETHER = 128  # vectors that one product sums by row: its cost grows with their number times that of the rows

AddedRows: TypeAlias = tuple[Array, Array | None, Array]
"""Row numbers (R, K, N), -1 for no row; coefficients (R, K, N), None for 1; and vectors (R, N, F).

Vector n, times its coefficient, is added to the gradient of each of its K rows.
"""


@dataclass
class RowGradients:
    """Gradients of N rows, of one replica on the host, and of all replicas on a device.

    On the host every row occurs once. On a device the number of distinct rows is not known without waiting for it, so a
    row occurs as often as it was touched, each time with the whole sum: equal updates then write equal numbers.

    Attributes:
        replica: The replica of all rows, or that of each row (N,).
        rows: The row numbers (N,).
        values: The gradient of each row (N, F).
        counts: 1 for the first entry of each row and 0 for its repetitions (N, 1); None where no row is repeated.
    """

    replica: int | Array
    rows: Array
    values: Array
    counts: Array | None = None

    def read(self, table: Array) -> Array:
        """Return a copy of these rows (N, F) of a table (R, V, F), or of one (1, V, F) that all replicas share."""
        if isinstance(self.replica, int):
            found: Array = table[self.replica if len(table) > 1 else 0].take(self.rows, axis=0)
        else:
            found = table[self.replica if len(table) > 1 else self.replica * 0, self.rows]
        return found

    def write(self, table: Array, values: Array) -> None:
        """Replace these rows of a table (R, V, F) by the values (N, F)."""
        if isinstance(self.replica, int):
            table[self.replica][self.rows] = values
        else:
            table[self.replica, self.rows] = values

    def of_replica(self, vector: Array) -> Array:
        """Return the values of a vector (R,) or (R, 1) for these rows: (N, 1), or (1, 1) for a single replica."""
        return vector[self.replica].reshape(-1, 1)


def sum_by_row(added: Sequence[AddedRows], table: Array) -> list[RowGradients]:
    """Return the gradients of all rows of a table (R, V, F) that were added, each row with its sum."""
    if not added:
        return []
    if xp_of(table) is np:
        return [_sum_on_host(r, [_of_replica(parts, r) for parts in added], table) for r in range(len(table))]
    return [_sum_on_device(added, table)]


def squared_norms(parts: Iterable[RowGradients], replicas: int, like: Array) -> Array:
    """Return the sum of squares of each replica's gradients (R,), on the device and of the dtype of `like`."""
    xp = xp_of(like)
    norms: Array = xp.zeros((replicas,), dtype=like.dtype)
    for part in parts:
        if isinstance(part.replica, int):
            flat = part.values.reshape(-1)
            norms[part.replica] += np.dot(flat, flat)
        else:
            squares = (part.values * part.values).sum(axis=1)
            xp.add.at(norms, part.replica, squares if part.counts is None else squares * part.counts[:, 0])
    return norms


def to_dense(parts: Iterable[RowGradients], table: Array) -> Array:
    """Return the gradient of the whole table (R, V, F); rows that were not touched have 0."""
    dense: Array = xp_of(table).zeros_like(table)
    for part in parts:
        part.write(dense, part.values)
    return dense


def _of_replica(parts: AddedRows, r: int) -> AddedRows:
    rows, coefficients, vectors = parts
    return rows[r], None if coefficients is None else coefficients[r], vectors[r]


def _sum_on_host(replica: int, added: Sequence[AddedRows], table: Array) -> RowGradients:
    """Sum by a product with a matrix of coefficients: ten times as fast as adding row by row."""
    is_touched = np.zeros(table.shape[1], dtype=bool)
    for rows, _, _ in added:
        is_touched[rows[rows >= 0]] = True
    distinct = np.flatnonzero(is_touched)
    number = np.empty(table.shape[1], dtype=np.intp)  # of each touched row among the distinct ones
    number[distinct] = np.arange(len(distinct))
    sums = np.zeros((len(distinct), table.shape[2]), dtype=table.dtype)
    for rows, coefficients, vectors in added:
        for start in range(0, len(vectors), SUMMED_TOGETHER):
            part = slice(start, start + SUMMED_TOGETHER)
            _add_products(sums, number, rows[:, part], _take(coefficients, part), vectors[part])
    return RowGradients(replica, distinct, sums)


def _take(coefficients: Array | None, part: slice) -> Array | None:
    return None if coefficients is None else coefficients[:, part]


def _add_products(sums: Array, number: Array, rows: Array, coefficients: Array | None, vectors: Array) -> None:
    """Add to the sums (U, F) the vectors (n, F), each to its rows (K, n) times its coefficients (K, n)."""
    is_row, n = rows >= 0, len(vectors)
    places = (number[np.maximum(rows, 0)] * n + np.arange(n))[is_row]
    weights: Any = sums.dtype.type(1.0) if coefficients is None else coefficients[is_row]
    matrix = np.zeros((len(sums), n), dtype=sums.dtype)
    np.add.at(matrix.reshape(-1), places, weights)
    sums += matrix @ vectors


def _sum_on_device(added: Sequence[AddedRows], table: Array) -> RowGradients:
    """Sum by atomic additions, with shapes that do not depend on the rows: the host need not wait for the device."""
    xp, (R, V, F) = xp_of(table), table.shape
    keys, values = (xp.concatenate(parts) for parts in zip(*(_entries(each, V) for each in added), strict=True))
    # an entry without a row repeats a touched row, to which its value, 0, adds nothing
    keys = xp.where(keys < 0, xp.maximum(keys.max(), 0), keys)
    numbers = xp.arange(keys.shape[0])
    number_of_key = xp.zeros((R * V,), dtype=np.int64)
    number_of_key[keys] = numbers  # of equal keys, one wins
    winner = number_of_key[keys]
    sums = xp.zeros((keys.shape[0], F), dtype=table.dtype)
    xp.add.at(sums, winner, values)
    counts = (winner == numbers).astype(table.dtype)[:, None]
    return RowGradients(keys // V, keys % V, sums[winner], counts)


def _entries(added: AddedRows, size: int) -> tuple[Array, Array]:
    """Return a key of each entry's replica and row, (R K N,), negative for no row, and its gradient (R K N, F)."""
    rows, coefficients, vectors = added
    xp, (R, K, N) = xp_of(vectors), rows.shape
    is_row = (rows >= 0)[..., None]  # (R, K, N, 1)
    keys = xp.where(rows >= 0, rows + xp.arange(R)[:, None, None] * size, -1)
    scaled = vectors[:, None] if coefficients is None else vectors[:, None] * coefficients[..., None]
    values = xp.where(is_row, scaled, 0.0).astype(vectors.dtype)  # (R, K, N, F)
    return keys.reshape(-1), values.reshape(R * K * N, -1)

"""Replicas for the contracts: three together or one alone, and the comparison of their rows bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.replicas import Replicas

PerReplicaValues: TypeAlias = Mapping[str, Sequence[float]]
"""One value per replica for each argument, such as {"rate": (0.0, 0.3, 0.6)}."""

ALL_REPLICAS = (0, 1, 2)  # the replicas of a fused run; a replica alone is (r,)
SURVIVORS = (2, 0)  # replica 1 is dropped, and the other two change places


def replicas_for(rows: Sequence[int], dtype: Any = np.float32) -> Replicas:
    """Return replicas with one seed per row; the seed of a row does not depend on the other rows."""
    return Replicas([1000 + row for row in rows], dtype=dtype)


def arguments_for(per_replica: PerReplicaValues | None, rows: Sequence[int]) -> dict[str, list[float]]:
    """Return the keyword arguments for these rows."""
    return {name: [values[row] for row in rows] for name, values in (per_replica or {}).items()}


def select_batch(batch: Batch, rows: Sequence[int]) -> Batch:
    """Return a copy of the batch that holds these replicas only; arrays (1, ...), which all share, are kept."""
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    selected: dict[str, Any] = {name: a[list(rows)] if len(a) > 1 else a.copy() for name, a in arrays.items()}
    return replace(batch, **selected)


def assert_identical(actual: Mapping[str, Array], expected: Mapping[str, Array], comparison: str) -> None:
    """Raise AssertionError unless the arrays of `actual` equal those of `expected` bit for bit; NaN equals NaN.

    `comparison` says what is compared, as the beginning of the message.
    """
    for name, array in actual.items():
        other = expected[name]
        assert array.shape == other.shape, f"{comparison}: {name} has shape {array.shape} and {other.shape}"
        assert array.dtype == other.dtype, f"{comparison}: {name} is {array.dtype} and {other.dtype}"
        difference = np.abs(np.subtract(array, other, dtype=np.float64)).max(initial=0.0)
        assert array.tobytes() == other.tobytes(), f"{comparison}: {name} differs by up to {difference:.3g}"


def select_rows(results: Mapping[str, Array], rows: Sequence[int]) -> dict[str, Array]:
    """Return the rows of these replicas of each array."""
    return {name: array[list(rows)] for name, array in results.items()}

"""What the contracts share: replicas to run a part with, alone or side by side, and how two lanes are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.replicas import Replicas

PerReplicaValues: TypeAlias = Mapping[str, Sequence[float]]
"""By argument one value for each replica, such as {"rate": (0.0, 0.3, 0.6)}."""

TOGETHER = (0, 1, 2)  # the replicas of a fused run; a replica alone is (r,)
SURVIVORS = (2, 0)  # one is dropped, and the others change places


def replicas_of(rows: Sequence[int], dtype: Any = np.float32) -> Replicas:
    """Replicas with a seed of their own for each of these rows, the same whatever the other rows are."""
    return Replicas([1000 + row for row in rows], dtype=dtype)


def values_of(per_replica: PerReplicaValues | None, rows: Sequence[int]) -> dict[str, list[float]]:
    """The keyword arguments of these rows."""
    return {name: [values[row] for row in rows] for name, values in (per_replica or {}).items()}


def lanes(batch: Batch, rows: Sequence[int]) -> Batch:
    """The batch of these replicas only, as arrays of their own."""
    picked = list(rows)
    weight = None if batch.weight is None else batch.weight[picked]
    return Batch(batch.x[picked], batch.y[picked], weight)


def same_bits(one: Mapping[str, Array], other: Mapping[str, Array], when: str) -> None:
    """Raises AssertionError unless both hold the same arrays, NaN equal to NaN and bit for bit."""
    for name, array in one.items():
        twin = other[name]
        assert array.shape == twin.shape, f"{when}: {name} is {array.shape} and {twin.shape}"
        assert array.dtype == twin.dtype, f"{when}: {name} is {array.dtype} and {twin.dtype}"
        gap = np.abs(np.subtract(array, twin, dtype=np.float64)).max(initial=0.0)
        assert array.tobytes() == twin.tobytes(), f"{when}: {name} differs by up to {gap:.3g}"


def rows_of(results: Mapping[str, Array], rows: Sequence[int]) -> dict[str, Array]:
    """Each array's rows of these replicas."""
    return {name: array[list(rows)] for name, array in results.items()}

"""The replica axis: values that differ by replica, and the selection of replicas in everything that has the axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from searchlab.backend import Array, select_rows

PER_REPLICA = "one value per replica"
PerReplica: TypeAlias = Annotated[float | Sequence[float] | Array, PER_REPLICA]
"""The type of a constructor argument that may differ between the replicas of a group: one number for all, or R numbers.

Example:
    >>> from searchlab.nn import Dropout, Replicas
    >>> Dropout(Replicas([1, 2]), rate=[0.0, 0.5]).rate.tolist()
    [0.0, 0.5]
"""


def align(vector: Array, like: Array) -> Array:
    """Return the vector reshaped to (R, 1, ..., 1), so that it broadcasts over an array of R replicas.

    Args:
        vector: One value per replica (R,).
        like: The array (R, ...) that the vector is to be combined with.

    Returns:
        A view of the vector with as many dimensions as `like`.

    Example:
        >>> from searchlab.nn import align
        >>> import numpy as np
        >>> align(np.array([1.0, 2.0]), np.zeros((2, 3, 4))).shape
        (2, 1, 1)
    """
    return vector.reshape(vector.shape + (1,) * (like.ndim - 1))


class HasReplicaAxis:
    """An object whose arrays have the replica as axis 0, or axis 0 of size 1 where all replicas share the array."""

    def select_replicas(self, rows: Array) -> None:
        """Keep these replicas only, here and in every object that can be reached through attributes and lists.

        Args:
            rows: Rows of the replica axis to keep (kept,), on the host; their order becomes the new order.
        """
        found: dict[int, HasReplicaAxis] = {}
        _collect(self, found)
        for owner in found.values():
            owner._select_own(rows)

    def _select_own(self, rows: Array) -> None:
        """Select these rows of the arrays in this object's attributes; `select_replicas` calls it once per object."""
        for name, value in vars(self).items():
            if hasattr(value, "shape") and value.ndim and value.shape[0] != 1:
                setattr(self, name, select_rows(value, rows))


def _collect(value: object, found: dict[int, HasReplicaAxis]) -> None:
    if isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, found)
    elif isinstance(value, HasReplicaAxis) and id(value) not in found:
        found[id(value)] = value
        for attribute in vars(value).values():
            _collect(attribute, found)

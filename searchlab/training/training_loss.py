"""The mean training loss of an epoch, over the targets of its batches."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.replicas import Replicas


class TrainingLoss:
    """The mean of the losses of batches, each weighed by its number of targets.

    Args:
        replicas: The R replicas.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._total = replicas.zeros()  # (R,)
        self._targets: Array | int = 0  # of each replica (R,), or batches where all are of one size

    def add(self, loss: Array, batch: Batch) -> None:
        """Add the mean loss (R,) of a batch."""
        weight = _target_weight(batch)
        self._total += loss * weight
        self._targets = self._targets + weight

    def mean(self) -> Array:
        """Return the mean loss (R,) of all targets so far."""
        return self._total / self._targets


def _target_weight(batch: Batch) -> Array | int:
    """Return the weight of a batch in the mean loss of its epoch: the number of targets (R,), or 1 for rows.

    All training batches of rows have one size, and the last window of a text may be shorter.
    """
    if batch.y.ndim != 3 or batch.y.dtype.kind == "f":
        return 1
    count: Array = (batch.y != IGNORED).sum(axis=(1, 2)).astype(np.float32)
    return count

"""Independent rows with one label each: the data of classifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from searchlab.backend import Array, Device, to_device, xp_of
from searchlab.data.batch import Batch
from searchlab.data.splits import Rows, Split
from searchlab.replicas import Replicas

ROWS_AT_ONCE = 128  # scored in one pass: what a layer makes of them still lies in the cache for the next


class Table(Protocol):
    """Loaded rows: what a trainer reads batches from."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes a model's constructor takes after the replicas."""

    def __len__(self) -> int: ...

    def on(self, device: Device) -> Table:
        """The same rows on the device."""

    def epoch(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """One epoch of training batches, in an order of each replica's own."""

    def scoring(self, rows: Rows) -> Iterator[Batch]:
        """All these rows once, in order."""

    def checksum(self) -> str:
        """SHA-256 of the numbers."""


class Examples:
    """Rows x (N, features) of float32 with labels y (N,) of integers in [0, classes)."""

    def __init__(self, x: Array, y: Array, classes: int) -> None:
        if len(x) != len(y):
            raise ValueError(f"{len(x)} rows and {len(y)} labels")
        self.x, self.y, self.classes = x, y, classes

    @property
    def sizes(self) -> tuple[int, ...]:
        """(features, classes)."""
        return int(self.x.shape[1]), self.classes

    def __len__(self) -> int:
        return len(self.x)

    def on(self, device: Device) -> Examples:
        """The same rows on the device."""
        return Examples(to_device(self.x, device), to_device(self.y, device), self.classes)

    def take(self, rows: Array) -> Examples:
        """These rows only, as a table of their own."""
        return Examples(self.x[rows], self.y[rows], self.classes)

    def epoch(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """As many full batches as fit in the shortest fold, each replica's rows shuffled by its own seed.

        The data is shared: a step gathers its own B rows per replica and nothing is copied R times.
        """
        size = min(batch_size, split.shortest)
        steps = split.shortest // size
        order = replicas.permutations(split.train.counts, steps * size)  # (R, steps * size)
        rows = to_device(np.take_along_axis(split.train.index, order, axis=1), replicas.device)
        for start in range(0, steps * size, size):
            yield self._gather(rows[:, start : start + size])

    def scoring(self, rows: Rows) -> Iterator[Batch]:
        """All these rows once, in order; padding has weight 0.

        How many at once does not depend on how many replicas there are: BLAS rounds a product of few rows differently.
        """
        xp = xp_of(self.x)
        width = rows.index.shape[1]
        real = np.arange(width) < rows.counts[:, None]  # (R, width)
        for start in range(0, width, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            weight = None if real[:, part].all() else xp.asarray(real[:, part])
            yield self._gather(xp.asarray(rows.index[:, part]), weight)

    def checksum(self) -> str:
        """SHA-256 of the inputs and labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.x).tobytes())
        digest.update(np.ascontiguousarray(self.y).tobytes())
        return digest.hexdigest()

    def _gather(self, rows: Array, weight: Array | None = None) -> Batch:
        return Batch(self.x.take(rows, axis=0), self.y.take(rows, axis=0), weight)

"""Inputs with mean 0 and scale 1 on the rows that a replica trains on: a held-out row has no part in either."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from searchlab.backend import Array, Device, to_device, xp_of
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import Fused, Replicas

AT_ONCE = 4096  # rows summed in one pass, so that no copy of all rows in float64 is ever made


def moments(x: Array, rows: Array) -> tuple[Array, Array]:
    """Mean and scale (F,) of these rows (n,) of x (N, F), as x's own dtype; a constant feature has scale 1.

    Two passes in float64, the second over deviations from the mean: a single pass over squares cancels. A sum of up to
    2^29 equal numbers of float32 is exact in float64, so that a constant feature deviates by exactly 0.
    """
    xp = xp_of(x)
    parts = [xp.asarray(rows[start : start + AT_ONCE]) for start in range(0, len(rows), AT_ONCE)]
    wide = (x.take(part, axis=0).astype(np.float64) for part in parts)
    mean = sum(part.sum(axis=0) for part in wide) / len(rows)
    wide = (x.take(part, axis=0).astype(np.float64) for part in parts)
    scale = xp.sqrt(sum(((part - mean) ** 2).sum(axis=0) for part in wide) / len(rows))
    scale = xp.where(scale < np.finfo(x.dtype).tiny, 1.0, scale)  # below it 1 / scale is infinite
    with np.errstate(under="ignore"):  # a mean too near 0 for float32 is 0
        return mean.astype(x.dtype), scale.astype(x.dtype)


class Standardized(Fused):
    """A table whose replicas see (x - mean) / scale, each by a mean and scale of its own: (R, F) each.

    The rows are shared and stay as they are; what a step has gathered for itself is scaled in place.
    """

    def __init__(self, rows: LoadedDataset, mean: Array, scale: Array) -> None:
        self.rows = rows
        self.mean, self.scale = mean[:, None], scale[:, None]  # (R, 1, F)
        self._inverse = 1 / self.scale

    @property
    def sizes(self) -> tuple[int, ...]:
        """As of the rows."""
        return self.rows.sizes

    @property
    def labels(self) -> Array | None:
        """As of the rows."""
        return self.rows.labels

    @property
    def groups(self) -> Array | None:
        """As of the rows."""
        return self.rows.groups

    @property
    def image(self) -> tuple[int, int] | None:
        """As of the rows."""
        return self.rows.image

    @property
    def ordered(self) -> bool:
        """As of the rows."""
        return self.rows.ordered

    @property
    def validation(self) -> Array | None:
        """As of the rows."""
        return self.rows.validation

    @property
    def vocabulary(self) -> Vocabulary | None:
        """As of the rows."""
        return self.rows.vocabulary

    @property
    def scaling(self) -> tuple[Array, Array] | None:
        """Mean and scale (R, F)."""
        return self.mean[:, 0], self.scale[:, 0]

    def __len__(self) -> int:
        return len(self.rows)

    def on(self, device: Device) -> Standardized:
        """The same rows and scaling on the device."""
        mean, scale = (to_device(part[:, 0], device) for part in (self.mean, self.scale))
        return Standardized(self.rows.on(device), mean, scale)

    def fitted(self, split: Split) -> LoadedDataset:
        """The rows fitted anew."""
        return self.rows.fitted(split)

    def steps(self, split: Split, batch_size: int) -> int:
        """As of the rows."""
        return self.rows.steps(split, batch_size)

    def epoch(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """The rows' own batches, scaled."""
        return map(self._scaled, self.rows.epoch(split, replicas, batch_size))

    def scoring(self, rows: Rows) -> Iterator[Batch]:
        """All these rows once, in order, scaled."""
        return map(self._scaled, self.rows.scoring(rows))

    def checksum(self) -> str:
        """Of the rows as they are."""
        return self.rows.checksum()

    def _scaled(self, batch: Batch) -> Batch:
        x = batch.x  # (R, B, F), gathered for this step alone
        x -= self.mean
        x *= self._inverse
        return batch

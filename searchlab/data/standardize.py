"""Inputs with mean 0 and scale 1 on the rows that a replica trains on: held-out rows influence neither."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from searchlab.backend import Array, Device, to_device, xp_of
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import HasReplicaAxis, Replicas

CHUNK_ROWS = 4096  # rows summed at a time, so that no float64 copy of all rows is made


def mean_and_scale(x: Array, rows: Array) -> tuple[Array, Array]:
    """Return the mean and the standard deviation (F,) of these rows (n,) of x (N, F), in the dtype of x.

    A constant feature has scale 1. Two passes in float64, the second over deviations from the mean: a single pass over
    squares cancels. A sum of up to 2^29 equal float32 numbers is exact in float64, so a constant feature deviates by
    exactly 0.
    """
    xp = xp_of(x)
    chunks = [xp.asarray(rows[start : start + CHUNK_ROWS]) for start in range(0, len(rows), CHUNK_ROWS)]
    values = (x.take(chunk, axis=0).astype(np.float64) for chunk in chunks)
    mean = sum(chunk.sum(axis=0) for chunk in values) / len(rows)
    values = (x.take(chunk, axis=0).astype(np.float64) for chunk in chunks)
    scale = xp.sqrt(sum(((chunk - mean) ** 2).sum(axis=0) for chunk in values) / len(rows))
    scale = xp.where(scale < np.finfo(x.dtype).tiny, 1.0, scale)  # for smaller scales, 1 / scale is infinite
    with np.errstate(under="ignore"):  # a mean too near 0 for float32 becomes 0
        return mean.astype(x.dtype), scale.astype(x.dtype)


class Standardized(HasReplicaAxis):
    """Rows that each of R replicas sees as (x - mean) / scale, with its own mean and scale.

    The rows are shared between replicas and do not change: only the batch that a step has gathered is scaled, in place.

    Args:
        data: The rows to standardize.
        mean: Mean of each feature for each replica, (R, features).
        scale: Scale of each feature for each replica, (R, features).

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Examples, Rows, Standardized
        >>> data = Examples(np.array([[4.0], [6.0]], np.float32), np.array([0, 1]), outputs=2)
        >>> seen = Standardized(data, mean=np.array([[5.0]], np.float32), scale=np.array([[1.0]], np.float32))
        >>> next(seen.scoring_batches(Rows.from_folds([np.arange(2)]))).x.tolist()
        [[[-1.0], [1.0]]]
    """

    def __init__(self, data: LoadedDataset, mean: Array, scale: Array) -> None:
        self.data = data
        self.mean, self.scale = mean[:, None], scale[:, None]  # (R, 1, F)
        self._inverse = 1 / self.scale

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the wrapped data."""
        return self.data.sizes

    @property
    def labels(self) -> Array | None:
        """The labels of the wrapped data."""
        return self.data.labels

    @property
    def groups(self) -> Array | None:
        """The groups of the wrapped data."""
        return self.data.groups

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """The image shape of the wrapped data."""
        return self.data.image_shape

    @property
    def is_ordered(self) -> bool:
        """Whether the wrapped data is in order."""
        return self.data.is_ordered

    @property
    def validation_rows(self) -> Array | None:
        """The validation rows of the wrapped data."""
        return self.data.validation_rows

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the wrapped data."""
        return self.data.vocabulary

    @property
    def scaling(self) -> tuple[Array, Array] | None:
        """Mean and scale, (R, features) each."""
        return self.mean[:, 0], self.scale[:, 0]

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: Device) -> Standardized:
        """Return the same rows and scaling on the device."""
        mean, scale = (to_device(part[:, 0], device) for part in (self.mean, self.scale))
        return Standardized(self.data.to(device), mean, scale)

    def fitted(self, split: Split) -> LoadedDataset:
        """Return the wrapped data fitted to this split."""
        return self.data.fitted(split)

    def steps_per_epoch(self, split: Split, batch_size: int) -> int:
        """Return how many training batches the wrapped data has in an epoch."""
        return self.data.steps_per_epoch(split, batch_size)

    def training_batches(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Yield the training batches of the wrapped data, scaled."""
        return map(self._scaled, self.data.training_batches(split, replicas, batch_size))

    def scoring_batches(self, rows: Rows) -> Iterator[Batch]:
        """Yield all these rows once, in order, scaled."""
        return map(self._scaled, self.data.scoring_batches(rows))

    def checksum(self) -> str:
        """Return the checksum of the wrapped data."""
        return self.data.checksum()

    def _scaled(self, batch: Batch) -> Batch:
        x = batch.x  # (R, B, F), gathered for this step alone
        x -= self.mean
        x *= self._inverse
        return batch

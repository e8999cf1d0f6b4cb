"""Data in memory: what validation schemes cut into folds and trainers read batches from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from searchlab.backend import Device
from searchlab.data.batch import Batch
from searchlab.data.image_shape import ImageShape
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Rows, Split, Splittable
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import Replicas


class LoadedDataset(Splittable, Protocol):
    """Rows in memory, on the host or on a device.

    A `Dataset` describes data and loads it; a `LoadedDataset` is what it loads. A validation scheme cuts its rows into
    folds, and R replicas, one per fold and trial, read their batches from it side by side. The rows are shared: they
    are never copied R times. `Examples` implements it for independent rows, `TokenStream` for text, and `Standardized`
    for rows that each replica sees with its own mean and scale.

    Example:
        >>> from searchlab.data import KFold, Spiral
        >>> from searchlab.replicas import Replicas
        >>> data = Spiral(points=50, classes=2).training()
        >>> split = KFold(2).split(data)
        >>> batch = next(data.training_batches(split, Replicas([1, 2]), batch_size=10))
        >>> batch.x.shape, batch.y.shape  # (R, B, features) and (R, B)
        ((2, 10, 2), (2, 10))
    """

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that a model's constructor takes after the replicas: (features, outputs), or (V,) for text."""

    @property
    def image_shape(self) -> ImageShape | None:
        """(height, width) or (height, width, channels) where each row is an image; None otherwise."""

    @property
    def scaling(self) -> InputEncoding | None:
        """Mean and scale, (R, features) each, that inputs are standardized by, or a table's encoding; None without."""

    @property
    def target_scaling(self) -> Scaling | None:
        """Mean and scale, (R, outputs) each, that training targets are standardized by; None where they are not."""

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens that ids stand for, where rows are tokens; None otherwise."""

    def to(self, device: Device) -> LoadedDataset:
        """Return the same rows on the device."""

    def fitted(self, split: Split) -> LoadedDataset:
        """Return the data as the R replicas of this split see it.

        What is estimated from rows, as a mean and a scale, is estimated for each replica from its own training rows.
        """

    def steps_per_epoch(self, split: Split, batch_size: int) -> int:
        """Return how many training batches an epoch has."""

    def training_batches(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Yield the training batches of one epoch, shuffled for each replica, or in order where `is_ordered`."""

    def scoring_batches(self, rows: Rows) -> Iterator[Batch]:
        """Yield all these rows once, in order."""

    def checksum(self) -> str:
        """Return the SHA-256 of the data, in hexadecimal."""

"""Inputs and targets with mean 0 and scale 1 on the rows that a replica trains on: held-out rows influence neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from searchlab.backend import Array, Device
from searchlab.data.batch import Batch
from searchlab.data.image_shape import ImageShape
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import HasReplicaAxis, Replicas


class Standardized(HasReplicaAxis):
    """Rows that each of R replicas sees as (value - mean) / scale, with its own mean and scale.

    The rows are shared between replicas and do not change: only the batch that a step has gathered is scaled, in place.
    Targets are scaled for training alone; scoring compares in the unit of the targets.

    Args:
        data: The rows to standardize.
        scaling: Mean and scale of the inputs, (R, features), or the encoding of a table; None leaves them as they are.
        target_scaling: Mean and scale of the targets, (R, outputs); default None leaves them as they are.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Examples, Rows, Scaling, Standardized
        >>> data = Examples(np.array([[4.0], [6.0]], np.float32), np.array([0, 1]), outputs=2)
        >>> seen = Standardized(data, Scaling(np.array([[5.0]], np.float32), np.array([[1.0]], np.float32)))
        >>> next(seen.scoring_batches(Rows.from_folds([np.arange(2)]))).x.tolist()
        [[[-1.0], [1.0]]]
    """

    def __init__(
        self, data: LoadedDataset, scaling: InputEncoding | None, target_scaling: Scaling | None = None
    ) -> None:
        self.data, self._scaling, self._target_scaling = data, scaling, target_scaling

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
    def image_shape(self) -> ImageShape | None:
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
    def scaling(self) -> InputEncoding | None:
        """What inputs are encoded by, as mean and scale (R, features); None where they are seen as they are."""
        return self._scaling

    @property
    def target_scaling(self) -> Scaling | None:
        """Mean and scale of the targets, (R, outputs) each; None where they are seen as they are."""
        return self._target_scaling

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: Device) -> Standardized:
        """Return the same rows and scaling on the device."""
        scaling, targets = self._scaling, self._target_scaling
        return Standardized(self.data.to(device), scaling and scaling.to(device), targets and targets.to(device))

    def fitted(self, split: Split) -> LoadedDataset:
        """Return the wrapped data fitted to this split."""
        return self.data.fitted(split)

    def steps_per_epoch(self, split: Split, batch_size: int) -> int:
        """Return how many training batches the wrapped data has in an epoch."""
        return self.data.steps_per_epoch(split, batch_size)

    def training_batches(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Yield the training batches of the wrapped data, inputs and targets scaled."""
        for batch in self.data.training_batches(split, replicas, batch_size):
            scaled = self._with_scaled_inputs(batch)
            if self._target_scaling:  # (R, B, outputs), gathered for this step alone
                scaled = replace(scaled, y=self._target_scaling.standardize(scaled.y))
            yield scaled

    def scoring_batches(self, rows: Rows) -> Iterator[Batch]:
        """Yield all these rows once, in order, with scaled inputs and targets in their own unit."""
        return map(self._with_scaled_inputs, self.data.scoring_batches(rows))

    def checksum(self) -> str:
        """Return the checksum of the wrapped data."""
        return self.data.checksum()

    def _with_scaled_inputs(self, batch: Batch) -> Batch:
        # (R, B, F), gathered for this step alone
        return replace(batch, x=self._scaling.standardize(batch.x)) if self._scaling else batch

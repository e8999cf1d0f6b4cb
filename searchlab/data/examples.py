"""Independent rows, each with one class or with numbers to predict: the data of classification and regression."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from searchlab.backend import Array, Device, select_rows, to_device, to_host, xp_of
from searchlab.data.batch import Batch
from searchlab.data.image_shape import ImageShape
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling, mean_and_scale
from searchlab.data.shuffled_rows import ShuffledRows
from searchlab.data.splits import Split
from searchlab.data.standardize import Standardized


class Examples(ShuffledRows):
    """Independent rows in memory with their targets.

    Args:
        x: Inputs (N, features) of float32; with `standardize` also of float64, which batches hold standardized as
            float32.
        y: Targets: classes (N,), whole numbers in [0, outputs), or numbers (N, outputs) of float32; with
            `standardize_targets` also of float64.
        outputs: Number of classes, or of numbers to predict for each row.
        image_shape: (height, width) or (height, width, channels) where each row is an image; default None.
        target_names: The name of each class or of each number to predict, (outputs,); default None.
        feature_names: The name of each input, (features,); default None.
        groups: The group of each row, whole numbers (N,); default None for independent rows.
        standardize: Whether each replica sees x with the mean and scale of its own training rows taken out; default
            False.
        standardize_targets: Whether each replica trains on numbers to predict with the mean and scale of its own
            training rows taken out; default False.

    Attributes:
        columns: Columns (N,) that are no inputs, by name, on the host: a validation scheme may read them. Empty at
            first.

    Raises:
        ValueError: When x, y and groups differ in length, groups are not whole numbers, or targets to standardize are
            classes.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Examples
        >>> data = Examples(np.ones((6, 4), np.float32), np.array([0, 1, 2, 0, 1, 2]), outputs=3)
        >>> len(data), data.sizes, data.take(np.array([5, 0])).y.tolist()
        (6, (4, 3), [2, 0])
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        outputs: int,
        *,
        image_shape: ImageShape | None = None,
        target_names: tuple[str, ...] | None = None,
        feature_names: tuple[str, ...] | None = None,
        groups: Array | None = None,
        standardize: bool = False,
        standardize_targets: bool = False,
    ) -> None:
        if len(x) != len(y):
            raise ValueError(f"x has {len(x)} rows and y has {len(y)}")
        if groups is not None and (len(groups) != len(x) or not np.issubdtype(groups.dtype, np.integer)):
            raise ValueError(f"groups are one whole number for each of {len(x)} rows")
        if standardize_targets and np.issubdtype(y.dtype, np.integer):
            raise ValueError("standardize_targets needs numbers to predict, and these targets are classes")
        self.x, self.y, self.outputs = x, y, outputs
        self.standardize_targets, self.feature_names = standardize_targets, feature_names
        self.image_shape, self.target_names, self.standardize = image_shape, target_names, standardize
        self.columns: dict[str, Array] = {}
        self._groups = None if groups is None else to_host(groups)
        # by the name of the array and the training rows: all trials of a sweep share folds
        self._moments: dict[tuple[str, bytes], tuple[Array, Array]] = {}

    @property
    def sizes(self) -> tuple[int, ...]:
        """(features, outputs)."""
        return int(self.x.shape[1]), self.outputs

    @property
    def labels(self) -> Array | None:
        """The class of each row (N,), on the host; None where targets are numbers."""
        return to_host(self.y) if np.issubdtype(self.y.dtype, np.integer) else None

    @property
    def groups(self) -> Array | None:
        """The group of each row (N,), on the host; None where rows are independent."""
        return self._groups

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: Device) -> Examples:
        """Return the same rows on the device."""
        moved = self._with(to_device(self.x, device), to_device(self.y, device), self._groups)
        moved.columns = self.columns
        return moved

    def take(self, rows: Array) -> Examples:
        """Return these rows only: row numbers (n,), on the host."""
        groups = None if self._groups is None else self._groups[rows]
        taken = self._with(select_rows(self.x, rows), select_rows(self.y, rows), groups)
        taken.columns = {name: values[rows] for name, values in self.columns.items()}
        return taken

    def fitted(self, split: Split) -> LoadedDataset:
        """Return these rows; standardized by the training rows of each replica where that is asked for."""
        if not self.standardize and not self.standardize_targets:
            return self
        return Standardized(
            self,
            self._scaling_of("x", split) if self.standardize else None,
            self._scaling_of("y", split) if self.standardize_targets else None,
        )

    @property
    def xp(self) -> Any:
        """The array module of the rows, numpy or cupy."""
        return xp_of(self.x)

    def gather(self, rows: Array, is_real: Array | None = None) -> Batch:
        """Return the batch of these rows (R, B); those that do not count have weight 0."""
        return Batch(self.x.take(rows, axis=0), self.y.take(rows, axis=0), is_real)

    def checksum(self) -> str:
        """Return the SHA-256 of the inputs, the targets, and the groups where there are any."""
        digest = hashlib.sha256()
        for array in (self.x, self.y, self._groups):
            if array is not None:
                digest.update(np.ascontiguousarray(to_host(array)).tobytes())
        return digest.hexdigest()

    def _with(self, x: Array, y: Array, groups: Array | None) -> Examples:
        return Examples(
            x,
            y,
            self.outputs,
            image_shape=self.image_shape,
            target_names=self.target_names,
            feature_names=self.feature_names,
            groups=groups,
            standardize=self.standardize,
            standardize_targets=self.standardize_targets,
        )

    def _scaling_of(self, name: str, split: Split) -> Scaling:
        """Return the mean and scale (R, columns) of an attribute's array on the training rows of each replica."""
        train = zip(split.train.index, split.train.counts, strict=True)
        means, scales = zip(*[self._moments_of(name, rows[:count]) for rows, count in train], strict=True)
        xp = xp_of(self.x)
        return Scaling(xp.stack(means), xp.stack(scales))

    def _moments_of(self, name: str, rows: Array) -> tuple[Array, Array]:
        key = name, hashlib.sha256(np.ascontiguousarray(rows).tobytes()).digest()
        if key not in self._moments:
            self._moments[key] = mean_and_scale(getattr(self, name), rows)
        return self._moments[key]

"""Independent rows, each with one class or with numbers to predict: the data of classifiers and of regression."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from searchlab.backend import Array, Device, select, to_device, to_host, xp_of
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset as LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.data.standardize import Standardized, moments
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import Replicas

ROWS_AT_ONCE = 128  # scored in one pass: what a layer makes of them still lies in the cache for the next


class Examples:
    """Rows x (N, features) of float32 and what a model with this many `outputs` should say to them.

    Targets y are classes (N,), whole numbers in [0, outputs), or numbers (N, outputs) of float32. `image` is (height,
    width) where a row is a picture, `names` what each output stands for, `groups` (N,) the whole number of each row's
    group. With `standardize`, every replica sees x with the mean and scale of its own training rows taken out.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        outputs: int,
        *,
        image: tuple[int, int] | None = None,
        names: tuple[str, ...] | None = None,
        groups: Array | None = None,
        standardize: bool = False,
    ) -> None:
        if len(x) != len(y):
            raise ValueError(f"{len(x)} rows and {len(y)} targets")
        if groups is not None and (len(groups) != len(x) or not np.issubdtype(groups.dtype, np.integer)):
            raise ValueError(f"groups are a whole number for each of {len(x)} rows")
        self.x, self.y, self.outputs = x, y, outputs
        self.image, self.names, self.standardize = image, names, standardize
        self._groups = None if groups is None else to_host(groups)
        self._moments: dict[bytes, tuple[Array, Array]] = {}  # by fold: every trial of a sweep asks for the same few

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

    @property
    def ordered(self) -> bool:
        """False: no row follows from another."""
        return False

    @property
    def validation(self) -> Array | None:
        """None: the rows have no part of their own to be judged by."""
        return None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """None: rows are not tokens."""
        return None

    @property
    def scaling(self) -> tuple[Array, Array] | None:
        """None: inputs are seen as they are, until fitted."""
        return None

    def __len__(self) -> int:
        return len(self.x)

    def on(self, device: Device) -> Examples:
        """The same rows on the device."""
        return self._with(to_device(self.x, device), to_device(self.y, device), self._groups)

    def take(self, rows: Array) -> Examples:
        """These rows only, as a table of their own."""
        groups = None if self._groups is None else self._groups[rows]
        return self._with(select(self.x, rows), select(self.y, rows), groups)

    def fitted(self, split: Split) -> LoadedDataset:
        """The same rows; with `standardize`, as a Standardized by the training rows of each replica."""
        if not self.standardize:
            return self
        fits = [
            self._moments_of(rows[:count]) for rows, count in zip(split.train.index, split.train.counts, strict=True)
        ]
        xp = xp_of(self.x)
        return Standardized(self, *(xp.stack(parts) for parts in zip(*fits, strict=True)))

    def steps(self, split: Split, batch_size: int) -> int:
        """As many full batches as fit in the shortest fold."""
        return split.shortest // min(batch_size, split.shortest)

    def epoch(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """As many full batches as fit in the shortest fold, each replica's rows shuffled by its own seed.

        The data is shared: a step gathers its own B rows per replica and nothing is copied R times.
        """
        size, steps = min(batch_size, split.shortest), self.steps(split, batch_size)
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
        """SHA-256 of the inputs, the targets, and the groups where there are any."""
        digest = hashlib.sha256()
        for array in (self.x, self.y, self._groups):
            if array is not None:
                digest.update(np.ascontiguousarray(to_host(array)).tobytes())
        return digest.hexdigest()

    def _with(self, x: Array, y: Array, groups: Array | None) -> Examples:
        return Examples(
            x, y, self.outputs, image=self.image, names=self.names, groups=groups, standardize=self.standardize
        )

    def _moments_of(self, rows: Array) -> tuple[Array, Array]:
        key = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).digest()
        if key not in self._moments:
            self._moments[key] = moments(self.x, rows)
        return self._moments[key]

    def _gather(self, rows: Array, weight: Array | None = None) -> Batch:
        return Batch(self.x.take(rows, axis=0), self.y.take(rows, axis=0), weight)

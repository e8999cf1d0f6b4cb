"""Independent rows that are read in shuffled batches: what tables and pairs of sequences have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from searchlab.backend import Array, to_device
from searchlab.data.batch import Batch
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import Replicas

SCORING_BATCH_SIZE = 128  # small enough that a layer's output is still in the CPU cache when the next layer reads it


class ShuffledRows(ABC):
    """Independent rows in memory, of which each replica reads its own batches in its own order.

    The rows are shared: a step gathers B rows for each replica, and nothing is copied R times.
    """

    @property
    @abstractmethod
    def xp(self) -> Any:
        """The array module of the rows, numpy or cupy."""

    @abstractmethod
    def gather(self, rows: Array, is_real: Array | None = None) -> Batch:
        """Return the batch of these rows.

        Args:
            rows: Row numbers (R, B), on the device of the rows.
            is_real: Which of them count, booleans (R, B), on the same device; None where all do.
        """

    @property
    def labels(self) -> Array | None:
        """The class of each row (N,), on the host; None where targets are not classes."""
        return None

    @property
    def groups(self) -> Array | None:
        """The group of each row (N,), on the host; None where rows are independent."""
        return None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens of the targets; None where rows are not tokens."""
        return None

    @property
    def scaling(self) -> Scaling | None:
        """None: inputs are seen as they are; `fitted` may standardize them."""
        return None

    @property
    def target_scaling(self) -> Scaling | None:
        """None: targets are seen as they are; `fitted` may standardize them."""
        return None

    @property
    def is_ordered(self) -> bool:
        """False: rows are independent and may be shuffled."""
        return False

    @property
    def validation_rows(self) -> Array | None:
        """None: the data has no validation part of its own."""
        return None

    def steps_per_epoch(self, split: Split, batch_size: int) -> int:
        """Return how many full batches an epoch has, by the rows that every fold reads."""
        return split.epoch_rows // min(batch_size, split.epoch_rows)

    def training_batches(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Yield the full batches of an epoch, each replica's rows shuffled by its own seed."""
        size, steps = min(batch_size, split.epoch_rows), self.steps_per_epoch(split, batch_size)
        order = replicas.permutations(split.train.counts, steps * size)  # (R, steps * size)
        rows = to_device(np.take_along_axis(split.train.index, order, axis=1), replicas.device)
        for start in range(0, steps * size, size):
            yield self.gather(rows[:, start : start + size])

    def scoring_batches(self, rows: Rows) -> Iterator[Batch]:
        """Yield all these rows once, in order; padding does not count.

        The batch size does not depend on the number of replicas: BLAS rounds a product of few rows differently.
        """
        xp, width = self.xp, rows.index.shape[1]
        is_real = np.arange(width) < rows.counts[:, None]  # (R, width)
        for start in range(0, width, SCORING_BATCH_SIZE):
            part = slice(start, start + SCORING_BATCH_SIZE)
            counted = None if is_real[:, part].all() else xp.asarray(is_real[:, part])
            yield self.gather(xp.asarray(rows.index[:, part]), counted)

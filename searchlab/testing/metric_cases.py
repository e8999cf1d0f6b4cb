"""Batches and models with known predictions, of rows and of token streams: the contract of a metric measures them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.nn.module import Model
from searchlab.testing.fixed_models import EchoModel, TableModel
from searchlab.testing.replica_rows import ALL_REPLICAS, select_batch

TARGETS = 24  # rows, or time steps of a stream
OUTPUTS = 4  # classes where not told, numbers to predict, or words
STREAMS = 2  # sequences in a batch of tokens
LABEL_BONUS = 5.0  # added to the score of each label: nearly all predictions are then right
BATCH_SIZE = 7  # rows or time steps in a batch, where there are several


@dataclass(frozen=True)
class MetricCase(ABC):
    """A batch, and a model whose predictions for it are known."""

    batch: Batch

    @abstractmethod
    def model(self) -> Model:
        """Return the model."""

    @abstractmethod
    def improved(self) -> MetricCase:
        """Return the same case with predictions that are nearly all right."""

    @abstractmethod
    def padded(self, count: int) -> MetricCase:
        """Return the same case where only the first `count` targets of replica 0 count."""

    @abstractmethod
    def with_nan(self, replica: int) -> MetricCase:
        """Return the same case with a NaN among the predictions of this replica."""

    def select(self, rows: Sequence[int]) -> MetricCase:
        """Return the same case for these replicas only."""
        return replace(self, batch=select_batch(self.batch, rows))

    def batches(self, size: int = BATCH_SIZE, end: int = TARGETS) -> list[Batch]:
        """Return the targets up to `end` in batches of this size along axis 1."""
        x, y, weight = self.batch.x, self.batch.y, self.batch.weight
        cuts = [slice(start, min(start + size, end)) for start in range(0, end, size)]
        return [Batch(x[:, cut], y[:, cut], None if weight is None else weight[:, cut]) for cut in cuts]


@dataclass(frozen=True)
class RowCase(MetricCase):
    """Rows with labels (R, B), or with numbers (R, B, outputs) as targets."""

    @classmethod
    def random(cls, labels: bool, outputs: int = OUTPUTS) -> RowCase:
        """Return normal scores for random targets: so many classes, or numbers to predict."""
        generator = np.random.default_rng(0)
        x = generator.standard_normal((len(ALL_REPLICAS), TARGETS, outputs)).astype(np.float32)
        if not labels:
            return cls(Batch(x, generator.standard_normal(x.shape).astype(np.float32)))
        return cls(Batch(x, generator.integers(outputs, size=x.shape[:-1])))

    def model(self) -> Model:
        return EchoModel()

    def improved(self) -> MetricCase:
        x, y = self.batch.x, self.batch.y
        bonus = np.eye(x.shape[-1], dtype=np.float32) * LABEL_BONUS
        better = (x + y) / np.float32(2.0) if y.ndim == x.ndim else x + bonus[y]
        return replace(self, batch=Batch(better.astype(np.float32), y))

    def padded(self, count: int) -> MetricCase:
        weight = np.ones(self.batch.x.shape[:2], dtype=bool)
        weight[0, count:] = False
        return replace(self, batch=replace(self.batch, weight=weight))

    def with_nan(self, replica: int) -> MetricCase:
        x = self.batch.x.copy()
        x[replica, 3, -1] = np.nan
        return replace(self, batch=replace(self.batch, x=x))


@dataclass(frozen=True)
class TokenCase(MetricCase):
    """A stream of tokens (R, T, B), and the table by which its model scores the next one."""

    table: Array
    label_bonus: float = 0.0

    @classmethod
    def random(cls) -> TokenCase:
        """Return random tokens, each the target of the one before it."""
        generator = np.random.default_rng(0)
        tokens = generator.integers(OUTPUTS, size=(len(ALL_REPLICAS), TARGETS + 1, STREAMS))
        table = generator.standard_normal((len(ALL_REPLICAS), OUTPUTS, OUTPUTS)).astype(np.float32)
        return cls(Batch(tokens[:, :-1], tokens[:, 1:]), table)

    def model(self) -> Model:
        return TableModel(self.table, self.label_bonus)

    def improved(self) -> MetricCase:
        return replace(self, label_bonus=LABEL_BONUS)

    def padded(self, count: int) -> MetricCase:
        y = self.batch.y.copy()
        y[0, count:] = IGNORED
        return replace(self, batch=replace(self.batch, y=y))

    def with_nan(self, replica: int) -> MetricCase:
        table = self.table.copy()
        table[replica, self.batch.x[replica, 3, 0]] = np.nan
        return replace(self, table=table)

    def select(self, rows: Sequence[int]) -> MetricCase:
        return replace(self, batch=select_batch(self.batch, rows), table=self.table[list(rows)])

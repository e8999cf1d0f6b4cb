"""What the contract of a metric is asked with: models told what to say, of rows or of a stream of tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.nn.module import Carry, Model
from searchlab.testing.lanes import TOGETHER, lanes

TARGETS, OUTPUTS, LANES = 24, 4, 2  # rows or moments, classes or words, sequences side by side
SURE = 5.0  # added to the score at each label: predictions that are nearly all right
REMEMBERED = 0.25  # added to the score of a word each time it has come before
PART = 7  # rows or moments in a batch, where there are several


class Told(Model):
    """A model whose scores are its inputs."""

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        raise AssertionError("a metric is asked with what a model says of rows: model.predict")

    def backward(self) -> None:
        raise AssertionError("a metric teaches nothing")

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return batch.x, None


class Foretold(Model):
    """A model that scores the next word by a table (R, V, V) and by how often each has come before: its carry."""

    def __init__(self, table: Array, sure: float = 0.0) -> None:
        self.table, self.sure = table, sure

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        assert not train, "a metric judges a model as it is when it does not train: train=False"
        (scores, carry), counted = self.predict(batch, carry), batch.y != IGNORED
        scores = scores - scores.max(axis=-1, keepdims=True)
        at_label = np.take_along_axis(scores, np.maximum(batch.y, 0)[..., None], axis=-1)[..., 0]
        losses = (np.log(np.exp(scores).sum(axis=-1)) - at_label) * counted  # (R, T, B)
        loss: Array = losses.sum(axis=(1, 2)) / np.maximum(counted.sum(axis=(1, 2)), 1)
        return loss.astype(np.float32), carry

    def backward(self) -> None:
        raise AssertionError("a metric teaches nothing")

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        came, lane = np.eye(self.table.shape[-1], dtype=np.float32), np.arange(len(self.table))[:, None, None]
        before = 0.0 if carry is None else carry[:, None]  # (R, 1, B, V)
        times = np.cumsum(came[batch.x], axis=1) + before  # (R, T, B, V)
        known = came[np.maximum(batch.y, 0)] * np.float32(self.sure)
        scores: Array = self.table[lane, batch.x] + times * np.float32(REMEMBERED) + known
        return scores, times[:, -1]


@dataclass(frozen=True)
class Asked(ABC):
    """A batch, and the model that is asked about it."""

    batch: Batch

    @abstractmethod
    def model(self) -> Model:
        """It."""

    @abstractmethod
    def better(self) -> Asked:
        """The same with predictions that are nearly all right."""

    @abstractmethod
    def padded(self, count: int) -> Asked:
        """The same with `count` rows or moments that count in replica 0, and all of them in the others."""

    @abstractmethod
    def sick(self, replica: int) -> Asked:
        """The same with a NaN among this replica's predictions."""

    def of(self, rows: Sequence[int]) -> Asked:
        """The same of these replicas only."""
        return replace(self, batch=lanes(self.batch, rows))

    def parts(self, size: int = PART, end: int = TARGETS) -> list[Batch]:
        """The batch up to an end, in batches of this size along axis 1."""
        x, y, weight = self.batch.x, self.batch.y, self.batch.weight
        cuts = [slice(at, min(at + size, end)) for at in range(0, end, size)]
        return [Batch(x[:, cut], y[:, cut], None if weight is None else weight[:, cut]) for cut in cuts]


@dataclass(frozen=True)
class AskedOfRows(Asked):
    """Rows with labels (R, B), or with numbers (R, B, outputs)."""

    @classmethod
    def drawn(cls, labels: bool) -> AskedOfRows:
        """Normal scores for drawn targets."""
        generator = np.random.default_rng(0)
        x = generator.standard_normal((len(TOGETHER), TARGETS, OUTPUTS)).astype(np.float32)
        if not labels:
            return cls(Batch(x, generator.standard_normal(x.shape).astype(np.float32)))
        return cls(Batch(x, generator.integers(OUTPUTS, size=x.shape[:-1])))

    def model(self) -> Model:
        return Told()

    def better(self) -> Asked:
        x, y = self.batch.x, self.batch.y
        nearer = (x + y) / np.float32(2.0) if y.ndim == x.ndim else x + np.eye(OUTPUTS, dtype=np.float32)[y] * SURE
        return replace(self, batch=Batch(nearer.astype(np.float32), y))

    def padded(self, count: int) -> Asked:
        weight = np.ones(self.batch.x.shape[:2], dtype=bool)
        weight[0, count:] = False
        return replace(self, batch=replace(self.batch, weight=weight))

    def sick(self, replica: int) -> Asked:
        x = self.batch.x.copy()
        x[replica, 3, 2] = np.nan
        return replace(self, batch=replace(self.batch, x=x))


@dataclass(frozen=True)
class AskedOfTokens(Asked):
    """A stream of tokens (R, T, B), and the table that its model says the next by."""

    table: Array
    sure: float = 0.0

    @classmethod
    def drawn(cls) -> AskedOfTokens:
        """Drawn tokens, each the target of the one before it."""
        generator = np.random.default_rng(0)
        tokens = generator.integers(OUTPUTS, size=(len(TOGETHER), TARGETS + 1, LANES))
        table = generator.standard_normal((len(TOGETHER), OUTPUTS, OUTPUTS)).astype(np.float32)
        return cls(Batch(tokens[:, :-1], tokens[:, 1:]), table)

    def model(self) -> Model:
        return Foretold(self.table, self.sure)

    def better(self) -> Asked:
        return replace(self, sure=SURE)

    def padded(self, count: int) -> Asked:
        y = self.batch.y.copy()
        y[0, count:] = IGNORED
        return replace(self, batch=replace(self.batch, y=y))

    def sick(self, replica: int) -> Asked:
        table = self.table.copy()
        table[replica, self.batch.x[replica, 3, 0]] = np.nan
        return replace(self, table=table)

    def of(self, rows: Sequence[int]) -> Asked:
        return replace(self, batch=lanes(self.batch, rows), table=self.table[list(rows)])

"""One measurement of a metric, which takes the loss from the forward passes that the metric makes anyway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from searchlab.backend import Array, to_device_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows
from searchlab.nn.module import Carry, Model
from searchlab.nn.target_unit import in_target_unit

if TYPE_CHECKING:
    from searchlab.metrics import Metric


class MeanLoss:
    """The mean loss of R replicas over batches, weighted by the targets that count."""

    def __init__(self) -> None:
        self._total: Any = 0.0  # (R,) after the first batch
        self._targets: Any = 0

    def add(self, loss: Array, targets: Array | int) -> None:
        """Add the mean loss (R,) of a batch, and its number of targets, one for all or (R,)."""
        self._total = self._total + loss * targets
        self._targets = self._targets + targets

    @property
    def value(self) -> Array | None:
        """The mean loss (R,); None without a batch."""
        if isinstance(self._total, float):
            return None
        mean: Array = self._total / self._targets
        return mean


class MetricPass:
    """One measurement of a metric on rows, which takes the loss from the forward passes that the metric makes anyway.

    Args:
        model: The model of R replicas.
        data: The data, fitted to the split.
        rows: The rows to measure on.

    Attributes:
        batches: Number of batches that the metric has read.
        answered: Number of batches that the metric has had predicted, decoded or passed forward.
        has_passed_forward: Whether it has had batches passed forward, which gives their loss.
        has_decoded: Whether it has had batches decoded.
    """

    def __init__(self, model: Model, data: LoadedDataset, rows: Rows) -> None:
        self.batches, self.answered = 0, 0
        self.has_passed_forward, self.has_decoded = False, False
        self._model, self._data, self._rows = model, data, rows
        self._mean, self._batches_with_loss = MeanLoss(), 0
        self._batch: Batch | None = None  # the latest batch, until the model is asked about it
        self._start = 0  # the position of its first row

    def measure(self, metric: Metric, *, takes_loss: bool) -> Array:
        """Return the score (R,); where it also takes the loss, the attributes are set."""
        with self._watched() if takes_loss else nullcontext():
            score: Array = metric.measure(in_target_unit(self._model, self._data.target_scaling), self._read())
        return score

    @property
    def loss(self) -> Array | None:
        """The mean loss (R,) on the rows; None where the metric needed no loss and no scores that give it."""
        return self._mean.value if self.batches and self._batches_with_loss == self.batches else None

    def _read(self) -> Iterator[Batch]:
        for batch in self._data.scoring_batches(self._rows):
            self.batches, self._batch = self.batches + 1, batch
            yield batch
            self._start += batch.y.shape[1]

    def _claim(self, batch: Batch) -> bool:
        """Return whether the model is asked about the latest batch for the first time."""
        is_first = batch is self._batch
        if is_first:
            self.answered, self._batch = self.answered + 1, None
        return is_first

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Replace `predict`, `forward` and `decode` of the model by ones that also add up losses; its class stays."""
        model: Any = self._model
        watchers = {"predict": self._predict, "forward": self._forward, "decode": self._decode}
        known = {name: getattr(model, name) for name in watchers if hasattr(model, name)}
        own = {name: vars(model)[name] for name in known if name in vars(model)}
        self._known = known
        for name in known:
            setattr(model, name, watchers[name])
        try:
            yield
        finally:
            for name in known:
                delattr(model, name)
            vars(model).update(own)

    def _predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        is_first = self._claim(batch)
        scores, carry = self._known["predict"](batch, carry)
        if is_first:
            self._add_scores(scores, batch)
        return scores, carry

    def _forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        is_first = self._claim(batch)
        loss, carry = self._known["forward"](batch, carry, train=train)
        if is_first and batch.weight is None and not train:
            self.has_passed_forward = True
            self._batches_with_loss += 1
            self._mean.add(loss, target_counts(batch))
        return loss, carry

    def _decode(self, batch: Batch, **options: Any) -> Any:
        self.has_decoded = self._claim(batch) or self.has_decoded
        return self._known["decode"](batch, **options)

    def _add_scores(self, scores: Array, batch: Batch) -> None:
        """Add the losses of the scores of a batch of rows; rows past the end of a fold do not count.

        The pieces between the sizes of folds are the same whichever folds are scored side by side, and so is their sum.
        """
        scaling, y, left = self._data.target_scaling, batch.y, self._rows.counts - self._start  # (R,)
        if scaling is not None:
            y = scaling.standardize(y.astype(scaling.mean.dtype))  # a copy
        width = y.shape[1]
        ends = {min(size - self._start, width) for size in self._rows.fold_sizes if size > self._start}
        for start, end in pairwise(sorted({0, *ends})):
            loss = self._model.loss_of(scores[:, start:end], y[:, start:end])
            if loss is None:
                return
            is_real = left >= end
            counts = end - start if is_real.all() else to_device_of(loss, (is_real * (end - start)).astype(loss.dtype))
            self._mean.add(loss, counts)
        self._batches_with_loss += 1


def target_counts(batch: Batch) -> Array | int:
    """Return how many targets of a batch count, (R,) for ids and one number for numbers to predict."""
    if batch.y.dtype.kind == "f":
        return int(batch.y.shape[1])
    counts: Array = (batch.y != IGNORED).reshape(len(batch.y), -1).sum(axis=1)
    return counts

"""What is measured after an epoch: scores and loss on the held-out rows, and the score on a sample of training rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from searchlab.backend import Array, to_device_of, to_host
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.nn.fitted_model import FittedModel
from searchlab.nn.module import Carry, Model
from searchlab.nn.target_unit import in_target_unit

if TYPE_CHECKING:
    from searchlab.metrics import Metric

TRAINING_SHARE = 0.05  # of the training, which the measurements besides the scores on the held-out rows may cost
MIN_SAMPLE_ROWS = 100  # fewer say little: the standard error of an accuracy of 0.9 on 100 rows is 0.03
# Costs as measured on one core for multilayer perceptrons of the digits, MNIST and the spiral, in rows of a training
# step: a step has a forward pass, and up to two products of the same size backward.
FORWARD_COST = 0.5  # of a row that is passed forward for a metric
SCORES_LOSS_COST = 0.2  # of a row whose scores are there already, for its loss
DECODING_COST = 4.0  # of a row whose target sequence is written token by token; times the beam
STEP_COST = 16.0  # of a step besides its rows: of its calls, which take longer than the rows of a small network
BATCH_COST = 16.0  # of a batch besides its rows, for a metric or for the loss of scores


@dataclass(frozen=True)
class EpochScores:
    """The scores of R replicas after an epoch, on the host.

    Attributes:
        scores: Scores (R, M) of M metrics on the held-out rows; NaN where no rows are held out.
        held_out_loss: Mean loss (R,) on the held-out rows; NaN where it was not measured.
        training_score: Score (R,) of the first metric on a sample of training rows; NaN where it was not measured.
    """

    scores: Array
    held_out_loss: Array
    training_score: Array


@dataclass(frozen=True)
class SamplePlan:
    """How many training rows are measured besides the held-out rows, and how often.

    What this costs is limited by counting rows and batches and not by a clock, so that a run that is repeated or
    resumed measures the same rows after the same epochs.

    Attributes:
        rows: Number of training rows in the sample of each replica, and of held-out rows where their loss needs a
            forward pass of its own.
        interval: Number n: they are measured after every n-th epoch.
    """

    rows: int
    interval: int

    @classmethod
    def within_share(
        cls, trained: int, held_out: int, steps: int, rows_per_batch: int, *, row_cost: float, loss_cost: float
    ) -> SamplePlan:
        """Return the most frequent plan whose sample is large enough, at a twentieth of the cost of training at most.

        The sample is as large as this allows, at most as the held-out part. It is large enough with 100 rows, or as
        many as there are held-out rows.

        Args:
            trained: Number of training rows of an epoch.
            held_out: Number of held-out rows.
            steps: Number of training steps of an epoch.
            rows_per_batch: Number of rows in a batch that is scored.
            row_cost: Cost of a row of the sample, in rows of a training step.
            loss_cost: Cost of a held-out row for its loss, where the metric gives the scores.

        Example:
            >>> from searchlab.scoring import SamplePlan
            >>> SamplePlan.within_share(1149, 287, 35, 96, row_cost=0.5, loss_cost=0.2)
            SamplePlan(rows=226, interval=3)
        """
        largest = min(held_out, trained)
        enough, share = min(MIN_SAMPLE_ROWS, largest), TRAINING_SHARE * (trained + steps * STEP_COST)
        batch_cost = BATCH_COST / rows_per_batch  # for each row
        loss = held_out * (loss_cost + batch_cost) if loss_cost else 0.0
        row = row_cost * (1.0 + batch_cost / FORWARD_COST)
        interval = math.ceil(max(1.0, (enough * row + loss) / share))
        affordable = int((interval * share - loss) / row) if row else 0
        return cls(max(enough, min(largest, affordable)), interval)


class EpochScorer:
    """The measuring of R replicas after an epoch; it draws no random numbers and changes no parameter.

    Args:
        metrics: The metrics, the primary one first.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.plan: SamplePlan | None = None  # made after the first epoch
        self._sample: Rows | None = None  # training rows of each replica
        self._loss_source: Literal["forward", "scores", "own pass"] | None = None
        self._measures_training = False

    def select_replicas(self, rows: Array) -> None:
        """Keep the samples of these replicas (kept,)."""
        self._sample = self._sample[rows] if self._sample else None

    def measure(self, model: Model, data: LoadedDataset, split: Split, epoch: int, steps: int) -> EpochScores:
        """Return what is measured after an epoch.

        Args:
            model: The model of R replicas.
            data: The data, fitted to the split.
            split: Rows of each replica, of which some are held out.
            epoch: Number of the epoch, from 1.
            steps: Number of training steps of an epoch.
        """
        passes = [MetricPass(model, data, split.held_out) for _ in self.metrics]
        is_first, is_due = self._loss_source is None, self._is_due(epoch)
        takes_loss = is_first or self._loss_source == "forward" or (is_due and self._loss_source == "scores")
        columns = [
            each.measure(metric, takes_loss=takes_loss) for metric, each in zip(self.metrics, passes, strict=True)
        ]
        if is_first:
            self._make_plan(model, data, split, steps, passes)
            is_due = self._is_due(epoch)
        loss, training = None, None
        if is_due or self._loss_source == "forward":
            loss = next((each.loss for each in passes if each.loss is not None), None)
        if is_due and self._loss_source == "own pass":
            loss = self._own_pass(model, data, split)
        if is_due and self._sample:
            training = MetricPass(model, data, self._sample).measure(self.metrics[0], takes_loss=False)
        return EpochScores(
            np.stack([to_host(column) for column in columns], axis=1).astype(np.float64),
            _on_host(loss, len(split.held_out.counts)),
            _on_host(training, len(split.held_out.counts)),
        )

    def _is_due(self, epoch: int) -> bool:
        """Return whether the loss and the sample are measured after this epoch."""
        return self.plan is not None and epoch % self.plan.interval == 0

    def _make_plan(
        self, model: Model, data: LoadedDataset, split: Split, steps: int, passes: Sequence[MetricPass]
    ) -> None:
        """Plan the sample from what the first pass of each metric has shown."""
        held_out, first = split.held_out, passes[0]
        giving = next((each for each in passes if each.loss is not None), None)
        self._loss_source = "own pass" if giving is None else "forward" if giving.has_passed_forward else "scores"
        if isinstance(model, FittedModel) or not held_out.fold_sizes[0]:  # no loss, and a single epoch
            return
        beam = int(getattr(self.metrics[0], "beam", 1))
        metric_cost = DECODING_COST * beam if first.has_decoded else FORWARD_COST
        self._measures_training = first.answered > 0
        self.plan = SamplePlan.within_share(
            split.min_train_rows,
            held_out.fold_sizes[0],
            steps,
            rows_per_batch=-(-held_out.index.shape[1] // max(1, *(each.batches for each in passes))),
            row_cost=metric_cost * self._measures_training + FORWARD_COST * (self._loss_source == "own pass"),
            loss_cost=SCORES_LOSS_COST * (self._loss_source == "scores"),
        )
        if self._measures_training:
            self._sample = sample_rows(split.train, self.plan.rows, is_ordered=data.is_ordered)

    def _own_pass(self, model: Model, data: LoadedDataset, split: Split) -> Array | None:
        """Return the loss (R,) on the first held-out rows of each replica, by a forward pass of its own."""
        count = self.plan.rows if self.plan else 0
        rows = Rows(split.held_out.index[:, :count], np.full_like(split.held_out.counts, count))
        own, carry, wrapped = MeanLoss(), None, in_target_unit(model, data.target_scaling)
        for batch in data.scoring_batches(rows):
            loss, carry = wrapped.forward(batch, carry, train=False)
            own.add(loss, _target_counts(batch))
        return own.value


def sample_rows(train: Rows, count: int, *, is_ordered: bool) -> Rows:
    """Return a sample of the training rows of each fold, the same for all folds with as many rows.

    Args:
        train: Training rows, at least `count` of each fold.
        count: Number of rows in the sample of a fold.
        is_ordered: Whether rows depend on the rows before them: the sample then is the first rows.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Rows
        >>> from searchlab.scoring import sample_rows
        >>> sample_rows(Rows.from_folds([np.arange(10, 20)]), 3, is_ordered=True).index.tolist()
        [[10, 11, 12]]
    """
    if is_ordered:
        return Rows(train.index[:, :count], np.full_like(train.counts, count))
    drawn = {size: np.sort(np.random.default_rng(0).permutation(size)[:count]) for size in set(train.counts.tolist())}
    chosen = [rows[drawn[size]] for rows, size in zip(train.index, train.counts.tolist(), strict=True)]
    return Rows(np.stack(chosen), np.full_like(train.counts, count))


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
            self._mean.add(loss, _target_counts(batch))
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


def _target_counts(batch: Batch) -> Array | int:
    """Return how many targets of a batch count, (R,) for ids and one number for numbers to predict."""
    if batch.y.dtype.kind == "f":
        return int(batch.y.shape[1])
    counts: Array = (batch.y != IGNORED).reshape(len(batch.y), -1).sum(axis=1)
    return counts


def _on_host(values: Array | None, replicas: int) -> Array:
    """Return the values (R,) on the host; NaN where there are none."""
    return np.full(replicas, np.nan) if values is None else to_host(values).astype(np.float64)

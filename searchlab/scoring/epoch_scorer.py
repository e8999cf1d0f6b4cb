"""The measuring of all replicas after an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from searchlab.backend import Array, to_host
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.nn.fitted_model import FittedModel
from searchlab.nn.module import Model
from searchlab.nn.target_unit import in_target_unit
from searchlab.scoring.metric_pass import MeanLoss, MetricPass, target_counts
from searchlab.scoring.sample_plan import DECODING_COST, FORWARD_COST, SCORES_LOSS_COST, SamplePlan, sample_rows

if TYPE_CHECKING:
    from searchlab.metrics import Metric


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


class EpochScorer:
    """The measuring of R replicas after an epoch; it draws no random numbers and changes no parameter.

    Args:
        metrics: The metrics, the primary one first.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.plan: SamplePlan | None = None  # made after the first epoch
        self._sample: Rows | None = None  # training rows of each replica
        self._loss_source: Literal["forward", "scores", "own pass", "all rows"] | None = None
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
            loss = _forward_loss(model, data, self._first_rows(split.held_out))
        if self.plan is not None and self._loss_source == "all rows":
            loss = _forward_loss(model, data, split.held_out)
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
        if giving is None:  # a forward pass costs little beside the decoding of the same rows
            self._loss_source = "all rows" if any(each.has_decoded for each in passes) else "own pass"
        else:
            self._loss_source = "forward" if giving.has_passed_forward else "scores"
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
            row_cost=metric_cost * self._measures_training + FORWARD_COST * (giving is None),
            loss_cost=SCORES_LOSS_COST * (self._loss_source == "scores"),
        )
        if self._measures_training:
            self._sample = sample_rows(split.train, self.plan.rows, is_ordered=data.is_ordered)

    def _first_rows(self, held_out: Rows) -> Rows:
        """Return as many held-out rows of each replica as the plan allows."""
        count = self.plan.rows if self.plan else 0
        return Rows(held_out.index[:, :count], np.full_like(held_out.counts, count))


def _forward_loss(model: Model, data: LoadedDataset, rows: Rows) -> Array | None:
    """Return the loss (R,) on these rows by a forward pass of its own; a decoder reads the right targets."""
    mean, carry, wrapped = MeanLoss(), None, in_target_unit(model, data.target_scaling)
    for batch in data.scoring_batches(rows):
        loss, carry = wrapped.forward(batch, carry, train=False)
        mean.add(loss, target_counts(batch))
    return mean.value


def _on_host(values: Array | None, replicas: int) -> Array:
    """Return the values (R,) on the host; NaN where there are none."""
    return np.full(replicas, np.nan) if values is None else to_host(values).astype(np.float64)

"""The baseline: what a prediction that ignores the inputs scores on the folds of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows
from searchlab.errors import UserMistake
from searchlab.metrics import AveragePrecision, DecisionMetric, Goal, LogLoss, MeanAbsoluteError, Metric, RocAuc
from searchlab.nn.module import Carry, Model
from searchlab.runs.job import Job


@dataclass(frozen=True)
class Baseline:
    """The cross-validated score of a prediction that ignores the inputs.

    Attributes:
        name: What is predicted: "the majority class", "one class" (where the threshold of the metric says which),
            "class frequencies", "the mean", "the median" or "word frequencies".
        score: Mean over folds of the primary metric.
    """

    name: str
    score: float

    def is_beaten_by(self, score: float, goal: Goal) -> bool:
        """Return whether a score is better."""
        return score > self.score if goal == "max" else score < self.score


class ConstantModel(Model):
    """R networks that give every row the same outputs.

    Args:
        outputs: The outputs (R, V): numbers, or the logarithms of probabilities.
    """

    def __init__(self, outputs: Array) -> None:
        self.outputs = outputs

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        """Return the mean cross entropy (R,) of the targets that count, in nats."""
        R = len(batch.y)
        targets = batch.y.reshape(R, -1)
        log_probabilities = self.outputs[np.arange(R)[:, None], np.maximum(targets, 0)]
        counted = targets != IGNORED
        loss: Array = -(log_probabilities * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
        return loss, None

    def backward(self) -> None:
        """Do nothing: there is nothing to train."""

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Return the outputs of every row (R, B, V)."""
        outputs: Array = self.outputs[:, None].repeat(batch.y.shape[1], axis=1)
        return outputs, None


def measure_baseline(job: Job) -> Baseline | None:
    """Return the baseline of a sweep, by its primary metric; None where no such prediction makes sense.

    It predicts every class with its frequency in each fold's training rows, the mean of their targets, their median
    where absolute errors count, or every word with its frequency. A metric of predicted classes takes the most frequent
    class, or by its threshold another one. Pairs of sequences and word vectors have none, nor has a metric that cannot
    judge it.
    """
    data, metric = job.rows.load(), job.sweep.primary_metric
    split = job.sweep.validation.split(data)
    fitted = _fit(data, split.train, metric)
    if fitted is None:
        return None
    name, model = fitted
    try:
        with np.errstate(all="ignore"):
            scores = metric.measure(model, data.scoring_batches(split.held_out))  # (K,)
    except (UserMistake, AttributeError):  # it is a metric of something else
        return None
    score = float(np.mean(scores))
    return Baseline(name, score) if np.isfinite(score) else None


def _fit(data: LoadedDataset, rows: Rows, metric: Metric) -> tuple[str, ConstantModel] | None:
    """Return the constant prediction for these rows of K folds, and what it is."""
    total, count = np.zeros((len(rows.counts), data.sizes[-1])), np.zeros((len(rows.counts), 1))
    is_number, is_text = False, False
    for batch in data.scoring_batches(rows):
        if batch.decoder_inputs is not None or batch.frequencies is not None:
            return None
        is_number, is_text = batch.y.dtype.kind == "f", batch.y.ndim == 3
        if is_number:
            weight = np.ones(batch.y.shape[:2]) if batch.weight is None else batch.weight
            total += (batch.y * weight[..., None]).sum(axis=1)
            count += weight.sum(axis=1, keepdims=True)
        else:
            total += _label_counts(batch, data.sizes[-1])
    if is_number and isinstance(metric, MeanAbsoluteError):
        return "the median", ConstantModel(_medians(data, rows))
    if is_number:
        return "the mean", ConstantModel(total / np.maximum(count, 1.0))
    smoothed = total + 1.0  # a word of the held-out rows may not occur in the others
    log_shares = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    return "word frequencies" if is_text else _name_of_classes(metric, data.sizes[-1]), ConstantModel(log_shares)


def _name_of_classes(metric: Metric, classes: int) -> str:
    """Return what a metric makes of the frequencies of classes."""
    if isinstance(metric, (LogLoss, RocAuc, AveragePrecision)):
        return "class frequencies"
    is_by_threshold = isinstance(metric, DecisionMetric) and metric.threshold == "best" and classes == 2
    return "one class" if is_by_threshold else "the majority class"


def _medians(data: LoadedDataset, rows: Rows) -> Array:
    """Return the median (R, V) of the targets of each fold's rows."""
    targets = np.concatenate([batch.y for batch in data.scoring_batches(rows)], axis=1)  # (R, N, V)
    own = zip(targets, rows.counts, strict=True)
    return np.stack([np.median(values[:count], axis=0) for values, count in own])


def _label_counts(batch: Batch, size: int) -> Array:
    """Return how often each label occurs among the targets that count, (R, size)."""
    weights = np.ones_like(batch.y, dtype=np.float64) if batch.weight is None else batch.weight
    weights = (weights * (batch.y != IGNORED)).reshape(len(batch.y), -1)
    labels = np.maximum(batch.y, 0).reshape(len(batch.y), -1)
    return np.stack([np.bincount(y, w, minlength=size) for y, w in zip(labels, weights, strict=True)])

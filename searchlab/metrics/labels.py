"""The scores and the labels of batches, as the metrics of classes read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array, to_device_of, to_host, xp_of
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.metrics.metric import Metric
from searchlab.nn.module import Model


@dataclass(frozen=True)
class LabelBatch:
    """The scores of a batch, on the device of the model.

    Attributes:
        scores: Scores (R, B, C).
        labels: Labels (R, B).
        weights: Weights (R, B) of float64, 0 where a row does not count.
    """

    scores: Array
    labels: Array
    weights: Array

    @property
    def nan_or_zero(self) -> Array:
        """0 for each row whose scores are finite, and NaN for the others, (R, B) of float64."""
        nothing: Array = self.scores.sum(axis=-1).astype(np.float64) * 0.0
        return nothing


@dataclass(frozen=True)
class ReplicaRows:
    """The rows of one replica that count, on the host.

    Attributes:
        scores: Scores (N, C) of float64.
        labels: Labels (N,).
        weights: Weights (N,), none of them 0.
    """

    scores: Array
    labels: Array
    weights: Array

    @property
    def is_measurable(self) -> bool:
        """Whether there is a row, and all scores are finite."""
        return bool(len(self.scores)) and bool(np.isfinite(self.scores).all())


def label_batches(metric: Metric, model: Model, batches: Iterable[Batch]) -> Iterator[LabelBatch]:
    """Yield the scores of each batch.

    Args:
        metric: The metric that reads them; its name is in the message.
        model: The model of R replicas.
        batches: Batches with labels (R, B).

    Raises:
        UserMistake: When the targets are not labels of rows.
    """
    name = type(metric).__name__
    for batch in batches:
        if batch.y.dtype.kind == "f":
            raise UserMistake(f"{name} needs labels, and the targets of this data are numbers; use MeanAbsoluteError.")
        if batch.decoder_inputs is not None:
            raise UserMistake(f"{name} needs labels of rows, and this data has sequences; use ExactMatch.")
        if batch.y.ndim > 2:
            raise UserMistake(f"{name} needs labels of rows, and this data is a stream of tokens; use Perplexity.")
        scores, _ = model.predict(batch)
        weights = xp_of(scores).ones(batch.y.shape) if batch.weight is None else batch.weight.astype(np.float64)
        yield LabelBatch(scores, batch.y, weights)


def gather_rows(batches: Iterable[LabelBatch]) -> tuple[list[ReplicaRows], Array]:
    """Return the rows of each replica, and the scores of the last batch, which are on the device of the model.

    A metric of ranks needs all rows at once: it sorts them on the host, once in an epoch.
    """
    parts, scores = list[tuple[Array, Array, Array]](), np.zeros((0, 0, 0))
    for batch in batches:
        scores = batch.scores
        parts.append((to_host(scores).astype(np.float64), to_host(batch.labels), to_host(batch.weights)))
    joined = [np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)]
    rows = [
        ReplicaRows(own[weights > 0.0], labels[weights > 0.0], weights[weights > 0.0])
        for own, labels, weights in zip(*joined, strict=True)
    ]
    return rows, scores


def on_device_of(scores: Array, values: Sequence[float]) -> Array:
    """Return one value for each replica (R,) of float64, on the device of the scores."""
    return to_device_of(scores, np.array(values, dtype=np.float64))

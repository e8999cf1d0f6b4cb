"""Divergence: replicas whose loss or scores are not finite, or whose loss is far above that of an untrained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from searchlab.backend import Array, to_host, xp_of
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split

MAX_LOSS_GROWTH = 100.0  # loss of an epoch relative to the reference loss: a run that learns never has a larger one


def divergence_reasons(
    epoch: int, losses: Array, scores: Array, metrics: Sequence[str], reference: Array
) -> list[str | None]:
    """Return why each of R replicas has diverged; None for a replica that has not.

    Args:
        epoch: Number of the epoch, from 1.
        losses: Mean training losses (R,) of the epoch.
        scores: Scores (R, M) on the held-out rows.
        metrics: Names of the M metrics; empty where no rows are held out.
        reference: Losses (R,) of an untrained network.
    """
    return [
        _failure_reason(epoch, float(loss), dict(zip(metrics, row.tolist(), strict=False)), float(untrained))
        for loss, row, untrained in zip(losses, scores, reference, strict=True)
    ]


def constant_prediction_loss(data: LoadedDataset, split: Split) -> Array:
    """Return the training loss (R,) of a prediction that ignores the inputs, on the host.

    For classes and tokens, this is the cross entropy of equal probabilities, log(outputs). For numbers, it is the mean
    squared error of the mean, which is 1 where targets are standardized, and of 0 where they are not.
    """
    has_tokens = data.is_ordered or getattr(data, "vocabulary", None) is not None  # custom data may not have it
    if data.labels is not None or has_tokens:
        return np.full(split.folds, np.log(max(data.sizes[-1], 2)))
    if data.target_scaling is not None:
        return np.ones(split.folds)
    squares, total = np.zeros(split.folds), np.zeros(split.folds)
    for batch in data.scoring_batches(split.train):
        errors = (batch.y.astype(np.float64) ** 2).mean(axis=-1)  # (R, B)
        weight = xp_of(errors).ones_like(errors) if batch.weight is None else batch.weight
        squares += to_host((errors * weight).sum(axis=1))
        total += to_host(weight.sum(axis=1))
    mean: Array = squares / total
    return mean


def _failure_reason(epoch: int, loss: float, scores: Mapping[str, float], untrained: float) -> str | None:
    if not np.isfinite(loss):
        return f"diverged in epoch {epoch}: the training loss is {loss}"
    for metric, score in scores.items():
        if not np.isfinite(score):
            return f"diverged in epoch {epoch}: the {metric} is {score}"
    if epoch > 1 and loss > MAX_LOSS_GROWTH * max(untrained, 1e-3):
        return f"diverged in epoch {epoch}: the training loss is {loss:.3g}, and {untrained:.3g} without training"
    return None

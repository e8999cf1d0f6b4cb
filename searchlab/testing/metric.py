"""The contract of a metric."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.metrics import Metric
from searchlab.nn.layer import Carry, Model
from searchlab.testing.lanes import SURVIVORS, TOGETHER, lanes, rows_of, same_bits

TARGETS, OUTPUTS = 24, 4
SURE = 5.0  # added to the score at each label: predictions that are nearly all right


def check_metric(metric: Metric, *, labels: bool = True) -> None:
    """The metric judges what a model says (R, B, outputs): one number per replica, better in the way it says.

    It is asked with labels (R, B), or with targets (R, B, outputs) where `labels` is False.

    Rows may come in any number of batches; rows of weight 0 do not count; NaN scores give NaN in that replica and
    change no other. Raises AssertionError saying which rule broke.
    """
    assert isinstance(metric.name, str), f"a metric's name is a word, not {metric.name!r}"
    assert metric.name, "a metric has a name"
    assert metric.goal in ("max", "min"), f'a metric\'s goal is "max" or "min", not {metric.goal!r}'
    batch = _answers(labels)
    scores = _measure(metric, [batch])
    assert scores.shape == (len(TOGETHER),), f"one score per replica, ({len(TOGETHER)},); got {scores.shape}"
    assert np.issubdtype(scores.dtype, np.floating), f"scores are floating-point numbers, not {scores.dtype}"
    assert np.isfinite(scores).all(), f"finite predictions score {scores}"
    _goal_is_true(metric, batch, scores)
    _batches_do_not_matter(metric, batch, scores)
    _padding_does_not_count(metric, batch, scores)
    _nan_stays_in_its_lane(metric, batch, scores)
    for rows in ((0,), (1,), SURVIVORS):
        alone = {"the score": _measure(metric, [lanes(batch, rows)])}
        same_bits(alone, rows_of({"the score": scores}, rows), f"replicas {rows} measured without the others")


class _Told(Model):
    """A model whose scores are its inputs."""

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        raise NotImplementedError("a metric asks a model to predict")

    def backward(self) -> None:
        raise NotImplementedError("a metric asks a model to predict")

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return batch.x, None


def _answers(labels: bool) -> Batch:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((len(TOGETHER), TARGETS, OUTPUTS)).astype(np.float32)
    if not labels:
        return Batch(x, generator.standard_normal(x.shape).astype(np.float32))
    return Batch(x, generator.integers(OUTPUTS, size=x.shape[:-1]))


def _measure(metric: Metric, batches: Iterable[Batch]) -> Array:
    with np.errstate(all="ignore"):  # as the trainer measures
        return metric.measure(_Told(), batches)


def _goal_is_true(metric: Metric, batch: Batch, scores: Array) -> None:
    if batch.y.ndim == batch.x.ndim:
        nearer = (batch.x + batch.y) / np.float32(2.0)
    else:
        nearer = batch.x + np.eye(OUTPUTS, dtype=np.float32)[batch.y] * np.float32(SURE)
    better = _measure(metric, [Batch(nearer, batch.y)])
    gained = better > scores if metric.goal == "max" else better < scores
    assert gained.all(), f"goal is {metric.goal!r}, and predictions made better went from {scores} to {better}"


def _batches_do_not_matter(metric: Metric, batch: Batch, scores: Array) -> None:
    parts = [Batch(batch.x[:, s : s + 7], batch.y[:, s : s + 7]) for s in range(0, TARGETS, 7)]
    parted = _measure(metric, parts)
    assert np.allclose(parted, scores, rtol=1e-5), f"in one batch the scores are {scores}, in several {parted}"


def _padding_does_not_count(metric: Metric, batch: Batch, scores: Array) -> None:
    """Replica 0 has 10 rows that count and the others all: it must score as with these 10 alone."""
    weight = np.ones(batch.x.shape[:2], dtype=bool)
    weight[0, 10:] = False
    padded = _measure(metric, [Batch(batch.x, batch.y, weight)])
    short = _measure(metric, [Batch(batch.x[:1, :10], batch.y[:1, :10])])
    expected = np.concatenate([short, scores[1:]])
    assert np.allclose(padded, expected, rtol=1e-5), f"with rows of weight 0 the scores are {padded}, not {expected}"


def _nan_stays_in_its_lane(metric: Metric, batch: Batch, scores: Array) -> None:
    x = batch.x.copy()
    x[1, 3, 2] = np.nan
    sick = _measure(metric, [Batch(x, batch.y)])
    assert np.isnan(sick[1]), f"a replica with a NaN among its predictions scores {sick[1]}, and NaN is due"
    others = (0, 2)
    same_bits(
        rows_of({"the score": sick}, others),
        rows_of({"the score": scores}, others),
        "with NaN in the predictions of replica 1, another replica",
    )

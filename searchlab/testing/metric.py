"""The contract of a metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.metrics import Metric
from searchlab.testing.lanes import SURVIVORS, TOGETHER, rows_of, same_bits
from searchlab.testing.told import Asked, AskedOfRows, AskedOfTokens

SHORT = 10  # rows or moments that count in the replica with the fewest


def check_metric(metric: Metric, *, labels: bool = True, tokens: bool = False) -> None:
    """The metric judges what a model says (R, B, outputs): one number per replica, better in the way it says.

    It is asked with labels (R, B), or with targets (R, B, outputs) where `labels` is False, or with `tokens` (R, T, B)
    of a stream, where it may ask the model for scores or for losses, and hands it the carry from batch to batch.

    Rows may come in any number of batches; rows of weight 0 and targets IGNORED do not count; NaN scores give NaN in
    that replica and change no other. Raises AssertionError saying which rule broke.
    """
    assert isinstance(metric.name, str), f"a metric's name is a word, not {metric.name!r}"
    assert metric.name, "a metric has a name"
    assert metric.goal in ("max", "min"), f'a metric\'s goal is "max" or "min", not {metric.goal!r}'
    asked = AskedOfTokens.drawn() if tokens else AskedOfRows.drawn(labels)
    scores = _measure(metric, asked)
    assert scores.shape == (len(TOGETHER),), f"one score per replica, ({len(TOGETHER)},); got {scores.shape}"
    assert np.issubdtype(scores.dtype, np.floating), f"scores are floating-point numbers, not {scores.dtype}"
    assert np.isfinite(scores).all(), f"finite predictions score {scores}"
    _goal_is_true(metric, asked, scores)
    _batches_do_not_matter(metric, asked, scores)
    _padding_does_not_count(metric, asked, scores)
    _nan_stays_in_its_lane(metric, asked, scores)
    for rows in ((0,), (1,), SURVIVORS):
        alone = {"the score": _measure(metric, asked.of(rows))}
        same_bits(alone, rows_of({"the score": scores}, rows), f"replicas {rows} measured without the others")


def _measure(metric: Metric, asked: Asked, batches: Sequence[Batch] | None = None) -> Array:
    """What the metric says of some of the batches, or of all that is asked in one."""
    with np.errstate(all="ignore"):  # as the trainer measures
        return metric.measure(asked.model(), batches or [asked.batch])


def _goal_is_true(metric: Metric, asked: Asked, scores: Array) -> None:
    better = _measure(metric, asked.better())
    gained = better > scores if metric.goal == "max" else better < scores
    assert gained.all(), f"goal is {metric.goal!r}, and predictions made better went from {scores} to {better}"


def _batches_do_not_matter(metric: Metric, asked: Asked, scores: Array) -> None:
    parted = _measure(metric, asked, asked.parts())
    assert np.allclose(parted, scores, rtol=1e-5), f"in one batch the scores are {scores}, in several {parted}"


def _padding_does_not_count(metric: Metric, asked: Asked, scores: Array) -> None:
    """Replica 0 has 10 rows that count and the others all: it must score as with these 10 alone."""
    short = _measure(metric, asked.of((0,)), asked.of((0,)).parts(SHORT, SHORT))
    expected, padded = np.concatenate([short, scores[1:]]), asked.padded(SHORT)
    for batches in ([padded.batch], padded.parts()):  # of several, the last have none that count
        found = _measure(metric, padded, batches)
        assert np.allclose(found, expected, rtol=1e-5), (
            f"with rows of weight 0, or targets IGNORED, the scores are {found}, not {expected}"
        )


def _nan_stays_in_its_lane(metric: Metric, asked: Asked, scores: Array) -> None:
    sick = _measure(metric, asked.sick(1))
    assert np.isnan(sick[1]), f"a replica with a NaN among its predictions scores {sick[1]}, and NaN is due"
    others = (0, 2)
    same_bits(
        rows_of({"the score": sick}, others),
        rows_of({"the score": scores}, others),
        "with NaN in the predictions of replica 1, another replica",
    )

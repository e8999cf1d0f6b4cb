"""The contract of a metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.metrics import Metric
from searchlab.testing.metric_cases import OUTPUTS, MetricCase, RowCase, TokenCase
from searchlab.testing.pair_case import PairCase
from searchlab.testing.replica_rows import ALL_REPLICAS, SURVIVORS, assert_identical, select_rows

SHORT = 10  # targets that count in the replica with the fewest


def check_metric(
    metric: Metric, *, labels: bool = True, tokens: bool = False, pairs: bool = False, classes: int = OUTPUTS
) -> None:
    """Check that a metric gives one number per replica, and that its goal says which way is better.

    The metric measures models of three replicas whose predictions are known. It checks that:

    - the name is text and the goal is "max" or "min";
    - the scores are one finite floating-point number per replica;
    - better predictions give better scores, as the goal says;
    - the same targets in one batch and in several give the same scores;
    - rows of weight 0, and targets IGNORED, do not count;
    - NaN among the predictions of one replica makes its score NaN and changes no other replica;
    - replicas measured without the others have the same scores, bit for bit.

    Args:
        metric: The metric.
        labels: Whether targets are labels (R, B); where False they are numbers (R, B, outputs). Default True.
        tokens: Whether targets are the tokens (R, T, B) of a stream instead; default False. The metric may then use the
            scores of `model.predict` or the loss of `model.forward`, and must pass the carry from batch to batch.
        pairs: Whether targets are sequences (R, T, B) that `model.decode` has to write; default False.
        classes: Number of classes where targets are labels; default 4.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import Accuracy, Perplexity
        >>> from searchlab.testing import check_metric
        >>> check_metric(Accuracy())
        >>> check_metric(Perplexity(), tokens=True)
    """
    assert isinstance(metric.name, str), f"the name of a metric is text, not {metric.name!r}"
    assert metric.name, "a metric has a name, which is not empty"
    assert metric.goal in ("max", "min"), f'the goal is "max" or "min", not {metric.goal!r}'
    case: MetricCase = PairCase.random() if pairs else TokenCase.random() if tokens else RowCase.random(labels, classes)
    scores = _measure(metric, case)
    assert scores.shape == (len(ALL_REPLICAS),), f"one score per replica, ({len(ALL_REPLICAS)},); got {scores.shape}"
    assert np.issubdtype(scores.dtype, np.floating), f"scores are floating-point numbers, not {scores.dtype}"
    assert np.isfinite(scores).all(), f"finite predictions have the scores {scores}"
    _check_goal(metric, case, scores)
    _check_batches(metric, case, scores)
    _check_padding(metric, case, scores)
    _check_nan_stays_in_its_replica(metric, case, scores)
    for rows in ((0,), (1,), SURVIVORS):
        alone = {"the score": _measure(metric, case.select(rows))}
        assert_identical(
            alone, select_rows({"the score": scores}, rows), f"replicas {rows} measured without the others"
        )


def _measure(metric: Metric, case: MetricCase, batches: Sequence[Batch] | None = None) -> Array:
    """Return the scores over these batches, or over the single batch of the case."""
    with np.errstate(all="ignore"):  # as the trainer measures
        return metric.measure(case.model(), batches or [case.batch])


def _check_goal(metric: Metric, case: MetricCase, scores: Array) -> None:
    improved = _measure(metric, case.improved())
    is_better = improved > scores if metric.goal == "max" else improved < scores
    assert is_better.all(), f"the goal is {metric.goal!r}, and better predictions change scores {scores} to {improved}"


def _check_batches(metric: Metric, case: MetricCase, scores: Array) -> None:
    parts = _measure(metric, case, case.batches())
    assert np.allclose(parts, scores, rtol=1e-5), f"in one batch the scores are {scores}, in several {parts}"


def _check_padding(metric: Metric, case: MetricCase, scores: Array) -> None:
    """Check that replica 0, of which only 10 targets count, scores as with these 10 alone."""
    short = _measure(metric, case.select((0,)), case.select((0,)).batches(SHORT, SHORT))
    expected, padded = np.concatenate([short, scores[1:]]), case.padded(SHORT)
    for batches in ([padded.batch], padded.batches()):  # of several, the last have no target that counts
        actual = _measure(metric, padded, batches)
        assert np.allclose(actual, expected, rtol=1e-5), (
            f"with rows of weight 0, or targets IGNORED, the scores are {actual}, not {expected}"
        )


def _check_nan_stays_in_its_replica(metric: Metric, case: MetricCase, scores: Array) -> None:
    with_nan = _measure(metric, case.with_nan(1))
    assert np.isnan(with_nan[1]), f"a replica with NaN among its predictions has the score {with_nan[1]}, expected NaN"
    others = (0, 2)
    assert_identical(
        select_rows({"the score": with_nan}, others),
        select_rows({"the score": scores}, others),
        "with NaN in the predictions of replica 1 and without it, another replica",
    )

"""Metrics of predicted classes: the right ones among the rows of each class, and among those predicted to be in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np

from searchlab.backend import Array, xp_of
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.metrics.labels import LabelBatch, ReplicaRows, gather_rows, label_batches, on_device_of
from searchlab.metrics.metric import Goal, Metric
from searchlab.metrics.threshold import best_threshold, cross_fitted_decisions
from searchlab.nn.class_probabilities import positive_probability
from searchlab.nn.module import Model

Average: TypeAlias = Literal["auto", "binary", "macro", "micro", "weighted"]
Threshold: TypeAlias = float | Literal["best"]


class DecisionMetric(ABC):
    """A metric of predicted classes: of two classes a threshold decides, of more the largest score.

    Attributes:
        threshold: The probability from which on a row is in class 1, or "best".
        name: Name in tables and figures.
        goal: Which way is better.
    """

    threshold: Threshold
    name: str
    goal: Goal

    @abstractmethod
    def score(self, hits: Array, predicted: Array, actual: Array) -> Array:
        """Return scores (...) from weighted numbers of rows of each class (..., C).

        Args:
            hits: Rows that are predicted right.
            predicted: Rows that are predicted to be in the class.
            actual: Rows that are in the class.
        """

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the score (R,); NaN where a score of a replica is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with labels (R, B).

        Raises:
            UserMistake: When the targets are not labels of rows, or the number of classes does not fit.
        """
        read = label_batches(self, model, batches)
        first = next(read)
        self.check_classes(first.scores.shape[-1])
        every = chain([first], read)
        if self.threshold == "best" and first.scores.shape[-1] == 2:
            rows, scores = gather_rows(every)
            return on_device_of(scores, [self._cross_fitted_score(own) for own in rows])
        return self._score_of_batches(every)

    def choose_threshold(self, model: Model, batches: Iterable[Batch]) -> float:
        """Return the threshold with the best score on the rows of all replicas together: its own, where it is a number.

        Args:
            model: The model of R replicas.
            batches: Batches with labels (R, B) of two classes.
        """
        if not isinstance(self.threshold, str):
            return float(self.threshold)
        rows, _ = gather_rows(label_batches(self, model, batches))
        scores, labels, weights = (
            np.concatenate([getattr(own, name) for own in rows]) for name in ("scores", "labels", "weights")
        )
        return best_threshold(positive_probability(scores), labels, weights, self.score)

    def with_threshold(self, threshold: Threshold) -> Self:
        """Return the same metric with this threshold."""
        return replace(self, threshold=threshold)  # type: ignore[type-var]  # subclasses are dataclasses

    def check_classes(self, classes: int) -> None:
        """Raise UserMistake where the metric does not apply to so many classes."""
        if classes != 2 and self.threshold != "best":
            raise UserMistake(
                f"{type(self).__name__}(threshold={self.threshold!r}) needs two classes, and this data has {classes}."
            )

    def _cross_fitted_score(self, rows: ReplicaRows) -> float:
        """Return the score of one replica, each row judged by a threshold that other rows have chosen."""
        if not rows.is_measurable:
            return float("nan")
        probabilities = positive_probability(rows.scores)
        decided = cross_fitted_decisions(probabilities, rows.labels, rows.weights, self.score).astype(np.int64)
        counts = [
            np.bincount(labels, weights, minlength=2)[None]  # (1, C)
            for labels, weights in (
                (rows.labels, rows.weights * (decided == rows.labels)),
                (decided, rows.weights),
                (rows.labels, rows.weights),
            )
        ]
        return float(self.score(*counts)[0])

    def _score_of_batches(self, batches: Iterator[LabelBatch]) -> Array:
        hits: Any = 0.0  # (R, C) after the first batch, as the others
        predicted: Any = 0.0
        actual: Any = 0.0
        nothing: Any = 0.0  # (R,): NaN where a score is not finite
        for batch in batches:
            xp, decided = xp_of(batch.scores), self._decide(batch.scores)
            classes = xp.arange(batch.scores.shape[-1])
            is_actual = (batch.labels[..., None] == classes).astype(np.float64)  # (R, B, C)
            is_predicted = (decided[..., None] == classes).astype(np.float64)
            actual = actual + _sums(batch.weights, is_actual)
            predicted = predicted + _sums(batch.weights, is_predicted)
            hits = hits + _sums(batch.weights * (decided == batch.labels), is_actual)
            nothing = nothing + batch.nan_or_zero.sum(axis=1)
        with np.errstate(invalid="ignore"):  # of no rows, and of diverged replicas
            score: Array = self.score(hits, predicted, actual) + nothing + 0.0 * (1.0 / _nan_if_zero(actual))
        return score

    def _decide(self, scores: Array) -> Array:
        """Return the predicted class of each row (R, B)."""
        if self.threshold == "best":
            classes: Array = scores.argmax(axis=-1)
            return classes
        positive: Array = (positive_probability(scores) >= self.threshold).astype(np.int64)
        return positive


def deciding_metric(metrics: Sequence[Metric]) -> DecisionMetric | None:
    """Return the first metric that judges predicted classes; None where there is none."""
    return next((metric for metric in metrics if isinstance(metric, DecisionMetric)), None)


def with_threshold(metrics: Sequence[Metric], threshold: float | None) -> tuple[Metric, ...]:
    """Return the metrics as they judge a network that decides by this threshold; as they are where it has none."""
    if threshold is None:
        return tuple(metrics)
    return tuple(m.with_threshold(threshold) if isinstance(m, DecisionMetric) else m for m in metrics)


def _sums(weights: Array, is_class: Array) -> Array:
    """Return the weighted number of rows (R, C), from weights (R, B) and which rows are in a class (R, B, C)."""
    sums: Array = xp_of(weights).matmul(weights[:, None], is_class)[:, 0]
    return sums


def _nan_if_zero(counts: Array) -> Array:
    """Return the sum over classes (R,) of counts (R, C), and NaN where it is 0."""
    total = counts.sum(axis=-1)
    numbers: Array = xp_of(counts).where(total > 0.0, total, np.nan)
    return numbers


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return the ratio, and 0 where the denominator is 0."""
    xp = xp_of(numerator)
    ratio: Array = xp.where(denominator > 0.0, numerator, 0.0) / xp.where(denominator > 0.0, denominator, 1.0)
    return ratio


def _validate_threshold(metric: DecisionMetric) -> None:
    threshold = metric.threshold
    if threshold != "best" and (isinstance(threshold, (str, bool)) or not 0.0 <= threshold <= 1.0):
        raise UserMistake(
            f"{type(metric).__name__}(threshold=...) takes a probability in [0, 1] or 'best', got {threshold!r}."
        )


@dataclass(frozen=True)
class F1(DecisionMetric):
    """The F1 score, the harmonic mean of precision and recall, in [0, 1]; 0 where nothing is right.

    Of two classes, it is that of class 1: the second one in sorted order, or what the data set calls positive.

    With threshold "best", class 1 is predicted from the probability on that scores best, so that a rare class is found
    although no row is likely to be in it. In the search, held-out rows are dealt out to five parts, and each part is
    judged by the threshold that is the best one on the other four. The threshold of the artifact is chosen on all
    held-out rows of the winner's folds, and test rows are judged by that one.

    Args:
        average: "binary" is the F1 of class 1; "macro" the mean over the classes that occur, "weighted" the same
            weighted by their rows, "micro" that of all decisions, which is the accuracy. Default "auto": "binary" for
            two classes, "macro" for more.
        threshold: The probability from which on a row of two classes is in class 1, or "best"; default "best". Of more
            classes, the largest score decides.
        name: Name in tables and figures; default "f1".
        goal: Which way is better; default "max".

    Raises:
        UserMistake: When an argument is none of these.

    Reference:
        Pedregosa et al. (2011), scikit-learn's f1_score with zero_division=0, to which the scores are equal.

    Example:
        >>> import numpy as np
        >>> from searchlab import F1
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> scores = np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]])  # (R, B, classes)
        >>> F1(threshold=0.5).measure(EchoModel(), [Batch(scores, np.array([[0, 1, 1, 0]]))]).round(3).tolist()
        [0.667]
    """

    average: Average = "auto"
    threshold: Threshold = "best"
    name: str = "f1"
    goal: Goal = "max"

    def __post_init__(self) -> None:
        _validate_threshold(self)
        if self.average not in get_args(Average):
            raise UserMistake(f"F1(average=...) takes {', '.join(get_args(Average))}, got {self.average!r}.")

    def check_classes(self, classes: int) -> None:
        """Raise UserMistake where the average does not apply to so many classes."""
        super().check_classes(classes)
        if self.average == "binary" and classes != 2:
            raise UserMistake(f"F1(average='binary') needs two classes, and this data has {classes}; use 'macro'.")

    def score(self, hits: Array, predicted: Array, actual: Array) -> Array:
        """Return F1 (...) from the counts of each class (..., C)."""
        average = self.average
        if average == "auto":
            average = "binary" if hits.shape[-1] == 2 else "macro"
        if average == "micro":
            return _ratio(2.0 * hits.sum(axis=-1), (predicted + actual).sum(axis=-1))
        of_class = _ratio(2.0 * hits, predicted + actual)
        if average == "binary":
            positive: Array = of_class[..., 1]
            return positive
        weights = actual if average == "weighted" else (predicted + actual > 0.0) * 1.0
        return _ratio((of_class * weights).sum(axis=-1), weights.sum(axis=-1))


@dataclass(frozen=True)
class BalancedAccuracy(DecisionMetric):
    """The mean over classes of the share of rows that are predicted right: a rare class counts as much as any other.

    It is the mean recall, in [0, 1]; a class without rows is left out. With threshold "best", class 1 of two is
    predicted from the probability on that scores best, as `F1` describes it.

    Args:
        threshold: The probability from which on a row of two classes is in class 1, or "best"; default "best". Of more
            classes, the largest score decides.
        name: Name in tables and figures; default "balanced accuracy".
        goal: Which way is better; default "max".

    Raises:
        UserMistake: When the threshold is neither a probability nor "best".

    Reference:
        Brodersen et al. (2010); scikit-learn's balanced_accuracy_score, to which the scores are equal.

    Example:
        >>> import numpy as np
        >>> from searchlab import BalancedAccuracy
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> scores = np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]])  # (R, B, classes)
        >>> metric = BalancedAccuracy(threshold=0.5)
        >>> metric.measure(EchoModel(), [Batch(scores, np.array([[0, 1, 0, 0]]))]).tolist()
        [1.0]
    """

    threshold: Threshold = "best"
    name: str = "balanced accuracy"
    goal: Goal = "max"

    def __post_init__(self) -> None:
        _validate_threshold(self)

    def score(self, hits: Array, predicted: Array, actual: Array) -> Array:
        """Return the mean recall (...) from the counts of each class (..., C)."""
        occurs = (actual > 0.0) * 1.0
        return _ratio(_ratio(hits, actual).sum(axis=-1), occurs.sum(axis=-1))

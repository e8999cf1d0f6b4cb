"""Metrics of the probabilities of classes, and of the order in which they put rows; no decision is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from searchlab.backend import Array, xp_of
from searchlab.data.batch import Batch
from searchlab.metrics.labels import ReplicaRows, gather_rows, label_batches, on_device_of
from searchlab.metrics.metric import Goal
from searchlab.nn.class_probabilities import softmax
from searchlab.nn.module import Model


@dataclass(frozen=True)
class LogLoss:
    """The cross entropy of the classes' probabilities, the softmax of the scores, in nats per row.

    Args:
        name: Name in tables and figures; default "log loss".
        goal: Which way is better; default "min".

    Reference:
        Bishop (2006), Pattern Recognition and Machine Learning, section 4.3.4; scikit-learn's log_loss, to which it is
        equal but for probabilities below 1e-16, which scikit-learn rounds up.

    Example:
        >>> import numpy as np
        >>> from searchlab import LogLoss
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> LogLoss().measure(EchoModel(), [Batch(np.zeros((1, 3, 2)), np.array([[0, 1, 1]]))]).round(3).tolist()
        [0.693]
    """

    name: str = "log loss"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the log loss (R,); NaN where a score of a replica is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with labels (R, B).

        Raises:
            UserMistake: When the targets are not labels of rows.
        """
        losses: Any = 0.0  # (R,) after the first batch
        total: Any = 0.0
        for batch in label_batches(self, model, batches):
            xp, scores = xp_of(batch.scores), batch.scores.astype(np.float64)
            scores = scores - scores.max(axis=-1, keepdims=True)
            with np.errstate(under="ignore"):  # the probability of a very unlikely class is rounded to 0
                logarithms = xp.log(xp.exp(scores).sum(axis=-1))
            loss = logarithms - xp.take_along_axis(scores, batch.labels[..., None], axis=-1)[..., 0]  # (R, B)
            losses = losses + (loss * batch.weights).sum(axis=1)
            total = total + batch.weights.sum(axis=1)
        mean: Array = losses / total
        return mean


@dataclass(frozen=True)
class RocAuc:
    """The area under the ROC curve: how likely a row of a class scores higher than a row of another, in [0, 1].

    A random order has 0.5. Of two classes, it is that of class 1; of more, the mean over classes of each against all
    others. It does not depend on a threshold. It is not defined where a fold holds out no row of a class, which is
    reported before anything is trained.

    Args:
        name: Name in tables and figures; default "roc auc".
        goal: Which way is better; default "max".

    Reference:
        Fawcett (2006), An introduction to ROC analysis; scikit-learn's roc_auc_score with multi_class="ovr", to which
        the scores are equal.

    Example:
        >>> import numpy as np
        >>> from searchlab import RocAuc
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> scores = np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]])  # (R, B, classes)
        >>> RocAuc().measure(EchoModel(), [Batch(scores, np.array([[0, 1, 1, 0]]))]).tolist()
        [0.75]
    """

    needs_every_class: ClassVar[bool] = True

    name: str = "roc auc"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the area (R,); NaN where a score of a replica is not finite, or where a class has no row that counts.

        Args:
            model: The model of R replicas.
            batches: Batches with labels (R, B).

        Raises:
            UserMistake: When the targets are not labels of rows.
        """
        rows, scores = gather_rows(label_batches(self, model, batches))
        return on_device_of(scores, [_mean_over_classes(own, _area_under_roc) for own in rows])


@dataclass(frozen=True)
class AveragePrecision:
    """The mean precision over the recalls that all thresholds give: the area under the precision-recall curve.

    It suits a rare class: a random order has the share of the class. Of two classes, it is that of class 1, and 0 where
    a fold holds out no row of it; of more, the mean over classes of each against all others.

    Args:
        name: Name in tables and figures; default "average precision".
        goal: Which way is better; default "max".

    Reference:
        Zhu (2004), Recall, precision and average precision; scikit-learn's average_precision_score, to which the scores
        are equal.

    Example:
        >>> import numpy as np
        >>> from searchlab import AveragePrecision
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> scores = np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]])  # (R, B, classes)
        >>> AveragePrecision().measure(EchoModel(), [Batch(scores, np.array([[0, 1, 1, 0]]))]).round(3).tolist()
        [0.833]
    """

    name: str = "average precision"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the average precision (R,); NaN where a score of a replica is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with labels (R, B).

        Raises:
            UserMistake: When the targets are not labels of rows.
        """
        rows, scores = gather_rows(label_batches(self, model, batches))
        return on_device_of(scores, [_mean_over_classes(own, _average_precision) for own in rows])


def _mean_over_classes(rows: ReplicaRows, area: Callable[[Array, Array], float]) -> float:
    """Return the area for class 1 of two, or the mean over more classes, each against all others."""
    if not rows.is_measurable:
        return float("nan")
    if rows.scores.shape[1] == 2:
        return area(*_counts_by_rank(rows.scores[:, 1] - rows.scores[:, 0], rows.labels == 1, rows.weights))
    shares = softmax(rows.scores)  # (N, C)
    areas = [area(*_counts_by_rank(shares[:, c], rows.labels == c, rows.weights)) for c in range(shares.shape[1])]
    return float(np.mean(areas))


def _counts_by_rank(scores: Array, is_positive: Array, weights: Array) -> tuple[Array, Array]:
    """Return how many positive rows and how many others have at least each distinct score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of runs of equal scores
    positive, others = weights * is_positive, weights * ~is_positive
    return np.cumsum(positive[order])[ends], np.cumsum(others[order])[ends]


def _area_under_roc(positive: Array, others: Array) -> float:
    if not positive[-1] or not others[-1]:
        return float("nan")
    x, y = np.append(0.0, others / others[-1]), np.append(0.0, positive / positive[-1])
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2.0).sum())  # trapezoids: equal scores count one half


def _average_precision(positive: Array, others: Array) -> float:
    if not positive[-1]:
        return 0.0
    gains = np.diff(np.append(0.0, positive / positive[-1]))
    return float((gains * positive / (positive + others)).sum())

"""The share of rows that are predicted right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.metrics.metric import Goal
from searchlab.nn.module import Model


@dataclass(frozen=True)
class Accuracy:
    """The share of rows whose largest score is at their label, in [0, 1].

    Args:
        name: Name in tables and figures; default "accuracy".
        goal: Which way is better; default "max".

    Example:
        >>> import numpy as np
        >>> from searchlab import Accuracy
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> scores = np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]])  # (R, B, classes)
        >>> Accuracy().measure(EchoModel(), [Batch(scores, np.array([[0, 1, 1, 0]]))]).tolist()
        [0.75]
    """

    name: str = "accuracy"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the accuracy (R,); NaN where a score of a replica is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with labels (R, B).

        Raises:
            UserMistake: When the targets are not labels of rows.
        """
        right: Any = 0.0  # (R,) after the first batch
        total: Any = 0.0
        for batch in batches:
            if batch.y.dtype.kind == "f":
                raise UserMistake(
                    "Accuracy needs labels, and the targets of this data are numbers; use RootMeanSquaredError."
                )
            if batch.decoder_inputs is not None:
                raise UserMistake("Accuracy needs labels of rows, and this data has sequences; use ExactMatch.")
            if batch.y.ndim > 2:
                raise UserMistake("Accuracy needs labels of rows, and this data is a stream of tokens; use Perplexity.")
            scores, _ = model.predict(batch)
            hits = scores.argmax(axis=-1) == batch.y  # (R, B)
            nan_or_zero = scores.sum(axis=-1) * 0.0  # NaN where a score is not finite
            weight = 1.0 if batch.weight is None else batch.weight
            right = right + ((hits + nan_or_zero) * weight).sum(axis=1)
            total = total + (hits * 0.0 + weight).sum(axis=1)
        accuracy: Array = right / total
        return accuracy

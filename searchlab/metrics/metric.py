"""The interface of a metric: one number per replica that says how good a model is, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.nn.module import Model

Goal = Literal["max", "min"]


class Metric(Protocol):
    """A score of trained models on rows that they have not been trained on.

    A metric of your own needs these three members and no base class; `searchlab.testing.check_metric` checks it.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> from searchlab.testing import check_metric
        >>> @dataclass(frozen=True)
        ... class MaxError:
        ...     name: str = "max error"
        ...     goal: str = "min"
        ...
        ...     def measure(self, model, batches):
        ...         largest = 0.0
        ...         for batch in batches:
        ...             error = abs(model.predict(batch)[0] - batch.y).max(axis=-1)  # (R, B)
        ...             weight = np.ones_like(error) if batch.weight is None else batch.weight
        ...             largest = np.maximum(largest, (error * weight).max(axis=1))
        ...         return largest
        >>> check_metric(MaxError(), labels=False)
    """

    @property
    def name(self) -> str:
        """The name of the metric in tables, figures and records."""

    @property
    def goal(self) -> Goal:
        """Whether larger ("max") or smaller ("min") is better."""

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the score of each replica over all batches together.

        Args:
            model: The model of R replicas.
            batches: Batches of the held-out rows, in order.

        Returns:
            Scores (R,) on the device of the model; NaN where a prediction is not finite or no row counts.
        """

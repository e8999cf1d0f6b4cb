"""The size of a model as a metric."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from searchlab.backend import Array, xp_of
from searchlab.data.batch import Batch
from searchlab.metrics.metric import Goal
from searchlab.nn.module import Model


@dataclass(frozen=True)
class ParameterCount:
    """The number of trainable parameters of a model, weights and biases; a shared parameter counts once.

    It does not depend on predictions, so `searchlab.testing.check_metric` does not apply to it. A float16 artifact
    takes two bytes per parameter.

    Args:
        name: Name in tables and figures; default "parameters".
        goal: Which way is better; default "min".

    Example:
        >>> from searchlab import ParameterCount
        >>> from searchlab.nn import Affine
        >>> from searchlab.replicas import Replicas
        >>> ParameterCount().measure(Affine(Replicas([0]), 10, 3), []).tolist()
        [33.0]
    """

    name: str = "parameters"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the number of trainable parameters (R,), the same for all replicas.

        Args:
            model: The model of R replicas.
            batches: Not read.
        """
        by_identity = {
            id(parameter): parameter.value for _, parameter in model.named_parameters() if parameter.trainable
        }
        values = list(by_identity.values())  # (R, ...) each
        count = sum(math.prod(value.shape[1:]) for value in values)
        number: Array = xp_of(values[0]).full(len(values[0]), float(count), dtype="float64")
        return number

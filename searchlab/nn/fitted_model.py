"""The interface of a model that is fitted in one pass over the data, by counting, without gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.nn.module import Carry, Model


class FittedModel(Model):
    """R models that are fitted one after the other, each in one pass over its training rows: they have no loss.

    `Space(Fit)` fits them in a sweep, which then needs no optimizer.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import EveryRow, Spiral
        >>> from searchlab.nn import FittedModel, Parameter, Replicas
        >>> class MeanInput(FittedModel):
        ...     def __init__(self, replicas, features, outputs):
        ...         self.mean = Parameter(replicas.zeros(features))
        ...     def fit(self, replica, batches):
        ...         x = np.concatenate([batch.x[0] for batch in batches])
        ...         self.mean.value[replica] = x.mean(axis=0)
        ...     def predict(self, batch, carry=None):
        ...         return batch.x - self.mean.value[:, None], None
        >>> data = Spiral().training()
        >>> model = MeanInput(Replicas([0]), *data.sizes)
        >>> model.fit(0, data.scoring_batches(EveryRow().split(data).train))
        >>> model.mean.value.shape
        (1, 2)
    """

    @abstractmethod
    def fit(self, replica: int, batches: Iterable[Batch]) -> None:
        """Fit one replica, and set its parameters.

        Args:
            replica: Row of the replica axis.
            batches: The training rows of this replica, each row once and in order; axis 0 has size 1.
        """

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        """Refuse: there is no loss."""
        raise UserMistake(
            f"{type(self).__name__} is fitted in one pass and has no loss: use training=Space(Fit), and a metric that "
            "needs none."
        )

    def backward(self) -> None:
        """Refuse: there is no gradient."""
        raise UserMistake(f"{type(self).__name__} is fitted in one pass and has no gradient: use training=Space(Fit).")

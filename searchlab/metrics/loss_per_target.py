"""The loss of the forward pass as a metric."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.errors import UserMistake
from searchlab.metrics.metric import Goal
from searchlab.nn.module import Carry, Model


@dataclass(frozen=True)
class LossPerTarget:
    """The mean loss of a model per target, in nats, as its forward pass gives it.

    Word vectors that are trained by negative sampling are scored with the same random words for each target in every
    trial. The loss of `SkipGram` grows with its window, and a full softmax has another loss: compare trials that differ
    in these by `WordClassShare`.

    Args:
        name: Name in tables and figures; default "loss per target".
        goal: Which way is better; default "min".

    Example:
        >>> import numpy as np
        >>> from searchlab import LossPerTarget
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import TableModel
        >>> tokens = np.array([[[1], [1], [1]]])  # (R, T, B)
        >>> uniform = TableModel(np.zeros((1, 4, 4)))  # four words; a repeated word gets a little likelier
        >>> LossPerTarget().measure(uniform, [Batch(tokens, tokens)]).round(2).tolist()
        [1.04]
    """

    name: str = "loss per target"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the loss per target (R,); NaN where no target counts.

        Args:
            model: The model of R replicas; its carry passes from batch to batch.
            batches: Batches of words or tokens, (R, B) or (R, T, B) targets.

        Raises:
            UserMistake: When the data has no words or tokens, or there are no targets.
        """
        total: Any = 0.0  # (R,) after the first batch
        count: Any = 0
        carry: Carry = None
        for batch in batches:
            if batch.x.dtype.kind == "f" or batch.y.dtype.kind == "f":
                raise UserMistake("LossPerTarget needs a stream of tokens or words with contexts; this data has rows.")
            loss, carry = model.forward(batch, carry, train=False)
            counted = (batch.y != IGNORED).reshape(len(batch.y), -1).sum(axis=1)  # (R,)
            total, count = total + loss * counted, count + counted
        if isinstance(count, int):
            raise UserMistake("LossPerTarget needs at least one target, and there are none.")
        mean: Array = total / count
        return mean

"""Metrics of language models: their mean loss per token, in two units."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from searchlab.backend import Array, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.errors import UserMistake
from searchlab.metrics.metric import Goal, Metric
from searchlab.nn.module import Carry, Model

MAX_PERPLEXITY = 1e6  # a model beyond it has diverged: a uniform guess has as many as there are words, which are fewer


@dataclass(frozen=True)
class Perplexity:
    """The perplexity of a language model: e to the power of the mean loss in nats per target.

    A perplexity of 100 means that the model is as uncertain as among 100 equally likely words.

    Args:
        name: Name in tables and figures; default "perplexity".
        goal: Which way is better; default "min".

    Reference:
        Mikolov et al. (2010), for the Penn Treebank; Deep Learning from Scratch 2, section 5.5.

    Example:
        >>> import numpy as np
        >>> from searchlab import Perplexity
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import TableModel
        >>> tokens = np.array([[[1], [1], [1]]])  # (R, T, B)
        >>> uniform = TableModel(np.zeros((1, 4, 4)))  # four words; a repeated word gets a little likelier
        >>> Perplexity().measure(uniform, [Batch(tokens, tokens)]).round(2).tolist()
        [2.83]
    """

    name: str = "perplexity"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the perplexity (R,) of a stream; infinite above 1,000,000, NaN where no target counts.

        Args:
            model: The model of R replicas; its carry passes from batch to batch.
            batches: Batches of tokens (R, T, B).

        Raises:
            UserMistake: When the data is not a stream of tokens, or has fewer than two.
        """
        loss = _mean_loss(self, model, batches)
        xp = xp_of(loss)
        perplexity: Array = xp.exp(xp.where(loss > math.log(MAX_PERPLEXITY), math.inf, loss))
        return perplexity


@dataclass(frozen=True)
class BitsPerCharacter:
    """The mean loss of a language model per character, in bits: the loss in nats divided by ln 2.

    Args:
        name: Name in tables and figures; default "bits per character".
        goal: Which way is better; default "min".

    Reference:
        Graves (2013).

    Example:
        >>> import numpy as np
        >>> from searchlab import BitsPerCharacter
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import TableModel
        >>> characters = np.array([[[1], [1], [1]]])  # (R, T, B)
        >>> uniform = TableModel(np.zeros((1, 4, 4)))  # four characters; a repeated one gets a little likelier
        >>> BitsPerCharacter().measure(uniform, [Batch(characters, characters)]).round(2).tolist()
        [1.5]
    """

    name: str = "bits per character"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the bits per character (R,) of a stream; NaN where no target counts.

        Args:
            model: The model of R replicas; its carry passes from batch to batch.
            batches: Batches of tokens (R, T, B).

        Raises:
            UserMistake: When the data is not a stream of tokens, or has fewer than two.
        """
        return _mean_loss(self, model, batches) / math.log(2.0)


def _mean_loss(metric: Metric, model: Model, batches: Iterable[Batch]) -> Array:
    """Return the mean loss (R,), in nats per target that counts; the carry passes from batch to batch."""
    total: Any = 0.0  # (R,) after the first batch
    count: Any = 0
    carry: Carry = None
    for batch in batches:
        if batch.x.dtype.kind == "f" or batch.y.dtype.kind == "f" or batch.y.ndim != 3:
            raise UserMistake(f"{type(metric).__name__} needs a stream of tokens, such as a Text; this data has rows.")
        loss, carry = model.forward(batch, carry, train=False)
        counted = (batch.y != IGNORED).sum(axis=(1, 2))  # (R,)
        total = total + loss * counted
        count = count + counted
    if isinstance(count, int):
        raise UserMistake(f"{type(metric).__name__} needs at least two tokens, and there are none.")
    mean: Array = total / count
    return mean

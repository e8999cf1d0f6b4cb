"""Metrics: one number per replica that says how good a model is, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from searchlab.backend import Array, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.errors import UserMistake
from searchlab.nn.module import Carry, Model

Goal = Literal["max", "min"]

MAX_PERPLEXITY = 1e6  # a model beyond it has diverged: a uniform guess has as many as there are words, which are fewer


class Metric(Protocol):
    """A score of trained models on rows that they have not been trained on.

    A metric of your own needs these three members and no base class; `searchlab.testing.check_metric` checks it.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> from searchlab.testing import check_metric
        >>> @dataclass(frozen=True)
        ... class MeanAbsoluteError:
        ...     name: str = "mae"
        ...     goal: str = "min"
        ...
        ...     def measure(self, model, batches):
        ...         total = count = 0.0
        ...         for batch in batches:
        ...             error = abs(model.predict(batch)[0] - batch.y).mean(axis=-1)  # (R, B)
        ...             weight = np.ones_like(error) if batch.weight is None else batch.weight
        ...             total, count = total + (error * weight).sum(axis=1), count + weight.sum(axis=1)
        ...         return total / count
        >>> check_metric(MeanAbsoluteError(), labels=False)
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


@dataclass(frozen=True)
class RootMeanSquaredError:
    """The root of the mean squared error over rows and outputs, in the unit of the targets.

    Args:
        name: Name in tables and figures; default "rmse".
        goal: Which way is better; default "min".

    Example:
        >>> import numpy as np
        >>> from searchlab import RootMeanSquaredError
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its outputs are its inputs
        >>> outputs, targets = np.array([[[1.0], [5.0]]]), np.array([[[4.0], [1.0]]])  # (R, B, outputs)
        >>> RootMeanSquaredError().measure(EchoModel(), [Batch(outputs, targets)]).round(3).tolist()
        [3.536]
    """

    name: str = "rmse"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the root mean squared error (R,); NaN where an output is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with targets (R, B, outputs).

        Raises:
            UserMistake: When the targets are labels.
        """
        squares: Any = 0.0  # (R,) after the first batch
        total: Any = 0.0
        for batch in batches:
            if batch.y.dtype.kind != "f":
                raise UserMistake("RootMeanSquaredError needs numbers, and this data has labels; use Accuracy.")
            outputs, _ = model.predict(batch)
            error = ((outputs - batch.y) ** 2).mean(axis=-1)  # (R, B)
            weight = 1.0 if batch.weight is None else batch.weight
            squares = squares + (error * weight).sum(axis=1)
            total = total + (error * 0.0 + weight).sum(axis=1)
        root: Array = (squares / total) ** 0.5
        return root


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
        number: Array = xp_of(values[0]).full(len(values[0]), float(count))
        return number


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

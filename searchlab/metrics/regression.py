"""Metrics of numbers to predict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchlab.backend import Array, xp_of
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.metrics.metric import Goal
from searchlab.nn.module import Model


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
class MeanAbsoluteError:
    """The mean absolute error over rows and outputs, in the unit of the targets.

    It is a metric; the loss of that kind, which a network minimizes, is `AbsoluteError`.

    Args:
        name: Name in tables and figures; default "mae".
        goal: Which way is better; default "min".

    Raises:
        UserMistake: When it is given as a loss.

    Example:
        >>> import numpy as np
        >>> from searchlab import MeanAbsoluteError
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its outputs are its inputs
        >>> outputs, targets = np.array([[[1.0], [5.0]]]), np.array([[[4.0], [1.0]]])  # (R, B, outputs)
        >>> MeanAbsoluteError().measure(EchoModel(), [Batch(outputs, targets)]).tolist()
        [3.5]
    """

    name: str = "mae"
    goal: Goal = "min"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):  # a model builds its loss from its replicas
            raise UserMistake("MeanAbsoluteError is a metric; the loss of absolute errors is AbsoluteError.")

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the mean absolute error (R,); NaN where an output is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with targets (R, B, outputs).

        Raises:
            UserMistake: When the targets are labels.
        """
        errors: Any = 0.0  # (R,) after the first batch
        total: Any = 0.0
        for batch in batches:
            if batch.y.dtype.kind != "f":
                raise UserMistake("MeanAbsoluteError needs numbers, and this data has labels; use Accuracy.")
            outputs, _ = model.predict(batch)
            error = xp_of(outputs).abs(outputs - batch.y).mean(axis=-1)  # (R, B)
            weight = 1.0 if batch.weight is None else batch.weight
            errors = errors + (error * weight).sum(axis=1)
            total = total + (error * 0.0 + weight).sum(axis=1)
        mean: Array = errors / total
        return mean


@dataclass(frozen=True)
class R2:
    """The coefficient of determination: 1 less the share of the variance of the targets that the errors have.

    It is 1 where every prediction is right, 0 where each is the mean of the targets, and less where they are worse. Of
    several outputs, it is the mean over them. An output whose targets are all equal has 1 where every prediction is
    right, and 0 otherwise.

    Args:
        name: Name in tables and figures; default "r2".
        goal: Which way is better; default "max".

    Reference:
        Pedregosa et al. (2011), scikit-learn's r2_score, to which the scores are equal.

    Example:
        >>> import numpy as np
        >>> from searchlab import R2
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoModel  # its outputs are its inputs
        >>> outputs, targets = np.array([[[1.0], [3.0]]]), np.array([[[0.0], [4.0]]])  # (R, B, outputs)
        >>> R2().measure(EchoModel(), [Batch(outputs, targets)]).tolist()
        [0.75]
    """

    name: str = "r2"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return R2 (R,); NaN where an output is not finite, or where no row counts.

        Args:
            model: The model of R replicas.
            batches: Batches with targets (R, B, outputs).

        Raises:
            UserMistake: When the targets are labels.
        """
        origin: Any = None  # the first target of each replica (R, O, 1): differences from it lose no digits
        errors: Any = 0.0  # (R, O) after the first batch, as the others
        total: Any = 0.0
        sums: Any = 0.0
        squares: Any = 0.0
        for batch in batches:
            if batch.y.dtype.kind != "f":
                raise UserMistake("R2 needs numbers, and this data has labels; use Accuracy.")
            outputs, _ = model.predict(batch)
            predicted, targets = _columns(outputs), _columns(batch.y)  # (R, O, B)
            origin = targets[..., :1] if origin is None else origin
            weight = 1.0 if batch.weight is None else batch.weight[:, None]
            errors = errors + ((predicted - targets) ** 2 * weight).sum(axis=-1)
            deviations = targets - origin
            total = total + (deviations * 0.0 + weight).sum(axis=-1)
            sums = sums + (deviations * weight).sum(axis=-1)
            squares = squares + (deviations**2 * weight).sum(axis=-1)
        variance = squares - sums**2 / total
        return _determination(errors, variance + (total - total) / total)


def _columns(values: Array) -> Array:
    """Return numbers (R, B, O) as contiguous columns (R, O, B) of float64: their sums do not depend on R."""
    columns: Array = xp_of(values).ascontiguousarray(values.astype(np.float64).swapaxes(1, 2))
    return columns


def _determination(errors: Array, variance: Array) -> Array:
    """Return R2 (R,) from the sums of squares (R, O) of the errors and of the deviations from the mean."""
    xp = xp_of(errors)
    has_variance = ~(variance <= 0.0)  # also where it is not a number
    constant = xp.where(errors > 0.0, 0.0, 1.0) + errors * 0.0
    ratio = 1.0 - errors / xp.where(has_variance, variance, 1.0)
    mean: Array = xp.where(has_variance, ratio, constant).mean(axis=-1)
    return mean

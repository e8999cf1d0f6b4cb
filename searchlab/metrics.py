"""What a trial is judged by: one number per replica, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.nn.layer import Model

Goal = Literal["max", "min"]


class Metric(Protocol):
    """A score of trained networks on rows they have not seen."""

    @property
    def name(self) -> str:
        """The word that stands for it in tables and pictures."""

    @property
    def goal(self) -> Goal:
        """Whether larger ("max") or smaller ("min") is better."""

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """The score of each replica (R,) over all batches together, on the model's device."""


@dataclass(frozen=True)
class Accuracy:
    """The share of rows whose largest score is at their label, in [0, 1]."""

    name: str = "accuracy"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Accuracy (R,); NaN where a replica's scores are not finite, or no row counts.

        Raises UserMistake for targets that are no labels.
        """
        right: Any = 0.0  # (R,) once the first batch is in
        total: Any = 0.0
        for batch in batches:
            if batch.y.dtype.kind == "f":
                raise UserMistake("Accuracy counts labels, and this data's targets are numbers: RootMeanSquaredError.")
            scores, _ = model.predict(batch)
            hits = scores.argmax(axis=-1) == batch.y  # (R, B)
            finite = scores.sum(axis=-1) * 0.0  # NaN where a score is NaN or infinite
            weight = 1.0 if batch.weight is None else batch.weight
            right = right + ((hits + finite) * weight).sum(axis=1)
            total = total + (hits * 0.0 + weight).sum(axis=1)
        accuracy: Array = right / total
        return accuracy


@dataclass(frozen=True)
class RootMeanSquaredError:
    """The root of the squared error's mean over rows and outputs, in the targets' own unit."""

    name: str = "rmse"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Root mean squared error (R,); NaN where a replica's outputs are not finite, or no row counts.

        Raises UserMistake for labels.
        """
        squares: Any = 0.0  # (R,) once the first batch is in
        total: Any = 0.0
        for batch in batches:
            if batch.y.dtype.kind != "f":
                raise UserMistake("RootMeanSquaredError compares numbers, and this data has labels: use Accuracy.")
            outputs, _ = model.predict(batch)
            error = ((outputs - batch.y) ** 2).mean(axis=-1)  # (R, B)
            weight = 1.0 if batch.weight is None else batch.weight
            squares = squares + (error * weight).sum(axis=1)
            total = total + (error * 0.0 + weight).sum(axis=1)
        root: Array = (squares / total) ** 0.5
        return root

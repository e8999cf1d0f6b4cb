"""What a trial is judged by: one number per replica, and which way is better."""

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

WORST_PERPLEXITY = 1e6  # beyond it a model has diverged: to say all words equally likely has their number, far less


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
            if batch.y.ndim > 2:
                raise UserMistake("Accuracy counts labels of rows, and this data is a stream of tokens: Perplexity.")
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


@dataclass(frozen=True)
class Perplexity:
    """Among how many equally likely words a model chooses the next: e to the mean loss in nats per target.

    As for the Penn Treebank since Mikolov et al. (2010); Deep Learning from Scratch 2, section 5.5.
    """

    name: str = "perplexity"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Perplexity (R,) of the stream, its state carried along; infinite above 1,000,000, NaN where no target counts.

        Raises UserMistake for data that is no stream of tokens.
        """
        nats = _nats(self, model, batches)
        xp = xp_of(nats)
        perplexity: Array = xp.exp(xp.where(nats > math.log(WORST_PERPLEXITY), math.inf, nats))
        return perplexity


@dataclass(frozen=True)
class BitsPerCharacter:
    """How many bits a character costs that a model has foretold: the mean loss in units of ln 2 (Graves 2013)."""

    name: str = "bits per character"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Bits per character (R,) of the stream, its state carried along; NaN where no target counts.

        Raises UserMistake for data that is no stream of tokens.
        """
        return _nats(self, model, batches) / math.log(2.0)


@dataclass(frozen=True)
class ParameterCount:
    """How many numbers a network has learned: its weights and biases, one that layers share counted once.

    It judges the network and not what this says, so the contract of metrics, which asks about predictions, is not
    for it. A float16 artifact has two bytes for each.
    """

    name: str = "weights"
    goal: Goal = "min"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """The number (R,) of learned weights of each replica, alike in all; the batches are not read."""
        found = {id(parameter): parameter.value for _, parameter in model.parameters() if parameter.learned}
        values = list(found.values())  # (R, ...) each
        count = sum(math.prod(value.shape[1:]) for value in values)
        number: Array = xp_of(values[0]).full(len(values[0]), float(count))
        return number


def _nats(metric: Metric, model: Model, batches: Iterable[Batch]) -> Array:
    """The mean loss (R,) over all targets that count, each batch going on from the state after the one before it."""
    total: Any = 0.0  # (R,) once the first batch is in
    count: Any = 0
    carry: Carry = None
    for batch in batches:
        if batch.x.dtype.kind == "f" or batch.y.dtype.kind == "f" or batch.y.ndim != 3:
            raise UserMistake(f"{type(metric).__name__} judges what a model foretells in a stream of tokens: a Text.")
        loss, carry = model.forward(batch, carry, train=False)
        counted = (batch.y != IGNORED).sum(axis=(1, 2))  # (R,)
        total = total + loss * counted
        count = count + counted
    if isinstance(count, int):
        raise UserMistake(f"{type(metric).__name__} needs at least two tokens to judge by, and there are none.")
    mean: Array = total / count
    return mean

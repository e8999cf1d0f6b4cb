"""What a layer and a model are, and the walk that finds the parameters in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, TypeAlias

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Fused, Replicas

Carry: TypeAlias = Any
"""What a recurrent model hands from one batch to the next; None for a model that remembers nothing."""


class Module(Fused):
    """Anything made of parameters: finds them in its attributes, in lists of them and in the modules it holds."""

    def parameters(self) -> list[tuple[str, Parameter]]:
        """Every parameter with its dotted name, as often as it is held: a shared one appears more than once."""
        return list(_walk(self, ""))


def _walk(holder: object, prefix: str) -> Iterator[tuple[str, Parameter]]:
    items = enumerate(holder) if isinstance(holder, (list, tuple)) else vars(holder).items()
    for name, value in items:
        if isinstance(value, Parameter):
            yield f"{prefix}{name}", value
        elif isinstance(value, (Module, list, tuple)):
            yield from _walk(value, f"{prefix}{name}.")


class Layer(Module, ABC):
    """A forward pass over arrays (R, ..., features), and the backward pass that undoes the latest forward one.

    A constructor takes the replicas first, then sizes, and its hyperparameters by keyword. A layer may keep what it was
    given and what it gave until the backward pass; nobody changes either.
    """

    def __init__(self, replicas: Replicas) -> None:
        """A layer that learns nothing and draws nothing asks nothing of its replicas."""

    @abstractmethod
    def forward(self, x: Array, *, train: bool) -> Array:
        """The layer's output for x (R, ..., features); x is left as it is."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """Sets the gradients of the parameters and returns dx, from dy of the latest output."""

    def backward_parameters(self, dy: Array) -> None:
        """Sets the gradients of the parameters only: the first layer of a model needs no dx."""
        self.backward(dy)


class Sequential(Layer):
    """Layers one after the other."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = list(layers)

    def forward(self, x: Array, *, train: bool) -> Array:
        for layer in self.layers:
            x = layer.forward(x, train=train)
        return x

    def backward(self, dy: Array) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def backward_parameters(self, dy: Array) -> None:
        for layer in reversed(self.layers[1:]):
            dy = layer.backward(dy)
        self.layers[0].backward_parameters(dy)


class Model(Module, ABC):
    """R networks of one structure: a batch in, one loss per replica out.

    A constructor takes the replicas and the data's sizes by position and its hyperparameters by keyword; those
    annotated PerReplica may differ between the replicas of one group, all others are structure.
    """

    @abstractmethod
    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        """The mean loss per target of each replica (R,), in nats, and the carry for the batch that follows."""

    @abstractmethod
    def backward(self) -> None:
        """Sets the gradients of all parameters, from the latest forward pass with train=True."""

    @abstractmethod
    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """What the model says of batch.x: scores (R, ..., outputs), larger is likelier, and the carry."""

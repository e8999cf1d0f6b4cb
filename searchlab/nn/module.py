"""The interfaces of a layer and a model, and the walk that finds their parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.nn.parameter import Parameter
from searchlab.replicas import HasReplicaAxis, Replicas

Carry: TypeAlias = Any
"""The state that a recurrent model passes from one batch to the next; None for a model without state."""


class Module(HasReplicaAxis):
    """An object made of parameters: it finds them in its attributes, in lists of them and in the modules it contains.

    Example:
        >>> from searchlab.nn import Affine, Module, Replicas
        >>> class TwoLayers(Module):
        ...     def __init__(self, replicas):
        ...         self.layers = [Affine(replicas, 4, 3), Affine(replicas, 3, 2)]
        >>> [name for name, _ in TwoLayers(Replicas([1])).named_parameters()]
        ['layers.0.W', 'layers.0.b', 'layers.1.W', 'layers.1.b']
    """

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """Return every parameter with its dotted name; a shared one appears once per place that holds it."""
        return list(_walk(self, ""))


def _walk(container: object, prefix: str) -> Iterator[tuple[str, Parameter]]:
    items = enumerate(container) if isinstance(container, (list, tuple)) else vars(container).items()
    for name, value in items:
        if isinstance(value, Parameter):
            yield f"{prefix}{name}", value
        elif isinstance(value, (Module, list, tuple)):
            yield from _walk(value, f"{prefix}{name}.")


class Layer(Module, ABC):
    """A forward pass over arrays (R, ..., features), and the backward pass of the latest forward pass.

    A constructor takes the replicas first, then sizes, and its hyperparameters by keyword. A layer may keep its input
    and its output until the backward pass; neither the layer nor its caller may change them.

    Args:
        replicas: The replicas; a layer without parameters and random numbers does not need them.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Layer, Replicas
        >>> class Square(Layer):
        ...     def forward(self, x, *, train):
        ...         self._x = x
        ...         return x * x
        ...     def backward(self, dy):
        ...         return 2.0 * self._x * dy
        >>> Square(Replicas([1])).forward(np.array([[[1.0, 3.0]]]), train=True).tolist()
        [[[1.0, 9.0]]]
    """

    def __init__(self, replicas: Replicas) -> None:
        """Accept the replicas, and ignore them: a layer without parameters and random numbers needs nothing of them."""

    @abstractmethod
    def forward(self, x: Array, *, train: bool) -> Array:
        """Return the layer's output.

        Args:
            x: The input (R, ..., features), which is not changed.
            train: Whether this is a training step, where dropout and batch statistics are in use.
        """

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """Set the gradients of the parameters, and return dx.

        Args:
            dy: Gradient of the loss by the latest output (R, ..., features).

        Returns:
            Gradient of the loss by the latest input, in its shape.
        """

    def backward_parameters(self, dy: Array) -> None:
        """Set the gradients of the parameters only: the first layer of a model needs no dx."""
        self.backward(dy)


class Sequential(Layer):
    """A chain of layers; the output of each is the input of the next.

    Args:
        *layers: The layers in forward order.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Affine, Relu, Replicas, Sequential
        >>> replicas = Replicas([1, 2])
        >>> layers = Sequential(Affine(replicas, 4, 3), Relu(replicas))
        >>> layers.forward(np.ones((2, 5, 4), np.float32), train=False).shape
        (2, 5, 3)
    """

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

    A constructor takes the replicas and the sizes of the data by position and its hyperparameters by keyword. Those
    annotated PerReplica may differ between the replicas of one group; all others are structure.

    Attributes:
        is_recurrent: Whether networks of this class have recurrent layers, which train faster with compiled kernels;
            default False.

    Example:
        >>> from searchlab.data import Batch
        >>> from searchlab.nn import Affine, MeanSquaredError, Model, Replicas
        >>> class LinearRegression(Model):
        ...     def __init__(self, replicas, features, outputs):
        ...         self.affine, self.loss = Affine(replicas, features, outputs), MeanSquaredError(replicas)
        ...     def forward(self, batch, carry=None, *, train):
        ...         return self.loss.forward(self.affine.forward(batch.x, train=train), batch.y), None
        ...     def backward(self):
        ...         self.affine.backward_parameters(self.loss.backward())
        ...     def predict(self, batch, carry=None):
        ...         return self.affine.forward(batch.x, train=False), None
        >>> replicas = Replicas([1, 2, 3])
        >>> batch = Batch(replicas.normal(8, 4), replicas.normal(8, 1))
        >>> loss, carry = LinearRegression(replicas, 4, 1).forward(batch, train=True)
        >>> loss.shape
        (3,)
    """

    is_recurrent: ClassVar[bool] = False

    @abstractmethod
    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        """Return the loss of each replica, and the carry for the next batch.

        Args:
            batch: Inputs and targets, replica first.
            carry: The carry that the batch before returned; None at the start of a sequence.
            train: Whether a backward pass may follow.

        Returns:
            The mean loss per target of each replica (R,), in nats, and the carry.
        """

    @abstractmethod
    def backward(self) -> None:
        """Set the gradients of all parameters, from the latest forward pass with train=True."""

    @abstractmethod
    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Return the scores of batch.x, and the carry for the next batch.

        Args:
            batch: Inputs, replica first; the targets are not read.
            carry: The carry that the batch before returned; None at the start of a sequence.

        Returns:
            Scores (R, ..., outputs), where larger is likelier, and the carry.
        """

    def loss_of(self, scores: Array, targets: Array) -> Array | None:
        """Return the loss that `forward` would give for the scores of `predict`; None, the default, where it differs.

        The loss on the held-out rows then needs no forward pass besides that of the metric. A model of rows whose
        `forward` is `self.loss.forward(scores, batch.y)` returns `self.loss.forward(scores, targets)`.

        Args:
            scores: Scores of rows (R, B, outputs), as `predict` has returned them.
            targets: Their targets, classes (R, B) or numbers (R, B, outputs).

        Returns:
            The mean loss per target of each replica (R,).
        """
        return None

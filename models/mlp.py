"""Multilayer perceptrons: affine layers with normalization, an activation and dropout between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from searchlab.backend import Array
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.nn import (
    Affine,
    Carry,
    Dropout,
    Gelu,
    Initializer,
    Layer,
    LeakyRelu,
    Loss,
    Model,
    Relu,
    Sequential,
    SoftmaxCrossEntropy,
    glorot_normal,
    he_normal,
)
from searchlab.replicas import PerReplica, Replicas


class MLP(Model):
    """A multilayer perceptron; without a hidden layer, it is softmax regression.

    Each hidden layer is an affine layer followed by normalization, activation and dropout.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        features: Size of each input.
        outputs: Size of each output.
        hidden: Width of each hidden layer, or a tuple with the width of each, where () is no hidden layer; default 64.
        layers: Number of hidden layers, where `hidden` is one width; default 1.
        activation: Builds the activation from the replicas; default `Relu`.
        normalization: Builds the normalization from the replicas and the width; default None.
        dropout: Dropout rate after each hidden layer, in [0, 1); default 0.
        initializer: Draws the weights of all layers; default `he_normal` for hidden layers with Relu, LeakyRelu or
            Gelu, and `glorot_normal` for all others and the last layer.
        output: Builds the activation of the last layer from the replicas; default None.
        loss: Builds the loss from the replicas; default `SoftmaxCrossEntropy`.

    Raises:
        UserMistake: When widths or numbers of layers make no network.

    Reference:
        Deep Learning from Scratch 1, chapters 3 to 6.

    Example:
        >>> from searchlab.nn import Replicas
        >>> model = MLP(Replicas([1, 2]), features=64, outputs=10, hidden=32, layers=2, dropout=[0.0, 0.5])
        >>> [parameter.value.shape for name, parameter in model.named_parameters() if name.endswith("W")]
        [(2, 64, 32), (2, 32, 32), (2, 32, 10)]
    """

    def __init__(
        self,
        replicas: Replicas,
        features: int,
        outputs: int,
        *,
        hidden: int | tuple[int, ...] = 64,
        layers: int = 1,
        activation: Callable[[Replicas], Layer] = Relu,
        normalization: Callable[[Replicas, int], Layer] | None = None,
        dropout: PerReplica = 0.0,
        initializer: Initializer | None = None,
        output: Callable[[Replicas], Layer] | None = None,
        loss: Callable[[Replicas], Loss] = SoftmaxCrossEntropy,
    ) -> None:
        widths = _widths(hidden, layers)
        hidden_initializer = initializer or (he_normal if _is_rectifier(activation) else glorot_normal)
        stack: list[Layer] = []
        for in_features, out_features in pairwise((features, *widths)):
            stack.append(Affine(replicas, in_features, out_features, initializer=hidden_initializer))
            stack += [normalization(replicas, out_features)] if normalization else []
            stack += [activation(replicas), Dropout(replicas, dropout)]
        stack.append(Affine(replicas, (features, *widths)[-1], outputs, initializer=initializer or glorot_normal))
        self.layers = Sequential(*stack, *([output(replicas)] if output else []))
        self.loss = loss(replicas)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        if batch.y.ndim == 3 and batch.y.dtype.kind != "f":
            raise UserMistake(
                "MLP needs rows with classes or numbers to predict, and this data has sequences of tokens."
            )
        return self.loss.forward(self.layers.forward(batch.x, train=train), batch.y), None

    def backward(self) -> None:
        self.layers.backward_parameters(self.loss.backward())

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.layers.forward(batch.x, train=False), None

    def loss_of(self, scores: Array, targets: Array) -> Array | None:
        return self.loss.forward(scores, targets)


def _widths(hidden: int | tuple[int, ...], layers: int) -> tuple[int, ...]:
    widths = (hidden,) * layers if isinstance(hidden, int) else tuple(hidden)
    if layers < 0 or any(not isinstance(width, int) or width < 1 for width in widths):
        raise UserMistake(f"MLP needs hidden widths of at least 1 and layers of at least 0; got {hidden} and {layers}.")
    if layers != 1 and not isinstance(hidden, int):
        raise UserMistake(
            f"MLP needs one hidden width with a number of layers, or a tuple of widths without; got {hidden} and "
            f"layers={layers}."
        )
    return widths


def _is_rectifier(activation: Callable[[Replicas], Layer]) -> bool:
    layer = activation.func if isinstance(activation, partial) else activation
    return layer in (Relu, LeakyRelu, Gelu)

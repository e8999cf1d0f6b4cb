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
    Initial,
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
    """Fully connected layers (Deep Learning from Scratch 1, chapters 3 to 6); without a hidden one, softmax regression.

    `hidden` is the width of each of `layers` hidden layers, or a tuple of widths; () and `layers=0` have none. After
    each comes `normalization`, `activation` and `dropout`; `output`, where given, is the activation of the last layer.
    `initial` draws the weights: He's for relu and its kin, Glorot's for the others, unless another is named.
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
        initial: Initial | None = None,
        output: Callable[[Replicas], Layer] | None = None,
        loss: Callable[[Replicas], Loss] = SoftmaxCrossEntropy,
    ) -> None:
        widths = _widths(hidden, layers)
        inner = initial or (he_normal if _is_rectifier(activation) else glorot_normal)
        stack: list[Layer] = []
        for n_in, n_out in pairwise((features, *widths)):
            stack.append(Affine(replicas, n_in, n_out, initial=inner))
            stack += [normalization(replicas, n_out)] if normalization else []
            stack += [activation(replicas), Dropout(replicas, dropout)]
        stack.append(Affine(replicas, (features, *widths)[-1], outputs, initial=initial or glorot_normal))
        self.layers = Sequential(*stack, *([output(replicas)] if output else []))
        self.loss = loss(replicas)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        return self.loss.forward(self.layers.forward(batch.x, train=train), batch.y), None

    def backward(self) -> None:
        self.layers.backward_parameters(self.loss.backward())

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.layers.forward(batch.x, train=False), None


def _widths(hidden: int | tuple[int, ...], layers: int) -> tuple[int, ...]:
    widths = (hidden,) * layers if isinstance(hidden, int) else tuple(hidden)
    if layers < 0 or any(not isinstance(width, int) or width < 1 for width in widths):
        raise UserMistake(f"MLP takes widths of at least 1 and layers of at least 0, got {hidden} and {layers}.")
    if layers != 1 and not isinstance(hidden, int):
        raise UserMistake(f"MLP takes a width and a number of layers, or a tuple of widths: {hidden} says both.")
    return widths


def _is_rectifier(activation: Callable[[Replicas], Layer]) -> bool:
    kind = activation.func if isinstance(activation, partial) else activation
    return kind in (Relu, LeakyRelu, Gelu)

"""Multilayer perceptrons: affine layers with an activation and dropout between them."""

from __future__ import annotations

from itertools import pairwise

from searchlab.backend import Array
from searchlab.data import Batch
from searchlab.nn import Affine, Carry, Chain, Dropout, Layer, Model, Relu, SoftmaxCrossEntropy, glorot, he
from searchlab.replicas import PerReplica, Replicas


class Mlp(Model):
    """A classifier with `layers` hidden layers of `hidden` units (Deep Learning from Scratch 1, chapters 3 to 6)."""

    def __init__(
        self,
        replicas: Replicas,
        features: int,
        classes: int,
        *,
        hidden: int = 64,
        layers: int = 1,
        activation: type[Layer] = Relu,
        dropout: PerReplica = 0.0,
    ) -> None:
        initial = he if activation is Relu else glorot
        widths = [features] + [hidden] * layers
        stack: list[Layer] = []
        for n_in, n_out in pairwise(widths):
            stack += [Affine(replicas, n_in, n_out, initial=initial), activation(), Dropout(replicas, dropout)]
        self.layers = Chain(*stack, Affine(replicas, widths[-1], classes, initial=glorot))
        self.loss = SoftmaxCrossEntropy()

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        return self.loss.forward(self.layers.forward(batch.x, train=train), batch.y), None

    def backward(self) -> None:
        self.layers.backward_parameters(self.loss.backward())

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.layers.forward(batch.x, train=False), None

"""A network of this project: no node has it before the project is shipped there."""

from __future__ import annotations

from searchlab.backend import Array
from searchlab.data import Batch
from searchlab.nn import Affine, Carry, Model, Sequential, Sigmoid, SoftmaxCrossEntropy
from searchlab.replicas import Replicas


class Small(Model):
    """One hidden layer of sigmoids."""

    def __init__(self, replicas: Replicas, features: int, outputs: int, *, hidden: int = 10) -> None:
        first, last = Affine(replicas, features, hidden), Affine(replicas, hidden, outputs)
        self.layers = Sequential(first, Sigmoid(replicas), last)
        self.loss = SoftmaxCrossEntropy(replicas)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        return self.loss.forward(self.layers.forward(batch.x, train=train), batch.y), None

    def backward(self) -> None:
        self.layers.backward_parameters(self.loss.backward())

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.layers.forward(batch.x, train=False), None

"""The smallest model that trains, for examples and tests that need any model."""

from __future__ import annotations

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.nn.affine import Affine
from searchlab.nn.losses import SoftmaxCrossEntropy
from searchlab.nn.module import Carry, Model
from searchlab.replicas import Replicas


class LinearModel(Model):
    """A linear classifier of rows: one affine layer and the softmax cross-entropy.

    Args:
        replicas: The R replicas.
        features: Inputs per row.
        classes: Number of classes.
    """

    def __init__(self, replicas: Replicas, features: int, classes: int) -> None:
        self.affine = Affine(replicas, features, classes)
        self.loss = SoftmaxCrossEntropy(replicas)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        return self.loss.forward(self.affine.forward(batch.x, train=train), batch.y), None

    def backward(self) -> None:
        self.affine.backward_parameters(self.loss.backward())

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.affine.forward(batch.x, train=False), None

    def loss_of(self, scores: Array, targets: Array) -> Array | None:
        return self.loss.forward(scores, targets)

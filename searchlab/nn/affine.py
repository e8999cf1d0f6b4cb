"""The affine layer: R weight matrices in one product."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, ones_row, xp_of
from searchlab.nn.initializers import Initializer, he_normal
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas


class Affine(Layer):
    """A fully connected layer, y = x W + b over the last axis: x (R, ..., I) to y (R, ..., O).

    Args:
        replicas: The replicas, which draw the weights.
        in_features: Size I of each input.
        out_features: Size O of each output.
        initializer: Draws the initial weights; default `he_normal`. Biases start at 0.

    Attributes:
        W: Weights (R, I, O).
        b: Biases (R, 1, O).

    Reference:
        Deep Learning from Scratch 1, section 5.6.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Affine, Replicas
        >>> affine = Affine(Replicas([1, 2]), 4, 3)
        >>> affine.forward(np.ones((2, 5, 4), np.float32), train=False).shape
        (2, 5, 3)
    """

    def __init__(
        self, replicas: Replicas, in_features: int, out_features: int, *, initializer: Initializer = he_normal
    ) -> None:
        self.W = Parameter(initializer(replicas, in_features, out_features), apply_weight_decay=True)
        self.b = Parameter(replicas.zeros(1, out_features))

    def forward(self, x: Array, *, train: bool) -> Array:
        self._x = as_matrices(x)  # (R, N, I)
        y: Array = xp_of(x).matmul(self._x, self.W.value)
        y += self.b.value
        return y if x.ndim == 3 else y.reshape(*x.shape[:-1], y.shape[-1])

    def backward(self, dy: Array) -> Array:
        self.backward_parameters(dy)
        dx: Array = xp_of(dy).matmul(as_matrices(dy), self.W.value.swapaxes(1, 2))
        return dx if dy.ndim == 3 else dx.reshape(*dy.shape[:-1], dx.shape[-1])

    def backward_parameters(self, dy: Array) -> None:
        dy = as_matrices(dy)
        self.W.add_gradient_product(self._x.swapaxes(1, 2), dy)
        self.b.add_gradient_product(ones_row(xp_of(dy), dy.dtype, dy.shape[1]), dy)

"""The affine layer: R weight matrices in one product."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, ones_row, xp_of
from searchlab.nn.initializers import Initial, he_normal
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas


class Affine(Layer):
    """y = x W + b over the last axis: x (R, ..., I), W (R, I, O), b (R, 1, O), y (R, ..., O)."""

    def __init__(self, replicas: Replicas, n_in: int, n_out: int, *, initial: Initial = he_normal) -> None:
        self.W = Parameter(initial(replicas, n_in, n_out), decays=True)
        self.b = Parameter(replicas.zeros(1, n_out))

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
        self.W.learn_product(self._x.swapaxes(1, 2), dy)
        self.b.learn_product(ones_row(xp_of(dy), dy.dtype, dy.shape[1]), dy)

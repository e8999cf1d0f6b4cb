"""Layers that act on each number alone: activations and dropout."""

from __future__ import annotations

import math

from searchlab.backend import Array, xp_of
from searchlab.nn.module import Layer
from searchlab.replicas import PerReplica, Replicas, align

GELU_SCALE, GELU_CUBE = (2.0 / math.pi) ** 0.5, 0.044715


class Relu(Layer):
    """y = max(x, 0)."""

    def __init__(self, replicas: Replicas) -> None:
        self._zeros: Array | None = None

    def forward(self, x: Array, *, train: bool) -> Array:
        xp = xp_of(x)
        if self._zeros is None or self._zeros.shape[1:] != x.shape[1:]:
            # one replica's worth of zeros: NumPy's maximum of two arrays is 3 times as fast as of an array and a number
            self._zeros = xp.zeros((1, *x.shape[1:]), dtype=x.dtype)
        y: Array = xp.maximum(x, self._zeros)
        self._y = y
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * (self._y > 0.0)
        return dx


class LeakyRelu(Layer):
    """y = x where x > 0, else slope x (Maas, Hannun and Ng 2013); the slope is 0.3 in Keras and 0.01 in the paper."""

    def __init__(self, replicas: Replicas, *, slope: PerReplica = 0.01) -> None:
        self.slope = replicas.vector(slope)  # (R,)

    def forward(self, x: Array, *, train: bool) -> Array:
        xp = xp_of(x)
        self._gain = xp.where(x > 0.0, xp.ones((), x.dtype), align(self.slope, x))  # (R, ...)
        y: Array = x * self._gain
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * self._gain
        return dx


class Gelu(Layer):
    """y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the closed form of Hendrycks and Gimpel 2016."""

    def forward(self, x: Array, *, train: bool) -> Array:
        self._x, self._square = x, x * x
        inner = self._square * (GELU_CUBE * GELU_SCALE)
        inner += GELU_SCALE
        inner *= x
        self._tanh = xp_of(x).tanh(inner, out=inner)
        y: Array = 0.5 * x
        y += y * self._tanh
        return y

    def backward(self, dy: Array) -> Array:
        slope = self._square * (3.0 * GELU_CUBE * GELU_SCALE)
        slope += GELU_SCALE  # of what tanh is taken of
        slope *= 1.0 - self._tanh * self._tanh
        slope *= self._x
        slope += 1.0 + self._tanh
        slope *= 0.5
        slope *= dy
        dx: Array = slope
        return dx


class Tanh(Layer):
    """y = tanh(x)."""

    def forward(self, x: Array, *, train: bool) -> Array:
        y: Array = xp_of(x).tanh(x)
        self._y = y
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._y * self._y
        xp_of(dy).subtract(1.0, dx, out=dx)
        dx *= dy
        return dx


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)), computed as (1 + tanh(x / 2)) / 2, which cannot overflow."""

    def forward(self, x: Array, *, train: bool) -> Array:
        self._y: Array = x * 0.5
        xp_of(x).tanh(self._y, out=self._y)
        self._y += 1.0
        self._y *= 0.5
        return self._y

    def backward(self, dy: Array) -> Array:
        dx: Array = 1.0 - self._y
        dx *= self._y
        dx *= dy
        return dx

"""Activation layers: functions of each number alone."""

from __future__ import annotations

import math

import numpy as np

from searchlab.backend import Array, xp_of
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.module import Layer
from searchlab.replicas import PerReplica, Replicas, align

GELU_SCALE, GELU_CUBIC = (2.0 / math.pi) ** 0.5, 0.044715


class Relu(Layer):
    """The rectified linear unit: y = max(x, 0).

    Args:
        replicas: The replicas; the layer draws nothing.

    Reference:
        Deep Learning from Scratch 1, section 3.2.

    Example:
        >>> from searchlab import Relu
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> Relu(Replicas([1])).forward(np.array([[[-2.0, 3.0]]]), train=False).tolist()
        [[[0.0, 3.0]]]
    """

    def __init__(self, replicas: Replicas) -> None:
        self._zeros: Array | None = None

    def forward(self, x: Array, *, train: bool) -> Array:
        xp = xp_of(x)
        if self._zeros is None or self._zeros.shape[1:] != x.shape[1:]:
            # zeros for one replica: NumPy's maximum of two arrays is 3 times as fast as of an array and a number
            self._zeros = xp.zeros((1, *x.shape[1:]), dtype=x.dtype)
        y: Array = xp.maximum(x, self._zeros)
        self._y = y
        return y

    def backward(self, dy: Array) -> Array:
        if uses_compiled(dy) and uses_compiled(self._y):
            dx: Array = np.empty(dy.shape, np.float32)
            compiled("relu").relu_gradient(self._y.reshape(-1), dy.reshape(-1), dx.reshape(-1))
            return dx
        dx = dy * (self._y > 0.0)
        return dx


class LeakyRelu(Layer):
    """The leaky rectified linear unit: y = x where x > 0, else slope x.

    Args:
        replicas: The replicas; the layer draws nothing.
        slope: Derivative below 0; default 0.01 as in the paper (Keras: 0.3).

    Reference:
        Maas, Hannun and Ng (2013).

    Example:
        >>> from searchlab import LeakyRelu
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> LeakyRelu(Replicas([1]), slope=0.5).forward(np.array([[[-2.0, 3.0]]]), train=False).tolist()
        [[[-1.0, 3.0]]]
    """

    def __init__(self, replicas: Replicas, *, slope: PerReplica = 0.01) -> None:
        self.slope = replicas.vector(slope)  # (R,)

    def forward(self, x: Array, *, train: bool) -> Array:
        xp = xp_of(x)
        self._derivative = xp.where(x > 0.0, xp.ones((), x.dtype), align(self.slope, x))  # (R, ...)
        y: Array = x * self._derivative
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * self._derivative
        return dx


class Gelu(Layer):
    """The Gaussian error linear unit: y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    This is the paper's approximation by tanh.

    Args:
        replicas: The replicas; the layer draws nothing.

    Reference:
        Hendrycks and Gimpel (2016).

    Example:
        >>> from searchlab import Gelu
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> Gelu(Replicas([1])).forward(np.array([[[-1.0, 0.0, 1.0]]]), train=False).round(3).tolist()
        [[[-0.159, 0.0, 0.841]]]
    """

    def forward(self, x: Array, *, train: bool) -> Array:
        self._x, self._square = x, x * x
        inner = self._square * (GELU_CUBIC * GELU_SCALE)
        inner += GELU_SCALE
        inner *= x
        self._tanh = xp_of(x).tanh(inner, out=inner)
        y: Array = 0.5 * x
        y += y * self._tanh
        return y

    def backward(self, dy: Array) -> Array:
        derivative = self._square * (3.0 * GELU_CUBIC * GELU_SCALE)
        derivative += GELU_SCALE  # so far that of the argument of tanh
        derivative *= 1.0 - self._tanh * self._tanh
        derivative *= self._x
        derivative += 1.0 + self._tanh
        derivative *= 0.5
        derivative *= dy
        dx: Array = derivative
        return dx


class Tanh(Layer):
    """The hyperbolic tangent: y = tanh(x).

    Args:
        replicas: The replicas; the layer draws nothing.

    Example:
        >>> from searchlab import Tanh
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> Tanh(Replicas([1])).forward(np.array([[[0.0, 1.0]]]), train=False).round(3).tolist()
        [[[0.0, 0.762]]]
    """

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
    """The logistic function: y = 1 / (1 + exp(-x)), computed as (1 + tanh(x / 2)) / 2, which cannot overflow.

    Args:
        replicas: The replicas; the layer draws nothing.

    Reference:
        Deep Learning from Scratch 1, section 3.2.

    Example:
        >>> from searchlab import Sigmoid
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> Sigmoid(Replicas([1])).forward(np.array([[[0.0, 2.0]]]), train=False).round(3).tolist()
        [[[0.5, 0.881]]]
    """

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

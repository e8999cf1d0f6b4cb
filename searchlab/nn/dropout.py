"""Dropout, with one rate per replica."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, to_host
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.module import Layer
from searchlab.replicas import PerReplica, Replicas, align


class Dropout(Layer):
    """Inverted dropout: training zeroes each number with probability `rate` and scales the rest by 1 / (1 - rate).

    Outside training the layer returns its input.

    Args:
        replicas: The replicas, which draw the masks.
        rate: Probability of a zero, in [0, 1); default 0.5.
        variational: Whether x is (R, T, B, F) and the same features are dropped at all time steps of a window; default
            False.

    Raises:
        ValueError: When a rate lies outside [0, 1).

    Reference:
        Srivastava et al. (2014); for `variational`, Gal and Ghahramani (2016).

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Dropout, Replicas
        >>> dropout = Dropout(Replicas([1]), rate=0.5)
        >>> sorted(set(dropout.forward(np.ones((1, 8, 8), np.float32), train=True).ravel().tolist()))
        [0.0, 2.0]
    """

    def __init__(self, replicas: Replicas, rate: PerReplica = 0.5, *, variational: bool = False) -> None:
        self.replicas, self.variational = replicas, variational
        self.rate = replicas.vector(rate)  # (R,)
        rates = to_host(self.rate)
        if not ((rates >= 0.0) & (rates < 1.0)).all():
            raise ValueError(f"Dropout needs a rate in [0, 1); got {rates.tolist()}")
        self._scale = 1.0 / (1.0 - self.rate)  # (R,)
        self._is_active = bool(rates.any())  # from the constructor's numbers: a step must not wait for the device

    def forward(self, x: Array, *, train: bool) -> Array:
        self._mask = None
        if not train:
            return x
        if not self._is_active:
            self.replicas.skip_draw()
            return x
        shape = (x.shape[0], 1, *x.shape[2:]) if self.variational else x.shape
        if uses_compiled(x):
            self._mask = self._compiled_mask(shape)
            scaled: Array = x * self._mask
            return scaled
        is_dropped = self.replicas.bernoulli(self.rate, shape)
        self._mask = align(self._scale, x) * ~is_dropped  # (R, ...): 0 or 1 / (1 - rate)
        y: Array = x * self._mask
        return y

    def _compiled_mask(self, shape: tuple[int, ...]) -> Array:
        """Return 0 or 1 / (1 - rate) for each number (R, ...): what `Replicas.bernoulli` draws, in one pass."""
        mask = np.empty((shape[0], int(np.prod(shape[1:]))), np.float32)
        thresholds = self.replicas.thresholds_16(self.rate)
        compiled("dropout").dropout_mask(mask, *self.replicas.next_keys(), thresholds, self._scale)
        return mask.reshape(shape)

    def backward(self, dy: Array) -> Array:
        if self._mask is None:
            return dy
        dx: Array = dy * self._mask
        return dx

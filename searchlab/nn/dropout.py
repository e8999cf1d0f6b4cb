"""Dropout, with a rate of its own for each replica."""

from __future__ import annotations

from searchlab.backend import Array, to_host
from searchlab.nn.module import Layer
from searchlab.replicas import PerReplica, Replicas, align


class Dropout(Layer):
    """Zeroes each number with probability `rate` in training and scales the rest by 1 / (1 - rate).

    Inverted dropout (Srivastava et al. 2014): nothing happens outside training. With `over_time`, x is (R, T, B, F) and
    the same features are dropped at all moments of a window (Gal and Ghahramani 2016). Raises ValueError for a rate
    outside [0, 1).
    """

    def __init__(self, replicas: Replicas, rate: PerReplica = 0.5, *, over_time: bool = False) -> None:
        self.replicas, self.over_time = replicas, over_time
        self.rate = replicas.vector(rate)  # (R,)
        rates = to_host(self.rate)
        if not ((rates >= 0.0) & (rates < 1.0)).all():
            raise ValueError(f"a dropout rate lies in [0, 1); got {rates.tolist()}")
        self._scale = 1.0 / (1.0 - self.rate)  # (R,)
        self._active = bool(rates.any())  # known from the constructor's numbers: no device is asked in a step

    def forward(self, x: Array, *, train: bool) -> Array:
        self._mask = None
        if not train:
            return x
        if not self._active:
            self.replicas.skip_draw()
            return x
        shape = (x.shape[0], 1, *x.shape[2:]) if self.over_time else x.shape
        dropped = self.replicas.dropped(self.rate, shape)
        self._mask = align(self._scale, x) * ~dropped  # (R, ...): 0 or 1 / (1 - rate)
        y: Array = x * self._mask
        return y

    def backward(self, dy: Array) -> Array:
        if self._mask is None:
            return dy
        dx: Array = dy * self._mask
        return dx

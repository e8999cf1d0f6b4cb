"""Positions in a sequence as sines and cosines: added to vectors, or by which vectors are rotated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from searchlab.backend import Array, to_device, xp_of
from searchlab.errors import UserMistake
from searchlab.nn.module import Layer, Module
from searchlab.replicas import Replicas

LONGEST_WAVELENGTH = 10_000.0  # times 2 pi positions
FIRST_POSITIONS = 64  # positions of the first table, which doubles where it is too short


class PositionalEncoding(Layer):
    """Sinusoidal positions: adds to the vector of position t the sines and cosines of t at F / 2 frequencies.

    Features 2 i and 2 i + 1 get sin and cos of t / 10,000^(2 i / F), as in the paper. Nothing is trained, and there is
    no longest sequence.

    Args:
        replicas: The replicas; the layer draws nothing.
        features: Size F of each vector, even.

    Raises:
        UserMistake: When the number of features is odd or below 2.

    Reference:
        Vaswani et al. (2017), section 3.5.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import PositionalEncoding, Replicas
        >>> positions = PositionalEncoding(Replicas([1]), features=2)
        >>> y = positions.forward(np.zeros((1, 3, 1, 2), np.float32), train=False)
        >>> y[0, :, 0].astype(float).round(2).tolist()
        [[0.0, 1.0], [0.84, 0.54], [0.91, -0.42]]
    """

    def __init__(self, replicas: Replicas, features: int) -> None:
        _require_pairs(self, features)
        self.features = features
        self._table = _PositionTable(replicas, replicas.dtype, self._encodings)

    def forward(self, x: Array, *, train: bool, start: int = 0) -> Array:
        """Return the vectors plus their positions.

        Args:
            x: Vectors (R, T, B, F).
            train: Not used: the layer is the same in training and outside it.
            start: Position of the first time step; default 0.
        """
        y: Array = x + self._table.read(start, x.shape[1])
        return y

    def backward(self, dy: Array) -> Array:
        return dy

    def _encodings(self, positions: int) -> Array:
        angles = _angles(positions, self.features)
        return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(positions, self.features)


class RotaryEncoding(Module):
    """Rotary positions: rotates each vector by the angles of its position, so that products depend on distances only.

    Each head has D = F / heads of the F features. Its features 2 i and 2 i + 1 at position t, as a point of a plane,
    are rotated by t / 10,000^(2 i / D) radians. The product of a query at position s with a key at position t then
    depends on s - t and on no position itself. Nothing is trained.

    Args:
        replicas: The replicas; nothing is drawn.
        features: Size F of each vector.
        heads: Number of heads; default 1.

    Raises:
        UserMistake: When the number of features of a head is odd or below 2.

    Reference:
        Su et al. (2021).

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Replicas, RotaryEncoding
        >>> rotary = RotaryEncoding(Replicas([1]), features=2)
        >>> x = np.array([[[[1.0, 0.0]]] * 3], np.float32)  # the same vector at positions 0, 1 and 2
        >>> rotary.forward(x)[0, :, 0].astype(float).round(2).tolist()
        [[1.0, 0.0], [0.54, 0.84], [-0.42, 0.91]]
    """

    def __init__(self, replicas: Replicas, features: int, heads: int = 1) -> None:
        _require_pairs(self, features // heads)
        self.features, self.heads = features // heads, heads
        self._complex = np.result_type(replicas.dtype, np.complex64)
        self._rotations = _PositionTable(replicas, self._complex, lambda positions: self._factors(positions, 1.0))
        self._inverses = _PositionTable(replicas, self._complex, lambda positions: self._factors(positions, -1.0))

    def forward(self, x: Array, *, start: int = 0) -> Array:
        """Return the rotated vectors.

        Args:
            x: Vectors (R, T, B, F).
            start: Position of the first time step; default 0.
        """
        return self._multiply(x, self._rotations.read(start, x.shape[1]))

    def backward(self, dy: Array, *, start: int = 0) -> Array:
        """Return the gradient by the vectors: dy (R, T, B, F) rotated back."""
        return self._multiply(dy, self._inverses.read(start, dy.shape[1]))

    def _multiply(self, x: Array, factors: Array) -> Array:
        product: Array = xp_of(x).ascontiguousarray(x).view(self._complex) * factors
        return product.view(x.dtype)

    def _factors(self, positions: int, direction: float) -> Array:
        """Return the complex numbers (positions, F / 2) that rotate when multiplied."""
        return np.tile(np.exp(1j * direction * _angles(positions, self.features)), self.heads)


class _PositionTable:
    """Values of each position (1, positions, 1, K) on the device, made once, and anew where there are too few."""

    def __init__(self, replicas: Replicas, dtype: Any, build: Callable[[int], Array]) -> None:
        self._device, self._dtype, self._build = replicas.device, dtype, build
        self._table: Array | None = None

    def read(self, start: int, count: int) -> Array:
        """Return the values (1, count, 1, K) of the positions from `start` on."""
        positions = 0 if self._table is None else self._table.shape[1]
        if self._table is None or positions < start + count:
            values = self._build(max(start + count, 2 * positions, FIRST_POSITIONS))
            self._table = to_device(values.astype(self._dtype)[None, :, None], self._device)
        part: Array = self._table[:, start : start + count]
        return part


def _require_pairs(owner: object, features: int) -> None:
    if features < 2 or features % 2:
        raise UserMistake(f"{type(owner).__name__} needs an even number of features, at least 2; got {features}.")


def _angles(positions: int, features: int) -> Array:
    """Return the angles (positions, F / 2): t / 10,000^(2 i / F) radians of position t in pair i, on the host."""
    frequencies = LONGEST_WAVELENGTH ** (-np.arange(0, features, 2) / features)
    angles: Array = np.arange(positions)[:, None] * frequencies
    return angles

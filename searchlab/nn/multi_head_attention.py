"""Multi-head attention: scaled dot-product attention of several heads side by side, to itself or to a source."""

from __future__ import annotations

import math
from typing import TypeAlias

from searchlab.backend import Array, row_maxima, row_sums, xp_of
from searchlab.errors import UserMistake
from searchlab.nn.affine import Affine
from searchlab.nn.initializers import Initializer, lecun_normal
from searchlab.nn.module import Module
from searchlab.nn.positional_encoding import RotaryEncoding
from searchlab.replicas import Replicas

KeysValues: TypeAlias = tuple[Array, Array]
"""The keys and the values (R, T_in, B, F) of a sequence, all heads side by side: attention need not read it again."""


def causal_mask(like: Array, steps: int, *, past: int = 0, context: int | None = None) -> Array:
    """Return which positions each time step may attend to: itself and those before it.

    Args:
        like: An array of the device.
        steps: Number T of time steps.
        past: Number P of positions before the first time step; default 0.
        context: Number of positions that a time step attends to at most, with itself; default None, all.

    Returns:
        Booleans (T, P + T).

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import causal_mask
        >>> causal_mask(np.zeros(1), 2, past=1).astype(int).tolist()
        [[1, 1, 0], [1, 1, 1]]
    """
    xp = xp_of(like)
    ages = (xp.arange(steps) + past)[:, None] - xp.arange(past + steps)  # (T, P + T): 0 is the time step itself
    mask: Array = ages >= 0
    return mask if context is None else mask & (ages < context)


class MultiHeadAttention(Module):
    """Multi-head attention: each head averages the values of a source, weighted by softmax(query . key / sqrt(D)).

    Queries are affine in x (R, T, B, F), keys and values in the source, which is x itself where none is given
    (self-attention). Each of the heads has D = F / heads of their features; their results are joined and go through a
    last affine layer. All time steps are one product.

    Args:
        replicas: The replicas, which draw the weights.
        width: Size F of each vector.
        heads: Number of heads, which divides the width.
        rotary: Whether queries and keys of self-attention are rotated by their positions (`RotaryEncoding`); default
            False.
        initializer: Draws the weights of the four affine layers; default `lecun_normal`. Biases start at 0.

    Attributes:
        query: Affine layer of the queries; `key`, `value` and `output` are the others.
        weights: The weights (R, B, heads, T, T_in) of the latest pass, which sum to 1 over T_in.

    Raises:
        UserMistake: When the heads do not divide the width, or rotary positions meet an odd number of features.

    Reference:
        Vaswani et al. (2017), section 3.2.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import MultiHeadAttention, Replicas
        >>> attention = MultiHeadAttention(Replicas([1, 2]), width=8, heads=2)
        >>> x, source = np.ones((2, 5, 3, 8), np.float32), np.ones((2, 6, 3, 8), np.float32)
        >>> attention.forward(x, source, train=False)[0].shape, attention.weights.shape
        ((2, 5, 3, 8), (2, 3, 2, 5, 6))
    """

    weights: Array

    def __init__(
        self,
        replicas: Replicas,
        width: int,
        heads: int,
        *,
        rotary: bool = False,
        initializer: Initializer = lecun_normal,
    ) -> None:
        if heads < 1 or width < 1 or width % heads:
            raise UserMistake(f"MultiHeadAttention needs heads that divide the width; got {heads} and {width}.")
        self.heads, self._scale = heads, (width // heads) ** -0.5
        self.query, self.key, self.value, self.output = (
            Affine(replicas, width, width, initializer=initializer) for _ in range(4)
        )
        self.rotary = RotaryEncoding(replicas, width, heads) if rotary else None

    def forward(
        self,
        x: Array,
        source: Array | None = None,
        *,
        past: KeysValues | None = None,
        mask: Array | None = None,
        train: bool,
    ) -> tuple[Array, KeysValues]:
        """Return what the heads have read, and the keys and values of the past and the source.

        Args:
            x: Vectors (R, T, B, F), each of which is a query.
            source: Vectors (R, T_in, B, F) to attend to; default None, x itself.
            past: Keys and values that precede those of the source, and count as constants; default None.
            mask: Which places may be attended to, booleans that broadcast to (R, B, heads, T, past + T_in); at least
                one for each query. Default None, all.
            train: Not used: the layer is the same in training and outside it.

        Returns:
            Vectors (R, T, B, F), and the keys and values.

        Raises:
            ValueError: When there is a source, and positions are rotary: those of two sequences have no distances.
        """
        if source is not None and self.rotary is not None:
            raise ValueError("attention with rotary positions is to x itself, and got a source")
        self._is_self_attention = source is None
        keys, values = self.keys_values(x if source is None else source, train=train)
        if past is not None:
            xp = xp_of(x)
            keys, values = (xp.concatenate(pair, axis=1) for pair in zip(past, (keys, values), strict=True))
        return self.attend(x, (keys, values), mask=mask, train=train), (keys, values)

    def keys_values(self, source: Array, *, train: bool) -> KeysValues:
        """Return the keys and values of a source (R, T_in, B, F)."""
        self._source_steps = source.shape[1]
        return self.key.forward(source, train=train), self.value.forward(source, train=train)

    def attend(self, x: Array, keys_values: KeysValues, *, mask: Array | None = None, train: bool) -> Array:
        """Return what `forward` returns for keys and values that are known: the source is not read again.

        Args:
            x: Vectors (R, T, B, F), the last of the sequence where they attend to themselves.
            keys_values: What `forward` or `keys_values` returned.
            mask: As in `forward`; default None.
            train: Not used.
        """
        xp, (keys, values) = xp_of(x), keys_values
        queries, self._start = self.query.forward(x, train=train), keys.shape[1] - x.shape[1]
        if self.rotary is not None:
            queries, keys = self.rotary.forward(queries, start=self._start), self.rotary.forward(keys)
        queries *= self._scale
        self._queries, self._keys, self._values = (self._split(each) for each in (queries, keys, values))
        scores = xp.matmul(self._queries, self._keys.swapaxes(3, 4))  # (R, B, heads, T, T_in)
        if mask is not None:
            scores += xp.where(mask, 0.0, -math.inf).astype(scores.dtype)
        self.weights = _softmax(scores)
        self._read = self._join(xp.matmul(self.weights, self._values))
        return self.output.forward(self._read, train=train)

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        """Set the gradients of the weights, and return those of x and of the source, from dy (R, T, B, F).

        The gradient of the source is None where it was x itself, whose gradient then has both parts.
        """
        xp = xp_of(dy)
        joined = self.output.backward(dy)
        dread = self._split(joined)  # (R, B, heads, T, D)
        dscores = xp.matmul(dread, self._values.swapaxes(3, 4))
        # the softmax: minus the sum of weights * dscores, which is the product of what was read with its gradient
        dscores -= self._split(joined * self._read).sum(axis=4, keepdims=True)
        dscores *= self.weights
        dqueries = self._join(xp.matmul(dscores, self._keys))
        dqueries *= self._scale
        dkeys = self._join(xp.matmul(dscores.swapaxes(3, 4), self._queries))
        dvalues = self._join(xp.matmul(self.weights.swapaxes(3, 4), dread))
        if self.rotary is not None:
            dqueries, dkeys = self.rotary.backward(dqueries, start=self._start), self.rotary.backward(dkeys)
        past = dkeys.shape[1] - self._source_steps  # positions that count as constants
        dx = self.query.backward(dqueries)
        dsource = self.key.backward(dkeys[:, past:])
        dsource += self.value.backward(dvalues[:, past:])
        if self._is_self_attention:
            dx += dsource
            return dx, None
        return dx, dsource

    def _split(self, x: Array) -> Array:
        """Return x (R, T, B, F) as heads (R, B, heads, T, D), without a copy."""
        R, T, B, F = x.shape
        split: Array = x.reshape(R, T, B, self.heads, F // self.heads).swapaxes(1, 2).swapaxes(2, 3)
        return split

    def _join(self, heads: Array) -> Array:
        """Return heads (R, B, heads, T, D) as (R, T, B, F)."""
        R, B, H, T, D = heads.shape
        joined: Array = heads.swapaxes(2, 3).swapaxes(1, 2).reshape(R, T, B, H * D)
        return joined


def _rows(scores: Array) -> Array:
    """Return scores (R, B, heads, T, T_in) as (R, B heads T, T_in)."""
    rows: Array = scores.reshape(len(scores), -1, scores.shape[-1])
    return rows


def _softmax(scores: Array) -> Array:
    """Return the softmax (R, B, heads, T, T_in) over the last axis; the scores may be overwritten."""
    xp, rows = xp_of(scores), _rows(scores)
    rows -= row_maxima(rows)
    xp.exp(rows, out=rows)
    rows /= row_sums(rows)
    return rows.reshape(scores.shape)

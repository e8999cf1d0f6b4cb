"""Attention of a decoder's hidden states over those of an encoder."""

from __future__ import annotations

import math
from typing import Literal, get_args

from searchlab.backend import Array, as_matrices, xp_of
from searchlab.errors import UserMistake
from searchlab.nn.initializers import lecun_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas

ScoreFunction = Literal["dot", "scaled", "general", "additive"]
MASKED_SCORE = -1e30  # of a place that holds no token
MIN_LOG_WEIGHT = -60.0  # smaller ones would underflow in the products of the backward pass


class Attention(Module):
    """Attention: for each query, the mean of the hidden states of an encoder, weighted by the softmax of its scores.

    The score of a query h and a state s is h·s ("dot"), h·s / sqrt(H) ("scaled"), h W·s ("general"), or
    v·tanh(h W + s U) ("additive"). The queries of all time steps are multiplied in one product. Returned arrays are
    valid until the next pass.

    Args:
        replicas: The replicas, which draw the weights.
        hidden_size: Size H of queries and states.
        score: "dot" (default), "scaled", "general" or "additive".

    Attributes:
        weights: Weights (R, B, T, S) of the latest pass: how much the query at time step t attends to state s.

    Raises:
        UserMistake: When the score function is not known.

    Reference:
        Bahdanau, Cho and Bengio (2015), additive; Luong, Pham and Manning (2015), dot and general; Vaswani et al.
        (2017), scaled; Deep Learning from Scratch 2, section 8.1.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Attention, Replicas
        >>> queries, states = np.ones((2, 3, 5, 4), np.float32), np.ones((2, 7, 5, 4), np.float32)
        >>> attention = Attention(Replicas([1, 2]), 4)
        >>> attention.forward(queries, states).shape, attention.weights.shape
        ((2, 3, 5, 4), (2, 5, 3, 7))
    """

    def __init__(self, replicas: Replicas, hidden_size: int, *, score: ScoreFunction = "dot") -> None:
        if score not in get_args(ScoreFunction):
            raise UserMistake(f"Attention needs a score of {', '.join(get_args(ScoreFunction))}; got {score!r}.")
        self.score, H = score, hidden_size
        self.scale = 1.0 / math.sqrt(H) if score == "scaled" else 1.0
        if score in ("general", "additive"):
            self.W = _Projection(replicas, H)
        if score == "additive":
            self.U = _Projection(replicas, H)
            self.v = Parameter(lecun_normal(replicas, H, 1), apply_weight_decay=True)

    def forward(self, queries: Array, states: Array, mask: Array | None = None, *, train: bool = False) -> Array:
        """Return the weighted means (R, T, B, H).

        Args:
            queries: Hidden states of the decoder (R, T, B, H).
            states: Hidden states of the encoder (R, S, B, H).
            mask: Which of the states (R, S, B) hold tokens; default None, all.
            train: Not used: the layer is the same in training and outside it.
        """
        xp = xp_of(queries)
        self._states = states.swapaxes(1, 2)  # (R, B, S, H)
        scores = self._scores(queries, states)  # (R, B, T, S)
        is_token = None if mask is None else mask.swapaxes(1, 2)[:, :, None]  # (R, B, 1, S)
        if is_token is not None:
            scores = xp.where(is_token, scores, scores.dtype.type(MASKED_SCORE))
        scores -= scores.max(axis=-1, keepdims=True)
        xp.maximum(scores, scores.dtype.type(MIN_LOG_WEIGHT), out=scores)
        self.weights: Array = xp.exp(scores, out=scores)
        if is_token is not None:
            self.weights *= is_token
        self.weights /= self.weights.sum(axis=-1, keepdims=True)
        means: Array = xp.matmul(self.weights, self._states).swapaxes(1, 2)
        return means

    def backward(self, dy: Array) -> tuple[Array, Array]:
        """Set the gradients of the parameters, and return those of the queries and of the states.

        Args:
            dy: Gradient (R, T, B, H) of the weighted means.
        """
        xp, dy = xp_of(dy), dy.swapaxes(1, 2)  # (R, B, T, H)
        dscores = xp.matmul(dy, self._states.swapaxes(2, 3))  # of the weights first
        dscores -= (dscores * self.weights).sum(axis=-1, keepdims=True)
        dscores *= self.weights
        dqueries, dstates = self._scores_backward(dscores)
        dstates += xp.matmul(self.weights.swapaxes(2, 3), dy).swapaxes(1, 2)
        return dqueries, dstates

    def _scores(self, queries: Array, states: Array) -> Array:
        xp = xp_of(queries)
        if self.score == "additive":
            q, s = self.W.forward(queries), self.U.forward(states)
            # (R, B, T, S, H)
            self._tanh = xp.tanh(q.swapaxes(1, 2)[:, :, :, None] + s.swapaxes(1, 2)[:, :, None])
            additive: Array = xp.matmul(as_matrices(self._tanh), self.v.value).reshape(self._tanh.shape[:-1])
            return additive
        projected = self.W.forward(queries) if self.score == "general" else queries
        self._queries = projected.swapaxes(1, 2)  # (R, B, T, H)
        scores: Array = xp.matmul(self._queries, self._states.swapaxes(2, 3))
        scores *= scores.dtype.type(self.scale)
        return scores

    def _scores_backward(self, dscores: Array) -> tuple[Array, Array]:
        """Return the gradients (R, T, B, H) of the queries and (R, S, B, H) of the states by those of the scores."""
        xp = xp_of(dscores)
        if self.score == "additive":
            return self._additive_backward(dscores)
        dscores *= dscores.dtype.type(self.scale)
        dqueries = xp.matmul(dscores, self._states).swapaxes(1, 2)
        dstates: Array = xp.matmul(dscores.swapaxes(2, 3), self._queries).swapaxes(1, 2)
        if self.score == "general":
            dqueries = self.W.backward(dqueries)
        return dqueries, dstates

    def _additive_backward(self, dscores: Array) -> tuple[Array, Array]:
        H = self._tanh.shape[-1]
        flat = dscores.reshape(len(dscores), -1, 1)  # (R, B T S, 1)
        self.v.add_gradient_product(as_matrices(self._tanh).swapaxes(1, 2), flat)
        dz = (flat * self.v.value.reshape(-1, 1, H)).reshape(self._tanh.shape)
        dz *= 1.0 - self._tanh * self._tanh
        dqueries = self.W.backward(dz.sum(axis=3).swapaxes(1, 2))
        dstates = self.U.backward(dz.sum(axis=2).swapaxes(1, 2))
        return dqueries, dstates


class _Projection(Module):
    """A product with a square matrix, without a bias."""

    def __init__(self, replicas: Replicas, size: int) -> None:
        self.W = Parameter(lecun_normal(replicas, size, size), apply_weight_decay=True)

    def forward(self, x: Array) -> Array:
        """Return x W, in the shape of x (R, ..., H)."""
        self._x = as_matrices(x)
        y: Array = xp_of(x).matmul(self._x, self.W.value)
        return y.reshape(x.shape)

    def backward(self, dy: Array) -> Array:
        """Set the gradient of W, and return dx (R, ..., H)."""
        flat = as_matrices(dy)
        self.W.add_gradient_product(self._x.swapaxes(1, 2), flat)
        dx: Array = xp_of(dy).matmul(flat, self.W.value.swapaxes(1, 2))
        return dx.reshape(dy.shape)

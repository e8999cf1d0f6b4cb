"""An embedding: a learned vector for each id."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, take_rows, xp_of
from searchlab.nn.initializers import Initial, random_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas


class Embedding(Module):
    """A vector of W (R, V, F) for each id (Deep Learning from Scratch 2, chapter 4): ids (R, ...) to (R, ..., F)."""

    def __init__(self, replicas: Replicas, words: int, features: int, *, initial: Initial = random_normal) -> None:
        self.W = Parameter(initial(replicas, words, features))

    def forward(self, ids: Array, *, train: bool) -> Array:
        """The vectors (R, ..., F) of ids (R, ...)."""
        xp, (R, _, F) = xp_of(ids), self.W.value.shape
        self._ids = ids.reshape(R, -1)
        vectors: Array = xp.empty((R, self._ids.shape[1], F), dtype=self.W.value.dtype)
        take_rows(self.W.value, self._ids, vectors)
        return vectors.reshape(*ids.shape, F)

    def backward(self, dy: Array) -> None:
        """Sets the gradient of the vectors that were asked for."""
        self.W.learn_rows(self._ids, as_matrices(dy))

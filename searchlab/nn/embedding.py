"""An embedding: one trainable vector per id."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, gather_rows, xp_of
from searchlab.nn.initializers import Initializer, random_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter, SparseParameter
from searchlab.replicas import Replicas


class Embedding(Module):
    """A lookup of one vector per id: ids (R, ...) to vectors (R, ..., F).

    Neither L2 regularization nor weight decay acts on the vectors, unless a `SoftmaxOutput` shares them: rows that a
    batch does not touch would shrink all the same. With sparse gradients it acts on the rows of a batch.

    Args:
        replicas: The replicas, which draw the vectors.
        vocabulary_size: Number V of ids, 0 to V - 1.
        embedding_size: Size F of each vector.
        initializer: Draws the initial vectors; default `random_normal`.
        sparse: Whether an optimizer updates only the vectors of the latest batch (`SparseParameter`); default False.

    Attributes:
        W: Vectors (R, V, F).

    Reference:
        Deep Learning from Scratch 2, chapter 4.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Embedding, Replicas
        >>> Embedding(Replicas([1, 2]), 10, 3).forward(np.zeros((2, 5), int), train=False).shape
        (2, 5, 3)
    """

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        embedding_size: int,
        *,
        initializer: Initializer = random_normal,
        sparse: bool = False,
    ) -> None:
        vectors = initializer(replicas, vocabulary_size, embedding_size)
        self.W: Parameter = SparseParameter(vectors) if sparse else Parameter(vectors)

    def forward(self, ids: Array, *, train: bool) -> Array:
        """Return the vectors (R, ..., F) of ids (R, ...).

        Raises:
            IndexError: When an id lies outside the vocabulary; on the host only, since a device does not check.
        """
        xp, (R, _, F) = xp_of(ids), self.W.value.shape
        self._ids = ids.reshape(R, -1)
        vectors: Array = xp.empty((R, self._ids.shape[1], F), dtype=self.W.value.dtype)
        gather_rows(self.W.value, self._ids, vectors)
        return vectors.reshape(*ids.shape, F)

    def backward(self, dy: Array) -> None:
        """Set the gradient of the vectors of the latest ids, from dy (R, ..., F)."""
        self.W.add_gradient_rows(self._ids, as_matrices(dy))

"""The output layer of a network over words: scores of all words and the cross entropy of their softmax, as one."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, as_matrices, ones_row, row_maxima, row_sums, xp_of
from searchlab.data.batch import IGNORED
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.initializers import Initializer, lecun_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas

CHUNK_SCORES = 2**17  # scores processed together: 512 kB, so that each pass over them finds them in the cache


class SoftmaxOutput(Module):
    """An output layer over V words: scores h W^T + b, and the cross entropy of their softmax, averaged over targets.

    Layer and loss are one, so that the scores (28 MB for 700 targets and 10,000 words) are written once, overwritten by
    their own gradient chunk by chunk, and never copied. Targets of -1 are ignored. Returned arrays are valid until the
    next pass.

    Args:
        replicas: The replicas, which draw the weights.
        hidden_size: Size H of each hidden state.
        vocabulary_size: Number V of words.
        initializer: Draws the initial weights; default `lecun_normal`. Biases start at 0.
        tied_weight: A Parameter (R, V, H) to use as W, such as that of an `Embedding` (tied weights), which then decays
            as weights of a layer do; default None.

    Attributes:
        W: Weights (R, V, H).
        b: Biases (R, 1, V).

    Reference:
        Deep Learning from Scratch 2, chapter 6; for tied weights, Press and Wolf (2017).

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Replicas, SoftmaxOutput
        >>> output = SoftmaxOutput(Replicas([1, 2]), 4, 10)
        >>> h, targets = np.zeros((2, 6, 4), np.float32), np.zeros((2, 6), int)
        >>> loss = output.forward(h, targets, train=True)  # ten words, all equally likely
        >>> loss.round(3).tolist() == [np.log(10).astype(np.float32).round(3)] * 2
        True
    """

    def __init__(
        self,
        replicas: Replicas,
        hidden_size: int,
        vocabulary_size: int,
        *,
        initializer: Initializer = lecun_normal,
        tied_weight: Parameter | None = None,
    ) -> None:
        self.W = tied_weight or Parameter(initializer(replicas, hidden_size, vocabulary_size).swapaxes(1, 2).copy())
        self.W.apply_weight_decay = True  # also where it is tied: as an embedding alone it would not decay
        self.b = Parameter(replicas.zeros(1, vocabulary_size))
        self._buffer: Array = replicas.zeros(0, vocabulary_size)  # (R, N, V): the scores, then their gradient

    def forward(self, h: Array, targets: Array, *, train: bool) -> Array:
        """Return the mean loss in nats per target that is not ignored.

        Args:
            h: Hidden states (R, ..., H).
            targets: Ids of words (R, ...), or -1 for a target to ignore.
            train: Whether a backward pass may follow.

        Returns:
            The loss of each replica (R,); 0 where all targets are ignored.
        """
        xp, labels = xp_of(h), targets.reshape(len(targets), -1)  # (R, N)
        self._h, self._shape = as_matrices(h), h.shape
        scores = self._scores(self._h)
        is_counted = labels != IGNORED
        total = xp.maximum(is_counted.sum(axis=1, keepdims=True), 1).astype(h.dtype)  # (R, 1)
        weights = is_counted / total  # (R, N): the weight of each target in the mean
        losses: Array
        if uses_compiled(scores):
            losses = self._compiled_losses(scores, labels, weights.astype(h.dtype), train)
        else:
            losses = xp.empty(labels.shape, dtype=h.dtype)
            for part in _chunks(scores):
                losses[part] = self._losses(scores[part], self.b.value[part[0]], labels[part], weights[part], train)
        loss: Array = (losses * weights).sum(axis=1)
        return loss.astype(h.dtype)

    def backward(self) -> Array:
        """Set the gradients of W and b, and return dh (R, ..., H)."""
        dscores, xp = self._buffer, xp_of(self._h)
        self.W.add_gradient_product(dscores.swapaxes(1, 2), self._h)
        self.b.add_gradient_product(ones_row(xp, dscores.dtype, dscores.shape[1]), dscores)
        dh: Array = xp.matmul(dscores, self.W.value)
        return dh.reshape(self._shape)

    def scores(self, h: Array) -> Array:
        """Return a score for each word (R, ..., V), where larger is likelier, from h (R, ..., H)."""
        scores = self._scores(as_matrices(h))
        scores += self.b.value
        return scores.reshape(*h.shape[:-1], -1)

    def _scores(self, h: Array) -> Array:
        """Return h W^T (R, N, V) without b, in the array of the last pass where the size is the same."""
        xp, shape = xp_of(h), (*h.shape[:2], self.W.value.shape[1])
        if self._buffer.shape != shape:
            self._buffer = xp.empty(shape, dtype=h.dtype)
        scores: Array = xp.matmul(h, self.W.value.swapaxes(1, 2), out=self._buffer)
        return scores

    def _select_own(self, rows: Array) -> None:
        """Discard the scores: the next pass allocates an array for fewer replicas."""
        self._buffer = self._buffer[:, :0].copy()
        super()._select_own(rows)

    def _compiled_losses(self, scores: Array, labels: Array, weights: Array, train: bool) -> Array:
        """Return the losses (R, N) of scores (R, N, V) without b; in training, the scores become their gradient."""
        kernels, labels = compiled("softmax"), np.ascontiguousarray(labels, np.int64)
        losses, smoothing = np.empty(labels.shape, np.float32), np.zeros(len(labels), np.float32)
        kernels.add_biases(scores, np.ascontiguousarray(self.b.value[:, 0]))
        if not kernels.cross_entropy(scores, labels, weights, smoothing, losses, train):
            raise IndexError(f"the vocabulary has {scores.shape[2]} words; got id {labels.max()}")
        return losses

    @staticmethod
    def _losses(scores: Array, b: Array, labels: Array, weights: Array, train: bool) -> Array:
        """Return the losses (r, n) of some scores (r, n, V); in training, overwrite the scores with their gradient."""
        xp = xp_of(scores)
        scores += b
        scores -= row_maxima(scores)
        # an ignored label, -1, selects the last word; its weight is 0
        positions = xp.arange(len(labels))[:, None], xp.arange(labels.shape[1]), labels
        label_scores = scores[positions]
        xp.exp(scores, out=scores)
        total = row_sums(scores)[..., 0]
        if train:
            scores *= (weights / total)[..., None]
            scores[positions] -= weights
        losses: Array = xp.log(total) - label_scores
        return losses


def _chunks(scores: Array) -> list[tuple[slice, slice]]:
    """Split scores (R, N, V) into parts that fit the cache: some replicas, or some rows of one; on a GPU one part."""
    R, N, V = scores.shape
    limit = CHUNK_SCORES if isinstance(scores, np.ndarray) else scores.size
    replicas, rows = max(1, limit // (N * V)), max(1, min(N, limit // V))
    return [(slice(r, r + replicas), slice(n, n + rows)) for r in range(0, R, replicas) for n in range(0, N, rows)]

"""The two ends of a network over words: from ids to vectors, and from vectors to a loss over all words."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, as_matrices, ones_row, row_maxima, row_sums, xp_of
from searchlab.data.batch import IGNORED
from searchlab.nn.initializers import Initial, lecun_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas

AT_ONCE = 2**17  # scores worked on together: 512 kB, so that each of the passes over them finds them in the cache


class SoftmaxOutput(Module):
    """Scores over V words, h W^T + b, and the cross entropy of their softmax: W (R, V, H), which may be an embedding's.

    The two are one, so that the scores (28 MB for 700 targets and 10,000 words) are written once, turned into their own
    gradient where they lie, a cacheful at a time, and never copied. Targets of -1 are ignored. What is returned lasts
    until the next pass.
    """

    def __init__(
        self,
        replicas: Replicas,
        hidden: int,
        words: int,
        *,
        initial: Initial = lecun_normal,
        tied: Parameter | None = None,
    ) -> None:
        self.W = tied or Parameter(initial(replicas, hidden, words).swapaxes(1, 2).copy(), decays=True)
        self.b = Parameter(replicas.zeros(1, words))
        self._buffer: Array = replicas.zeros(0, words)  # (R, N, V): the scores, then their gradient

    def forward(self, h: Array, targets: Array, *, train: bool) -> Array:
        """The mean loss (R,) in nats per target that counts, of h (R, ..., H) for targets (R, ...)."""
        xp, labels = xp_of(h), targets.reshape(len(targets), -1)  # (R, N)
        self._h, self._shape = as_matrices(h), h.shape
        scores = self._scores(self._h)
        counts = labels != IGNORED
        number = xp.maximum(counts.sum(axis=1, keepdims=True), 1).astype(h.dtype)  # (R, 1)
        share = counts / number  # (R, N): what each target weighs in the mean
        losses = xp.empty(labels.shape, dtype=h.dtype)
        for part in _parts(scores):
            losses[part] = self._turn(scores[part], self.b.value[part[0]], labels[part], share[part], train)
        loss: Array = (losses * share).sum(axis=1)
        return loss.astype(h.dtype)

    def backward(self) -> Array:
        """Sets the gradients of W and b and returns dh (R, ..., H)."""
        dscores, xp = self._buffer, xp_of(self._h)
        self.W.learn_product(dscores.swapaxes(1, 2), self._h)
        self.b.learn_product(ones_row(xp, dscores.dtype, dscores.shape[1]), dscores)
        dh: Array = xp.matmul(dscores, self.W.value)
        return dh.reshape(self._shape)

    def scores(self, h: Array) -> Array:
        """What is said of each word (R, ..., V), larger is likelier."""
        scores = self._scores(as_matrices(h))
        scores += self.b.value
        return scores.reshape(*h.shape[:-1], -1)

    def _scores(self, h: Array) -> Array:
        """h W^T (R, N, V) without b, into the array of the last pass where the size is the same."""
        xp, shape = xp_of(h), (*h.shape[:2], self.W.value.shape[1])
        if self._buffer.shape != shape:
            self._buffer = xp.empty(shape, dtype=h.dtype)
        scores: Array = xp.matmul(h, self.W.value.swapaxes(1, 2), out=self._buffer)
        return scores

    def keep_own(self, rows: Array) -> None:
        """Forget the scores: the next pass makes room for those of fewer replicas."""
        self._buffer = self._buffer[:, :0].copy()
        super().keep_own(rows)

    @staticmethod
    def _turn(scores: Array, b: Array, labels: Array, share: Array, train: bool) -> Array:
        """The losses (r, n) of some scores (r, n, V); in training they become their own gradient where they lie."""
        xp = xp_of(scores)
        scores += b
        scores -= row_maxima(scores)
        at = xp.arange(len(labels))[:, None], xp.arange(labels.shape[1]), labels  # -1 is the last word, and weighs 0
        at_label = scores[at]
        xp.exp(scores, out=scores)
        total = row_sums(scores)[..., 0]
        if train:
            scores *= (share / total)[..., None]
            scores[at] -= share
        losses: Array = xp.log(total) - at_label
        return losses


def _parts(scores: Array) -> list[tuple[slice, slice]]:
    """Cut scores (R, N, V) into parts that the cache holds: some replicas, or some rows of one; on a GPU one part."""
    R, N, V = scores.shape
    most = AT_ONCE if isinstance(scores, np.ndarray) else scores.size
    tall, rows = max(1, most // (N * V)), max(1, min(N, most // V))
    return [(slice(r, r + tall), slice(n, n + rows)) for r in range(0, R, tall) for n in range(0, N, rows)]

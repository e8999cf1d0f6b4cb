"""Negative sampling: a word is told apart from a few random ones, in place of a softmax over all words."""

from __future__ import annotations

from searchlab.backend import Array, gather_rows, xp_of
from searchlab.data.batch import IGNORED
from searchlab.errors import UserMistake
from searchlab.nn.initializers import Initializer, random_normal
from searchlab.nn.module import Module
from searchlab.nn.noise_distribution import NoiseDistribution
from searchlab.nn.parameter import Parameter, SparseParameter
from searchlab.replicas import Replicas

SCORING_NEGATIVES = 5  # random words for each target when a model is scored, however many it is trained with


class NegativeSampling(Module):
    """An output layer over V words with the loss -log s(h u_y) - sum of log s(-h u_k), for K random words k.

    s is the sigmoid, and u is a row of W. Random words are drawn with repetition, by their count to the power of 0.75;
    a draw that hits the target has weight 0. When a model is scored, each target has the same five random words in
    every trial: with fewer random words the loss is lower by definition.

    Args:
        replicas: The replicas, which draw the weights and the random words.
        hidden_size: Size H of each hidden state.
        vocabulary_size: Number V of words.
        negatives: Number K of random words for each target in training; default 5.
        initializer: Draws the initial weights; default `random_normal`.
        sparse: Whether a step updates only the rows that its batch reads, see `SparseParameter`; default True.

    Attributes:
        W: Weights (R, V, H).

    Reference:
        Mikolov et al. (2013), Distributed representations of words and phrases; Deep Learning from Scratch 2, section
        4.2.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import NegativeSampling, Replicas
        >>> output = NegativeSampling(Replicas([1, 2]), 3, 10, negatives=4)
        >>> h, targets = np.zeros((2, 6, 3), np.float32), np.zeros((2, 1, 6), int)
        >>> weights, counts = np.full((2, 1, 6), 1 / 6, np.float32), np.array([[0] + [1] * 9])
        >>> loss = output.forward(h, targets, weights, counts, train=True)  # one word and four others, each log(2)
        >>> (loss / np.log(2)).round(3).tolist()
        [5.0, 5.0]
    """

    def __init__(
        self,
        replicas: Replicas,
        hidden_size: int,
        vocabulary_size: int,
        *,
        negatives: int = 5,
        initializer: Initializer = random_normal,
        sparse: bool = True,
    ) -> None:
        table = initializer(replicas, vocabulary_size, hidden_size)
        self.W = SparseParameter(table) if sparse else Parameter(table, apply_weight_decay=True)
        self.negatives, self.noise = negatives, NoiseDistribution(replicas)

    def forward(self, h: Array, targets: Array, weights: Array, frequencies: Array | None, *, train: bool) -> Array:
        """Return the weighted sum of the losses of all targets, (R,), in nats.

        Args:
            h: Hidden states (R, B, H).
            targets: P words for each hidden state (R, P, B); `IGNORED` for none.
            weights: The weight of each target in the sum (R, P, B), 0 where it is ignored.
            frequencies: How often each word occurs, (R, V) or (1, V), on the host; the `frequencies` of a batch.
            train: Whether a backward pass may follow.
        """
        xp, (R, P, B) = xp_of(h), targets.shape
        negatives = self._draw(targets, frequencies, train)  # (R, P, K, B)
        words = xp.concatenate([targets[:, :, None], negatives], axis=2)  # (R, P, 1 + K, B)
        is_counted = words != targets[:, :, None]
        is_counted[:, :, 0] = True
        factors = is_counted * weights[:, :, None]
        self._words = xp.where(factors > 0.0, words, IGNORED).reshape(R, -1, B)  # (R, J, B)
        factors = factors.astype(h.dtype).reshape(R, -1, B)
        self._h, self._vectors = h, self._read(self._words)  # (R, B, J, H)
        scores = xp.matmul(self._vectors, h[..., None])[..., 0].swapaxes(1, 2)  # (R, J, B)
        is_target = (xp.arange(P * words.shape[2]) % words.shape[2] == 0)[:, None]  # (J, 1)
        signed = xp.where(is_target, scores, -scores)
        self._dscores = (xp.tanh(scores * 0.5) * 0.5 + 0.5 - is_target.astype(h.dtype)) * factors
        # -log s(z), which cannot overflow
        losses = xp.log1p(xp.exp(-xp.abs(signed))) + xp.maximum(-signed, 0.0)
        loss: Array = (losses * factors).reshape(R, -1).sum(axis=1)
        return loss

    def backward(self) -> Array:
        """Set the gradient of the rows of W that were read, and return dh (R, B, H)."""
        self.W.add_gradient_rows(self._words, self._h, self._dscores)
        dh: Array = xp_of(self._h).matmul(self._dscores.swapaxes(1, 2)[:, :, None], self._vectors)[:, :, 0]
        return dh

    def _draw(self, targets: Array, frequencies: Array | None, train: bool) -> Array:
        """Return random words (R, P, K, B); in scoring, all P targets of a hidden state have the same ones."""
        if frequencies is None:
            raise UserMistake("NegativeSampling needs the frequencies of words: data=ContextWindows(...) gives them.")
        R, P, B = targets.shape
        places, negatives = (P, self.negatives) if train else (1, SCORING_NEGATIVES)
        drawn = self.noise.draw(frequencies, places * negatives * B, train=train)
        xp = xp_of(drawn)
        words: Array = drawn.reshape(R, places, negatives, B) + xp.zeros((1, P, 1, 1), dtype=drawn.dtype)
        return words

    def _read(self, words: Array) -> Array:
        """Return the rows of W for words (R, J, B), hidden state by hidden state: (R, B, J, H)."""
        xp, (R, J, B), H = xp_of(words), words.shape, self.W.value.shape[2]
        rows = xp.maximum(words, 0).swapaxes(1, 2).reshape(R, -1)
        vectors: Array = xp.empty((R, B * J, H), dtype=self.W.value.dtype)
        gather_rows(self.W.value, rows, vectors)
        return vectors.reshape(R, B, J, H)

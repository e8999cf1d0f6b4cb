"""word2vec: vectors of words, learned from the words around each."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from searchlab.backend import Array, to_device, xp_of
from searchlab.data import Batch
from searchlab.data.batch import IGNORED
from searchlab.errors import UserMistake
from searchlab.nn import (
    Carry,
    Embedding,
    Model,
    Module,
    NegativeSampling,
    Parameter,
    PerReplica,
    Replicas,
    random_normal,
)


class _Word2Vec(Model):
    """The shared part of Cbow and SkipGram: two tables of vectors, the window, and the dropping of frequent words."""

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        dimensions: int,
        window: int,
        negatives: int | None,
        subsample: PerReplica | None,
        sparse: bool,
    ) -> None:
        name = type(self).__name__
        if min(dimensions, window, 1 if negatives is None else negatives) < 1:
            raise UserMistake(
                f"{name} needs dimensions, window and negatives of at least 1; got dimensions {dimensions}, window "
                f"{window}, negatives {negatives}."
            )
        self.replicas, self.vocabulary_size, self.window = replicas, vocabulary_size, window
        self.embedding = Embedding(replicas, vocabulary_size, dimensions, initializer=random_normal, sparse=sparse)
        self.output = (
            _FullSoftmax(replicas, dimensions, vocabulary_size)
            if negatives is None
            else NegativeSampling(replicas, dimensions, vocabulary_size, negatives=negatives, sparse=sparse)
        )
        self.subsample: Array | None = None  # (R,) on the host
        if subsample is not None:
            self.subsample = replicas.validated(self, "subsample", subsample, "above 0", lambda values: values > 0.0)
        self._frequencies: Array | None = None  # those that the limits below were made from
        self._keep_limits: Array = replicas.zeros(0)

    def word_vectors(self) -> Array:
        """Return the vector of each word (R, V, dimensions)."""
        return self.embedding.W.value

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        contexts, targets = self._window_of(batch), batch.y
        if train and self.subsample is not None:
            contexts, targets = self._drop_frequent(contexts, targets, batch)
        xp, dtype = xp_of(targets), self.embedding.W.value.dtype
        is_context = (contexts >= 0) & (targets >= 0)[:, None]  # (R, 2 w, B)
        contexts = xp.where(is_context, contexts, IGNORED)
        counts = is_context.sum(axis=1).astype(dtype)  # (R, B)
        is_counted = (counts > 0.0).astype(dtype)
        weights = is_counted / xp.maximum(is_counted.sum(axis=1, keepdims=True), 1.0).astype(dtype)  # (R, B)
        return self._loss(contexts, counts, targets, weights, batch, train), None

    @abstractmethod
    def _loss(self, contexts: Array, counts: Array, targets: Array, weights: Array, batch: Batch, train: bool) -> Array:
        """Return the loss (R,).

        Args:
            contexts: The words around each target (R, 2 w, B), `IGNORED` where there is none.
            counts: How many there are (R, B).
            targets: The targets (R, B).
            weights: The weight of each target in the mean (R, B).
            batch: The batch.
            train: Whether a backward pass may follow.
        """

    def _window_of(self, batch: Batch) -> Array:
        """Return the inner places of the contexts, (R, 2 w, B)."""
        given = batch.x.shape[1] // 2
        if batch.frequencies is None:
            raise UserMistake(f"{type(self).__name__} needs words with contexts: data=ContextWindows(PennTreebank()).")
        if self.window > given:
            raise UserMistake(
                f"{type(self).__name__}(window={self.window}) needs ContextWindows(max_window={self.window}) or more; "
                f"the data has {given}."
            )
        inner: Array = batch.x[:, given - self.window : given + self.window]
        return inner

    def _drop_frequent(self, contexts: Array, targets: Array, batch: Batch) -> tuple[Array, Array]:
        """Ignore each word with probability 1 - sqrt(t / f), where t is `subsample` and f the frequency of the word."""
        xp, words = xp_of(targets), xp_of(targets).concatenate([contexts, targets[:, None]], axis=1)  # (R, 2 w + 1, B)
        drawn = self.replicas.random_uint32(words[0].size).astype(np.int64).reshape(words.shape)
        limits = self._limits_of(batch.frequencies)
        starts = (xp.arange(len(limits)) * self.vocabulary_size)[:, None, None]
        kept = drawn < limits.reshape(-1).take(xp.maximum(words, 0) + starts)
        words = xp.where(kept, words, IGNORED)
        return words[:, :-1], words[:, -1]

    def _limits_of(self, frequencies: Array | None) -> Array:
        """Return the 32-bit number below which a draw keeps a word, (R, V), cached for these frequencies."""
        if frequencies is not None and frequencies is not self._frequencies and self.subsample is not None:
            share = frequencies / frequencies.sum(axis=1, keepdims=True)  # (R, V) or (1, V)
            kept = np.minimum(np.sqrt(self.subsample[:, None] / np.maximum(share, 1e-12)), 1.0)
            self._frequencies = frequencies
            self._keep_limits = to_device(np.floor(kept * 2.0**32).astype(np.int64), self.replicas.device)
        return self._keep_limits

    def _select_own(self, rows: Array) -> None:
        """Compute the limits anew for the replicas that are left."""
        self._frequencies = None
        super()._select_own(rows)

    def _mean_vectors(self, contexts: Array, counts: Array) -> Array:
        """Return the mean vector of the words around each target, (R, B, dimensions); 0 where there are none."""
        xp, by_target = xp_of(contexts), contexts.swapaxes(1, 2)  # (R, B, 2 w)
        vectors = self.embedding.forward(xp.maximum(by_target, 0), train=False)  # (R, B, 2 w, dimensions)
        shares = (by_target >= 0) / xp.maximum(counts, 1.0)[..., None]
        mean: Array = xp.matmul(shares.astype(vectors.dtype)[:, :, None], vectors)[:, :, 0]
        return mean


class Cbow(_Word2Vec):
    """The continuous bag of words: the mean vector of the words around a word predicts it.

    Args:
        replicas: The replicas, which draw the weights and the random words.
        vocabulary_size: Number V of words.
        dimensions: Size of the word vectors; default 100.
        window: Number of words on either side of a word that predict it; default 5. It is fixed, not drawn.
        negatives: Number of random words for each word (negative sampling); default 5. None is a softmax over all
            words, for small vocabularies.
        subsample: Share t of the text from which on a word is frequent: each occurrence of a word with share f is
            ignored with probability 1 - sqrt(t / f) in training, and the place that it leaves stays empty. Default
            None: no word is ignored.
        sparse: Whether a step updates only the words that its batch reads, and leaves the moments of all others as they
            are; default True. False updates both tables whole, as the dense optimizers of the book do: rare words move
            further, and a step takes about five times as long.

    Raises:
        UserMistake: When a number is out of its range, or the data has no contexts or smaller windows.

    Reference:
        Mikolov et al. (2013); Deep Learning from Scratch 2, chapters 3 and 4.

    Example:
        >>> from searchlab.nn import Replicas
        >>> Cbow(Replicas([1, 2]), 50, dimensions=8).word_vectors().shape
        (2, 50, 8)
    """

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        dimensions: int = 100,
        window: int = 5,
        negatives: int | None = 5,
        subsample: PerReplica | None = None,
        sparse: bool = True,
    ) -> None:
        super().__init__(
            replicas,
            vocabulary_size,
            dimensions=dimensions,
            window=window,
            negatives=negatives,
            subsample=subsample,
            sparse=sparse,
        )

    def _loss(self, contexts: Array, counts: Array, targets: Array, weights: Array, batch: Batch, train: bool) -> Array:
        self._contexts, self._counts = contexts, counts
        h, frequencies = self._mean_vectors(contexts, counts), batch.frequencies
        return self.output.forward(h, targets[:, None], weights[:, None], frequencies, train=train)

    def backward(self) -> None:
        dh = self.output.backward()
        dh /= xp_of(dh).maximum(self._counts, 1.0)[..., None]
        self.embedding.W.add_gradient_rows(self._contexts, dh)

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        contexts, xp = self._window_of(batch), xp_of(batch.x)
        counts = (contexts >= 0).sum(axis=1).astype(self.embedding.W.value.dtype)
        h = self._mean_vectors(contexts, counts)
        return xp.matmul(h, self.output.W.value.swapaxes(1, 2)), None


class SkipGram(_Word2Vec):
    """The skip-gram: the vector of a word predicts each of the words around it.

    The loss of a word is the sum over the words around it, so that it grows with the window: compare windows by
    `WordClassShare`. The scores of `predict` are sums over the words around, h u_c for each word h.

    Args:
        replicas: The replicas, which draw the weights and the random words.
        vocabulary_size: Number V of words.
        dimensions: Size of the word vectors; default 100.
        window: Number of words on either side of a word that it predicts; default 5. It is fixed, not drawn.
        negatives: Number of random words for each predicted word (negative sampling); default 5. None is a softmax over
            all words, for small vocabularies.
        subsample: Share t of the text from which on a word is frequent: each occurrence of a word with share f is
            ignored with probability 1 - sqrt(t / f) in training, and the place that it leaves stays empty. Default
            None: no word is ignored.
        sparse: Whether a step updates only the words that its batch reads, and leaves the moments of all others as they
            are; default True. False updates both tables whole, as the dense optimizers of the book do: rare words move
            further, and a step takes about five times as long.

    Raises:
        UserMistake: When a number is out of its range, or the data has no contexts or smaller windows.

    Reference:
        Mikolov et al. (2013); Deep Learning from Scratch 2, chapters 3 and 4.

    Example:
        >>> from searchlab.nn import Replicas
        >>> SkipGram(Replicas([1, 2]), 50, dimensions=8).word_vectors().shape
        (2, 50, 8)
    """

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        dimensions: int = 100,
        window: int = 5,
        negatives: int | None = 5,
        subsample: PerReplica | None = None,
        sparse: bool = True,
    ) -> None:
        super().__init__(
            replicas,
            vocabulary_size,
            dimensions=dimensions,
            window=window,
            negatives=negatives,
            subsample=subsample,
            sparse=sparse,
        )

    def _loss(self, contexts: Array, counts: Array, targets: Array, weights: Array, batch: Batch, train: bool) -> Array:
        xp = xp_of(targets)
        self._targets = xp.where(weights > 0.0, targets, IGNORED)
        h = self.embedding.forward(xp.maximum(self._targets, 0), train=train)  # (R, B, dimensions)
        place_weights = (contexts >= 0) * weights[:, None]  # (R, 2 w, B)
        return self.output.forward(h, contexts, place_weights, batch.frequencies, train=train)

    def backward(self) -> None:
        self.embedding.W.add_gradient_rows(self._targets[:, None], self.output.backward())

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        contexts, xp = self._window_of(batch), xp_of(batch.x)
        rows, places = xp.arange(len(contexts))[:, None, None], xp.maximum(contexts, 0)
        vectors = self.output.W.value[rows, places]  # (R, 2 w, B, dimensions)
        vectors *= (contexts >= 0).astype(vectors.dtype)[..., None]
        return xp.matmul(vectors.sum(axis=1), self.embedding.W.value.swapaxes(1, 2)), None


class _FullSoftmax(Module):
    """An output layer over V words without biases, and the cross entropy of their softmax."""

    def __init__(self, replicas: Replicas, hidden_size: int, vocabulary_size: int) -> None:
        self.W = Parameter(random_normal(replicas, vocabulary_size, hidden_size), apply_weight_decay=True)

    def forward(self, h: Array, targets: Array, weights: Array, frequencies: Array | None, *, train: bool) -> Array:
        """Return the weighted sum of the losses (R,); see `NegativeSampling.forward`."""
        xp, (R, P, B) = xp_of(h), targets.shape
        logits = xp.matmul(h, self.W.value.swapaxes(1, 2))  # (R, B, V)
        logits -= logits.max(axis=2, keepdims=True)
        places = xp.arange(R)[:, None, None], xp.arange(B), xp.maximum(targets, 0)  # (R, P, B)
        target_logits = logits[places]
        probability = xp.exp(logits)
        total = probability.sum(axis=2)  # (R, B)
        loss: Array = ((xp.log(total)[:, None] - target_logits) * weights).reshape(R, -1).sum(axis=1)
        probability *= (weights.sum(axis=1) / total)[..., None]
        for place in range(P):  # a word may be several targets of one hidden state
            probability[places[0][:, 0], places[1], places[2][:, place]] -= weights[:, place]
        self._h, self._dlogits = h, probability
        return loss.astype(h.dtype)

    def backward(self) -> Array:
        """Set the gradient of W, and return dh (R, B, H)."""
        xp = xp_of(self._h)
        self.W.add_gradient_product(self._dlogits.swapaxes(1, 2), self._h)
        dh: Array = xp.matmul(self._dlogits, self.W.value)
        return dh

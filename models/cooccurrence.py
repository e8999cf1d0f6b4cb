"""Word vectors by counting: which words occur near each other, and what is more frequent than by chance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils.extmath import randomized_svd

from searchlab.backend import Array, to_device, to_host, xp_of
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.nn import Carry, FittedModel, Parameter, PerReplica, Replicas

COUNTED_TOGETHER = 2**21  # pairs of words that are added to the counts at a time
SVD_ITERATIONS = 5  # power iterations, as in the book


class Cooccurrence(FittedModel):
    """Word vectors from counts: positive pointwise mutual information (PPMI) and a truncated SVD.

    C[x, y] counts how often y is within `window` words of x. PPMI[x, y] is
    max(0, log2(C[x, y] N / (S[x] S[y])) - log2(shift)), where N is the sum of C, and S are its row sums. The vectors
    are U S^power of the singular value decomposition of PPMI. Counts are sparse, and the replicas are fitted one after
    the other by `Fit`.

    Args:
        replicas: The replicas, whose seeds the SVD uses.
        vocabulary_size: Number V of words.
        window: Number of words on either side that count as near; default 2.
        dimensions: Size of the word vectors, at most V; default 100.
        shift: Number k by whose logarithm PPMI is lowered, at least 1, as k negative samples do; default 1, no shift.
        smoothing: Exponent a in (0, 1] of the context's count: S[y] is replaced by S[y]^a N / sum of S^a, and rare
            contexts weigh less; default 1, no smoothing.
        power: Exponent of the singular values, at least 0; default 0.

    Attributes:
        vectors: The word vectors (R, V, dimensions).

    Raises:
        UserMistake: When a number is out of its range, or the data has no contexts or smaller windows.

    Reference:
        Deep Learning from Scratch 2, chapter 2; Levy, Goldberg and Dagan (2015) for shift, smoothing and power.

    Example:
        >>> from searchlab.nn import Replicas
        >>> Cooccurrence(Replicas([1, 2]), 50, dimensions=8).word_vectors().shape
        (2, 50, 8)
    """

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        window: int = 2,
        dimensions: int = 100,
        shift: PerReplica = 1.0,
        smoothing: PerReplica = 1.0,
        power: PerReplica = 0.0,
    ) -> None:
        if window < 1 or not 1 <= dimensions <= vocabulary_size:
            raise UserMistake(
                f"Cooccurrence needs a window of at least 1 and 1 to {vocabulary_size:,} dimensions, one per word; got "
                f"window {window}, dimensions {dimensions}."
            )
        self.replicas, self.vocabulary_size = replicas, vocabulary_size
        self.window, self.dimensions = window, dimensions
        self.shift = replicas.validated(self, "shift", shift, "of at least 1", lambda values: values >= 1.0)
        self.smoothing = replicas.validated(
            self, "smoothing", smoothing, "above 0 and at most 1", lambda values: (values > 0.0) & (values <= 1.0)
        )
        self.power = replicas.validated(self, "power", power, "of at least 0", lambda values: values >= 0.0)
        self.vectors = Parameter(replicas.zeros(vocabulary_size, dimensions))

    def word_vectors(self) -> Array:
        """Return the vector of each word (R, V, dimensions)."""
        return self.vectors.value

    def fit(self, replica: int, batches: Iterable[Batch]) -> None:
        counts = self.count(batches)
        information = ppmi(counts, float(self.shift[replica]), float(self.smoothing[replica]))
        seed = int(self.replicas.seeds[replica] % 2**32)
        U, S, _ = randomized_svd(information, self.dimensions, n_iter=SVD_ITERATIONS, random_state=seed)
        vectors = U * S ** float(self.power[replica])
        self.vectors.value[replica] = to_device(vectors.astype(self.vectors.value.dtype), self.replicas.device)

    def count(self, batches: Iterable[Batch]) -> csr_array:
        """Return how often each word occurs near each other word, (V, V)."""
        total = csr_array((self.vocabulary_size, self.vocabulary_size), dtype=np.int64)
        pairs: list[Array] = []
        for batch in batches:
            pairs.append(self._pairs(batch))
            if sum(each.shape[1] for each in pairs) >= COUNTED_TOGETHER:
                total, pairs = total + self._counts_of(pairs), []
        return total + self._counts_of(pairs)

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Return the product of each word's vector with the sum of the vectors of the words around, (R, B, V)."""
        contexts, vectors, xp = self._window_of(batch), self.vectors.value, xp_of(batch.x)
        rows = xp.arange(len(contexts))[:, None, None]
        around = vectors[rows, xp.maximum(contexts, 0)] * (contexts >= 0).astype(vectors.dtype)[..., None]
        return xp.matmul(around.sum(axis=1), vectors.swapaxes(1, 2)), None

    def _window_of(self, batch: Batch) -> Array:
        given = batch.x.shape[1] // 2
        if batch.frequencies is None:
            raise UserMistake("Cooccurrence needs words with contexts: data=ContextWindows(PennTreebank()).")
        if self.window > given:
            raise UserMistake(
                f"Cooccurrence(window={self.window}) needs ContextWindows(max_window={self.window}) or more; the data "
                f"has {given}."
            )
        inner: Array = batch.x[:, given - self.window : given + self.window]
        return inner

    def _pairs(self, batch: Batch) -> Array:
        """Return the words and their neighbors in a batch of one replica, (2, pairs)."""
        neighbors, words = to_host(self._window_of(batch))[0], to_host(batch.y)[0]  # (2 w, B) and (B,)
        is_pair = (neighbors >= 0) & (words >= 0)
        pairs: Array = np.stack([np.broadcast_to(words, neighbors.shape)[is_pair], neighbors[is_pair]])
        return pairs

    def _counts_of(self, pairs: list[Array]) -> csr_array:
        words, neighbors = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
        ones, size = np.ones(len(words), dtype=np.int64), self.vocabulary_size
        return csr_array((ones, (words, neighbors)), shape=(size, size))  # equal cells are summed


def ppmi(counts: csr_array, shift: float = 1.0, smoothing: float = 1.0) -> csr_array:
    """Return the positive pointwise mutual information of counts (V, V), in bits, with positive cells only.

    Args:
        counts: How often each word occurs near each other word, symmetric.
        shift: See `Cooccurrence`.
        smoothing: See `Cooccurrence`.

    Example:
        >>> import numpy as np
        >>> from scipy.sparse import csr_array
        >>> ppmi(csr_array(np.array([[0, 2], [2, 4]]))).toarray().round(3).tolist()  # log2(2 * 8 / (2 * 6)) = 0.415
        [[0.0, 0.415], [0.415, 0.0]]
    """
    cells = counts.tocoo()
    sums = np.asarray(counts.sum(axis=1), dtype=np.float64).reshape(-1)
    total = sums.sum()
    smoothed = sums**smoothing
    context_sums = smoothed * (total / max(smoothed.sum(), 1.0))
    rows, columns = cells.coords
    expected = sums[rows] * context_sums[columns]
    values = np.log2(cells.data * total / expected) - np.log2(shift)
    is_positive = values > 0.0
    kept = (values[is_positive], (rows[is_positive], columns[is_positive]))
    return csr_array(kept, shape=counts.shape).astype(np.float32)  # which halves the time of the SVD

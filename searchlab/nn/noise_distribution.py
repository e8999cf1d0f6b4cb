"""Random words by their frequency: the negative samples of word vectors."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, to_device, xp_of
from searchlab.replicas import HasReplicaAxis, Replicas

POWER = 0.75  # of a word's count (Mikolov et al. 2013): frequent words are drawn less often than they occur
SCORING_SEED = 0  # of the draws that all trials share when they are scored


class NoiseDistribution(HasReplicaAxis):
    """Draws words, each with a probability that is proportional to its count to the power of 0.75, with repetition.

    Args:
        replicas: The replicas, which draw.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.noise_distribution import NoiseDistribution
        >>> from searchlab.replicas import Replicas
        >>> counts = np.array([[0, 10, 0, 1]])  # of four words, of which two occur
        >>> NoiseDistribution(Replicas([1])).draw(counts, 6, train=True).tolist()
        [[1, 1, 1, 1, 1, 3]]
    """

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self._frequencies: Array | None = None  # the counts that the limits below were made from
        self._limits: Array = np.zeros((1, 0), dtype=np.int64)

    def draw(self, frequencies: Array, count: int, *, train: bool) -> Array:
        """Return words (R, count).

        In training, each replica draws by its own seed. Otherwise all replicas of all trials get the same draws, and no
        random number of the replicas is used.

        Args:
            frequencies: How often each word occurs, (R, V) or (1, V), on the host.
            count: Number of words to draw.
            train: Whether this is a training step.
        """
        limits, device = self._upper_limits(frequencies), self.replicas.device
        source = self.replicas if train else Replicas([SCORING_SEED], device=device)
        words, xp = source.random_uint32(count).astype(np.int64), xp_of(limits)
        R, V = limits.shape
        replica = xp.arange(R)[:, None]
        # replica r has the range from r 2^32 to (r + 1) 2^32, so that one search finds the words of all replicas
        found: Array = xp.searchsorted(limits.reshape(-1), words + replica * 2**32, side="right") - replica * V
        return found if self.replicas.count == R else found + xp.zeros((self.replicas.count, 1), dtype=np.int64)

    def _upper_limits(self, frequencies: Array) -> Array:
        """Return the 32-bit number below which a draw is a word or one before it, (R, V), cached for these counts."""
        if frequencies is not self._frequencies:
            cumulative = np.cumsum(frequencies.astype(np.float64) ** POWER, axis=1)
            limits = np.floor(cumulative / cumulative[:, -1:] * 2.0**32).astype(np.int64)
            limits += np.arange(len(limits))[:, None] * 2**32
            self._frequencies, self._limits = frequencies, to_device(limits, self.replicas.device)
        return self._limits

    def _select_own(self, rows: Array) -> None:
        """Forget the limits, which hold the number of the replica."""
        self._frequencies = None

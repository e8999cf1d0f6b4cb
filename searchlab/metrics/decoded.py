"""Metrics of target sequences that a model writes by itself: it decodes the sources of held-out rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from searchlab.backend import Array, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.sequence_pairs import END_ID
from searchlab.errors import UserMistake
from searchlab.metrics.metric import Goal, Metric
from searchlab.nn.module import Model


@dataclass(frozen=True)
class ExactMatch:
    """The share of rows whose decoded target sequence is the right one, from its first token to its end mark.

    Args:
        beam: Number of hypotheses of the beam search; default 1, greedy decoding.
        length_penalty: Exponent of the length by which log probabilities are divided; default 0.
        name: Name in tables and figures; default "exact match".
        goal: Which way is better; default "max".

    Reference:
        Deep Learning from Scratch 2, section 7.3, where it is called accuracy.

    Example:
        >>> import numpy as np
        >>> from searchlab import ExactMatch
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoDecoder  # it writes its sources
        >>> written, right = np.array([[[5, 7], [0, 0]]]), np.array([[[5, 6], [0, 0]]])  # (R, T, B), 0 ends them
        >>> ExactMatch().measure(EchoDecoder(), [Batch(written, right, decoder_inputs=right)]).tolist()
        [0.5]
    """

    beam: int = 1
    length_penalty: float = 0.0
    name: str = "exact match"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the share (R,); NaN where the log probability of a sequence is not a number.

        Args:
            model: The model of R replicas; it has a method `decode`.
            batches: Batches of pairs of sequences.

        Raises:
            UserMistake: When the model does not decode, or the data is no pairs of sequences.
        """
        right: Any = 0.0  # (R,) after the first batch
        total: Any = 0.0
        for decoded, y, log_probabilities in _decoded(self, model, batches, self.beam, self.length_penalty):
            width, is_counted = y.shape[1], y[:, 0] != IGNORED  # (R, B)
            is_right = (decoded[:, :width] == y).all(axis=1) & (decoded[:, width:] == IGNORED).all(axis=1)
            right = right + ((is_right & is_counted) + _nan_or_zero(log_probabilities)).sum(axis=1)
            total = total + is_counted.sum(axis=1)
        share: Array = right / total
        return share


@dataclass(frozen=True)
class TokenAccuracy:
    """The share of target tokens, end marks included, that the decoded sequence has at the same position.

    Args:
        beam: Number of hypotheses of the beam search; default 1, greedy decoding.
        length_penalty: Exponent of the length by which log probabilities are divided; default 0.
        name: Name in tables and figures; default "token accuracy".
        goal: Which way is better; default "max".

    Example:
        >>> import numpy as np
        >>> from searchlab import TokenAccuracy
        >>> from searchlab.data import Batch
        >>> from searchlab.testing.fixed_models import EchoDecoder  # it writes its sources
        >>> written, right = np.array([[[5, 7], [0, 0]]]), np.array([[[5, 6], [0, 0]]])  # (R, T, B), 0 ends them
        >>> TokenAccuracy().measure(EchoDecoder(), [Batch(written, right, decoder_inputs=right)]).tolist()
        [0.75]
    """

    beam: int = 1
    length_penalty: float = 0.0
    name: str = "token accuracy"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the share (R,); NaN where the log probability of a sequence is not a number.

        Args:
            model: The model of R replicas; it has a method `decode`.
            batches: Batches of pairs of sequences.

        Raises:
            UserMistake: When the model does not decode, or the data is no pairs of sequences.
        """
        right: Any = 0.0  # (R,) after the first batch
        total: Any = 0.0
        for decoded, y, log_probabilities in _decoded(self, model, batches, self.beam, self.length_penalty):
            width, is_counted = min(y.shape[1], decoded.shape[1]), y != IGNORED
            hits = (decoded[:, :width] == y[:, :width]) & is_counted[:, :width]
            right = right + hits.sum(axis=(1, 2)) + _nan_or_zero(log_probabilities).sum(axis=1)
            total = total + is_counted.sum(axis=(1, 2))
        share: Array = right / total
        return share


def _decoded(
    metric: Metric, model: Model, batches: Iterable[Batch], beam: int, length_penalty: float
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield decoded ids (R, L, B), targets (R, T, B) and log probabilities (R, B) of each batch.

    In both, what follows the first end mark is `IGNORED`.
    """
    decode = getattr(model, "decode", None)
    for batch in batches:
        if batch.decoder_inputs is None:
            raise UserMistake(f"{type(metric).__name__} needs pairs of sequences, such as Pairs or Addition.")
        if decode is None:
            name = type(model).__name__
            raise UserMistake(f"{type(metric).__name__} needs a model with a method decode, and {name} has none.")
        decoded = decode(batch, beam=beam, length_penalty=length_penalty)
        is_end = batch.y == END_ID
        is_past_end = is_end.cumsum(axis=1) - is_end > 0  # end marks that fill a target, where padding is learned
        yield decoded.ids, xp_of(batch.y).where(is_past_end, IGNORED, batch.y), decoded.log_probabilities


def _nan_or_zero(values: Array) -> Array:
    """Return 0 where a value is a number, and NaN where it is not; -inf, a probability of 0, counts as a number."""
    zeros: Array = xp_of(values).where(values == values, 0.0, values)
    return zeros

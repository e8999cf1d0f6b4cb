"""Decoding: the target sequences that a model writes, greedily or by beam search, all rows and replicas at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array, to_host, xp_of
from searchlab.data.batch import IGNORED
from searchlab.data.sequence_pairs import END_ID, START_ID
from searchlab.errors import UserMistake

DecoderState: TypeAlias = tuple[Array, ...]
"""What a decoder carries from token to token: arrays (R, N, ...), one row for each of N hypotheses."""

DecoderStep: TypeAlias = Callable[[Array, DecoderState], tuple[Array, DecoderState]]
"""A step of a decoder: tokens (R, N) and the state before them in, scores (R, N, V) of the next token and the state
after them out."""


@dataclass(frozen=True)
class Decoded:
    """Target sequences that a model has written.

    Attributes:
        ids: Token ids (R, L, B) with the end mark, and `IGNORED` after it; L is the number of tokens allowed.
        log_probabilities: Log probability (R, B) of each sequence, the sum over its tokens; NaN where the model has
            diverged.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Decoded
        >>> Decoded(np.array([[[5, 7], [0, 0], [-1, -1]]]), np.log([[0.5, 0.25]])).ids[0].T.tolist()  # two rows
        [[5, 0, -1], [7, 0, -1]]
    """

    ids: Array
    log_probabilities: Array


def beam_search(
    step: DecoderStep, state: DecoderState, *, max_length: int, beam: int = 1, length_penalty: float = 0.0
) -> Decoded:
    """Return the best sequence that a beam search finds for each row; a beam of 1 is greedy decoding.

    A sequence ends with its end mark, or after `max_length` tokens. Sequences are compared by their log probability
    divided by their length to the power of `length_penalty`.

    Args:
        step: A step of the decoder over the N = B times `beam` hypotheses of each replica, those of a row in sequence.
        state: The state before the first token, (R, N, ...) each.
        max_length: Number of tokens that may be written, the end mark included.
        beam: Number of hypotheses that are kept for each row; default 1.
        length_penalty: Exponent of the length; default 0: no normalization.

    Raises:
        UserMistake: When the beam is less than 1.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import beam_search
        >>> def step(tokens, state):  # after the start mark token 2, then the end mark, id 0
        ...     scores = np.where(tokens[..., None] == 1, np.array([0.0, 0.0, 9.0]), np.array([9.0, 0.0, 0.0]))
        ...     return scores, state
        >>> beam_search(step, (np.zeros((1, 4)),), max_length=3).ids[0].T.tolist()  # four rows
        [[2, 0, -1], [2, 0, -1], [2, 0, -1], [2, 0, -1]]

    Reference:
        Sutskever, Vinyals and Le (2014); for the length penalty, Wu et al. (2016), in its simplest form.
    """
    if beam < 1:
        raise UserMistake(f"a beam has at least 1 hypothesis, got {beam}.")
    search = _BeamSearch(step, state, max_length, beam)
    for t in range(max_length):
        search.advance(t)
        if search.has_ended():
            break
    return search.best(length_penalty)


class _BeamSearch:
    """The hypotheses of a beam search: K for each of B rows of R replicas."""

    def __init__(self, step: DecoderStep, state: DecoderState, max_length: int, beam: int) -> None:
        xp, (R, N) = xp_of(state[0]), state[0].shape[:2]
        self.step, self.state, self.beam, self.xp = step, state, beam, xp
        self.shape = R, N // beam, beam
        self.ids = xp.full((*self.shape, max_length), IGNORED, dtype=xp.int64)
        self.totals = xp.zeros(self.shape, dtype=state[0].dtype)  # log probabilities
        self.totals[..., 1:] = -xp.inf  # all hypotheses of a row begin alike: one of them counts
        self.is_ended = xp.zeros(self.shape, dtype=bool)
        self.lengths = xp.zeros(self.shape, dtype=state[0].dtype)
        self.tokens = xp.full(self.shape, START_ID, dtype=xp.int64)

    def advance(self, t: int) -> None:
        """Write a token to every hypothesis that has not ended, and keep the best ones of each row."""
        xp, (R, B, K) = self.xp, self.shape
        scores, self.state = self.step(self.tokens.reshape(R, B * K), self.state)
        log_probabilities = _log_softmax(scores).reshape(R, B, K, -1)
        V = log_probabilities.shape[-1]
        only_end = xp.where(xp.arange(V) == END_ID, 0.0, -xp.inf).astype(scores.dtype)
        extended = xp.where(self.is_ended[..., None], only_end, log_probabilities)
        extended = (extended + self.totals[..., None]).reshape(R, B, K * V)
        best, self.totals = _largest(extended, K)  # (R, B, K) each
        parents, self.tokens = best // V, best % V
        self._keep(parents)
        self.ids[..., t] = xp.where(self.is_ended, IGNORED, self.tokens)
        self.lengths += ~self.is_ended
        self.is_ended = self.is_ended | (self.tokens == END_ID)

    def has_ended(self) -> bool:
        """Return whether every hypothesis of every replica has ended."""
        return bool(to_host(self.is_ended).all())

    def best(self, length_penalty: float) -> Decoded:
        """Return the best hypothesis of each row."""
        xp, (R, B, _) = self.xp, self.shape
        normalized = self.totals / xp.maximum(self.lengths, 1.0) ** length_penalty
        chosen = normalized.argmax(axis=2)  # (R, B)
        rows = xp.arange(R)[:, None], xp.arange(B)[None], chosen
        return Decoded(xp.ascontiguousarray(self.ids[rows].swapaxes(1, 2)), self.totals[rows])

    def _keep(self, parents: Array) -> None:
        """Continue each hypothesis from its parent (R, B, K)."""
        if self.beam == 1:
            return
        xp, (R, B, K) = self.xp, self.shape
        rows = xp.arange(R)[:, None, None], xp.arange(B)[None, :, None], parents
        self.ids, self.is_ended, self.lengths = self.ids[rows], self.is_ended[rows], self.lengths[rows]
        flat = xp.arange(R)[:, None], (xp.arange(B)[:, None] * K + parents).reshape(R, B * K)
        self.state = tuple(array[flat] for array in self.state)


def _log_softmax(scores: Array) -> Array:
    """Return the log probabilities (R, N, V) of scores."""
    xp = xp_of(scores)
    shifted = scores - scores.max(axis=-1, keepdims=True)
    with np.errstate(under="ignore"):
        log_probabilities: Array = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return log_probabilities


def _largest(values: Array, count: int) -> tuple[Array, Array]:
    """Return the positions and the values (R, B, count) of the largest numbers (R, B, M), the largest first.

    Of equal ones the first is taken, on every device.
    """
    xp, (R, B, _) = xp_of(values), values.shape
    rows = xp.arange(R)[:, None], xp.arange(B)[None]
    positions = xp.empty((R, B, count), dtype=xp.int64)
    found = xp.empty((R, B, count), dtype=values.dtype)
    for k in range(count):
        best = values.argmax(axis=2)
        positions[..., k], found[..., k] = best, values[(*rows, best)]
        values[(*rows, best)] = -xp.inf
    return positions, found

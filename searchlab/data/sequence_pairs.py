"""Pairs of sequences: a source and the target sequence that answers it, each of its own length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array, Device, select_rows, to_device, to_host, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.shuffled_rows import ShuffledRows
from searchlab.data.splits import Split
from searchlab.data.vocabulary import LINE_END, Vocabulary
from searchlab.errors import UserMistake

END_ID, START_ID = 0, 1  # of every target vocabulary: the mark that ends a target sequence, and the one before it
LENGTH_FACTOR = 2  # decoding may write this many times the longest target sequence

Padding = Literal["masked", "learned"]


@dataclass(frozen=True)
class SequenceFormat:
    """What turns a text into the ids of a source, and decoded ids into a text.

    Args:
        source_vocabulary: The tokens of the sources.
        target_vocabulary: The tokens of the targets, of which ids 0 and 1 end and begin a sequence.
        max_length: Number of tokens that decoding may write.
        source_width: Number of tokens up to which end marks fill every source, where padding is learned; default None.

    Example:
        >>> from searchlab import Addition
        >>> sequences = Addition(rows=100).training().sequence_format
        >>> batch = sequences.source_batch(["1+2", "75+16"])
        >>> batch.x.shape, batch.source_mask[0].sum(axis=0).tolist(), batch.max_length
        ((1, 5, 2), [3, 5], 10)
    """

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    max_length: int
    source_width: int | None = None

    def source_batch(self, texts: Sequence[str]) -> Batch:
        """Return the batch of one replica whose sources are these texts (B,), without targets.

        Raises:
            UserMistake: When a text is empty, or longer than the width that padding is learned for.
        """
        lines = [self.source_vocabulary.encode(text) for text in texts]
        width = self.source_width or max(map(len, lines), default=0)
        for text, line in zip(texts, lines, strict=True):
            if not 0 < len(line) <= width:
                limit = f", at most {width} for a model with learned padding" if len(line) else ""
                raise UserMistake(f"a source has at least 1 token{limit}; got {text!r}.")
        lengths = np.array([len(line) for line in lines])
        ids = np.full((len(lines), width), END_ID, dtype=np.int64)
        ids[np.arange(width) < lengths[:, None]] = np.concatenate(lines)
        mask = None if self.source_width else (np.arange(width)[:, None] < lengths)[None]  # (1, T, B)
        nothing = np.full((1, 1, len(lines)), IGNORED, dtype=np.int64)
        return Batch(ids.T[None], nothing, decoder_inputs=nothing, source_mask=mask, max_length=self.max_length)

    def target_text(self, ids: Array | Sequence[int]) -> str:
        """Return the text of target ids (T,), on the host, up to the end mark; `IGNORED` ends it as well."""
        numbers = np.asarray(ids)
        ends = np.flatnonzero((numbers == END_ID) | (numbers == IGNORED))
        return self.target_vocabulary.decode(numbers[: ends[0] if ends.size else None])


class SequencePairs(ShuffledRows):
    """Independent pairs of sequences in memory, for encoders and decoders.

    In a target vocabulary, id 0 is the mark that ends a sequence and id 1 the one that begins it. Batches are as wide
    as the longest rows of the whole table, so that shapes and rounding are the same in any company.

    Args:
        sources: Ids of the source tokens (N, T_in), int64; places past the end of a sequence hold any id.
        source_lengths: Number of tokens of each source (N,).
        targets: Ids of the target tokens (N, T_out), int64, with the end mark; `IGNORED` past the end.
        sequence_format: The vocabularies, and how long decoding may write.
        groups: Number of the distinct source of each row (N,), where sources repeat; default None.

    Raises:
        ValueError: When the arrays differ in length.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import EveryRow, SequenceFormat, SequencePairs, Vocabulary
        >>> from searchlab.replicas import Replicas
        >>> answers = Vocabulary(("<eos>", "<sos>", "2", "3"), unit="char")
        >>> sequence_format = SequenceFormat(Vocabulary(tuple("+123"), unit="char"), answers, max_length=4)
        >>> sources = np.array([[1, 0, 1], [1, 0, 2]])  # 1+1 and 1+2
        >>> pairs = SequencePairs(sources, np.array([3, 3]), np.array([[2, 0], [3, 0]]), sequence_format)
        >>> batch = next(pairs.training_batches(EveryRow().split(pairs), Replicas([0]), batch_size=2))
        >>> batch.x.shape, batch.y[0].T.tolist(), batch.decoder_inputs[0].T.tolist()
        ((1, 3, 2), [[2, 0], [3, 0]], [[1, 2], [1, 3]])
    """

    def __init__(
        self,
        sources: Array,
        source_lengths: Array,
        targets: Array,
        sequence_format: SequenceFormat,
        *,
        groups: Array | None = None,
    ) -> None:
        if not len(sources) == len(source_lengths) == len(targets):
            raise ValueError(f"{len(sources)} sources, {len(source_lengths)} lengths and {len(targets)} targets")
        self.sources, self.source_lengths, self.targets = sources, source_lengths, targets
        self.sequence_format = sequence_format
        self._groups = None if groups is None else to_host(groups)
        xp = xp_of(targets)
        before = xp.concatenate([xp.full_like(targets[:, :1], START_ID), targets[:, :-1]], axis=1)
        self._decoder_inputs = xp.where(before == IGNORED, END_ID, before)
        # where no source is shorter than another, nothing is masked
        self._has_padding = bool((to_host(source_lengths) < sources.shape[1]).any())

    @property
    def sizes(self) -> tuple[int, ...]:
        """(V_in, V_out), the sizes of the source vocabulary and of the target vocabulary."""
        return len(self.sequence_format.source_vocabulary), len(self.sequence_format.target_vocabulary)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens of the targets."""
        return self.sequence_format.target_vocabulary

    @property
    def groups(self) -> Array | None:
        """The number of each row's distinct source (N,), on the host; None where no source repeats."""
        return self._groups

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """None: sequences are not images."""
        return None

    @property
    def xp(self) -> Any:
        """The array module of the rows, numpy or cupy."""
        return xp_of(self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    def to(self, device: Device) -> SequencePairs:
        """Return the same pairs on the device."""
        return self._with(*(to_device(each, device) for each in self._arrays()), groups=self._groups)

    def take(self, rows: Array) -> SequencePairs:
        """Return these rows only: row numbers (n,), on the host."""
        groups = None if self._groups is None else self._groups[rows]
        return self._with(*(select_rows(each, rows) for each in self._arrays()), groups=groups)

    def fitted(self, split: Split) -> SequencePairs:
        """Return the same pairs: nothing is estimated from them."""
        return self

    def gather(self, rows: Array, is_real: Array | None = None) -> Batch:
        """Return the batch of these rows (R, B), time-major; those that do not count have targets `IGNORED`."""
        xp = self.xp
        targets = self.targets.take(rows, axis=0)  # (R, B, T_out)
        if is_real is not None:
            targets = xp.where(is_real[:, :, None], targets, IGNORED)
        return Batch(
            _time_major(self.sources.take(rows, axis=0)),
            _time_major(targets),
            decoder_inputs=_time_major(self._decoder_inputs.take(rows, axis=0)),
            source_mask=self._source_mask(rows) if self._has_padding else None,
            max_length=self.sequence_format.max_length,
        )

    def source_text(self, row: int) -> str:
        """Return the source of a row as text."""
        ids = to_host(self.sources[row])[: int(self.source_lengths[row])]
        vocabulary = self.sequence_format.source_vocabulary
        is_token = np.array([token != LINE_END for token in vocabulary.lookup_tokens(ids)])
        return vocabulary.decode(ids[is_token])

    def target_text(self, row: int) -> str:
        """Return the target of a row as text, without the end mark."""
        return self.sequence_format.target_text(to_host(self.targets[row]))

    def checksum(self) -> str:
        """Return the SHA-256 of the ids, the lengths and both vocabularies."""
        digest = hashlib.sha256()
        for array in self._arrays():
            digest.update(np.ascontiguousarray(to_host(array), dtype=np.int64).tobytes())
        for vocabulary in (self.sequence_format.source_vocabulary, self.sequence_format.target_vocabulary):
            digest.update(json.dumps(vocabulary.to_json()).encode())
        return digest.hexdigest()

    def _arrays(self) -> tuple[Array, Array, Array]:
        return self.sources, self.source_lengths, self.targets

    def _with(self, sources: Array, lengths: Array, targets: Array, *, groups: Array | None) -> SequencePairs:
        return SequencePairs(sources, lengths, targets, self.sequence_format, groups=groups)

    def _source_mask(self, rows: Array) -> Array:
        """Return which places (R, T_in, B) of these rows hold tokens."""
        lengths = self.source_lengths.take(rows)[:, None]  # (R, 1, B)
        mask: Array = self.xp.arange(self.sources.shape[1])[:, None] < lengths
        return mask


def _time_major(ids: Array) -> Array:
    """Return ids (R, B, T) as contiguous (R, T, B)."""
    contiguous: Array = xp_of(ids).ascontiguousarray(ids.swapaxes(1, 2))
    return contiguous

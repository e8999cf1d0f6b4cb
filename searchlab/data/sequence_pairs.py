"""Pairs of sequences: a source and the target sequence that answers it, each of its own length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array, Device, select_rows, to_device, to_host, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.scaling import Scaling
from searchlab.data.shuffled_rows import ShuffledRows
from searchlab.data.splits import Split
from searchlab.data.vocabulary import LINE_END, Vocabulary

END_ID, START_ID = 0, 1  # of every target vocabulary: the mark that ends a target sequence, and the one before it
LENGTH_FACTOR = 2  # decoding may write this many times the longest target sequence

Padding = Literal["masked", "learned"]


class SequencePairs(ShuffledRows):
    """Independent pairs of sequences in memory, for encoders and decoders.

    In a target vocabulary, id 0 is the mark that ends a sequence and id 1 the one that begins it. Batches are as wide
    as the longest rows of the whole table, so that shapes and rounding are the same in any company.

    Args:
        sources: Ids of the source tokens (N, T_in), int64; places past the end of a sequence hold any id.
        source_lengths: Number of tokens of each source (N,).
        targets: Ids of the target tokens (N, T_out), int64, with the end mark; `IGNORED` past the end.
        source_vocabulary: The tokens of the sources.
        target_vocabulary: The tokens of the targets.
        max_length: Number of tokens that decoding may write.
        groups: Number of the distinct source of each row (N,), where sources repeat; default None.

    Raises:
        ValueError: When the arrays differ in length.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import EveryRow, SequencePairs, Vocabulary
        >>> from searchlab.replicas import Replicas
        >>> digits, answers = Vocabulary(tuple("+123")), Vocabulary(("<eos>", "<sos>", "2", "3"), unit="char")
        >>> sources = np.array([[1, 0, 1], [1, 0, 2]])  # 1+1 and 1+2
        >>> pairs = SequencePairs(sources, np.array([3, 3]), np.array([[2, 0], [3, 0]]), digits, answers, 4)
        >>> batch = next(pairs.training_batches(EveryRow().split(pairs), Replicas([0]), batch_size=2))
        >>> batch.x.shape, batch.y[0].T.tolist(), batch.decoder_inputs[0].T.tolist()
        ((1, 3, 2), [[2, 0], [3, 0]], [[1, 2], [1, 3]])
    """

    def __init__(
        self,
        sources: Array,
        source_lengths: Array,
        targets: Array,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary,
        max_length: int,
        *,
        groups: Array | None = None,
    ) -> None:
        if not len(sources) == len(source_lengths) == len(targets):
            raise ValueError(f"{len(sources)} sources, {len(source_lengths)} lengths and {len(targets)} targets")
        self.sources, self.source_lengths, self.targets = sources, source_lengths, targets
        self.source_vocabulary, self.target_vocabulary = source_vocabulary, target_vocabulary
        self.max_length = max_length
        self._groups = None if groups is None else to_host(groups)
        xp = xp_of(targets)
        before = xp.concatenate([xp.full_like(targets[:, :1], START_ID), targets[:, :-1]], axis=1)
        self._decoder_inputs = xp.where(before == IGNORED, END_ID, before)
        # where no source is shorter than another, nothing is masked
        self._has_padding = bool((to_host(source_lengths) < sources.shape[1]).any())

    @property
    def sizes(self) -> tuple[int, ...]:
        """(V_in, V_out), the sizes of the source vocabulary and of the target vocabulary."""
        return len(self.source_vocabulary), len(self.target_vocabulary)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens of the targets."""
        return self.target_vocabulary

    @property
    def labels(self) -> Array | None:
        """None: sequences are not classes."""
        return None

    @property
    def groups(self) -> Array | None:
        """The number of each row's distinct source (N,), on the host; None where no source repeats."""
        return self._groups

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """None: sequences are not images."""
        return None

    @property
    def scaling(self) -> Scaling | None:
        """None: ids are seen as they are."""
        return None

    @property
    def target_scaling(self) -> Scaling | None:
        """None: targets are ids, too."""
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
            max_length=self.max_length,
        )

    def source_text(self, row: int) -> str:
        """Return the source of a row as text."""
        ids = to_host(self.sources[row])[: int(self.source_lengths[row])]
        is_token = np.array([token != LINE_END for token in self.source_vocabulary.lookup_tokens(ids)])
        return self.source_vocabulary.decode(ids[is_token])

    def target_text(self, row: int) -> str:
        """Return the target of a row as text, without the end mark."""
        return target_text(to_host(self.targets[row]), self.target_vocabulary)

    def checksum(self) -> str:
        """Return the SHA-256 of the ids, the lengths and both vocabularies."""
        digest = hashlib.sha256()
        for array in self._arrays():
            digest.update(np.ascontiguousarray(to_host(array), dtype=np.int64).tobytes())
        for vocabulary in (self.source_vocabulary, self.target_vocabulary):
            digest.update(json.dumps(vocabulary.to_json()).encode())
        return digest.hexdigest()

    def _arrays(self) -> tuple[Array, Array, Array]:
        return self.sources, self.source_lengths, self.targets

    def _with(self, sources: Array, lengths: Array, targets: Array, *, groups: Array | None) -> SequencePairs:
        vocabularies = self.source_vocabulary, self.target_vocabulary
        return SequencePairs(sources, lengths, targets, *vocabularies, self.max_length, groups=groups)

    def _source_mask(self, rows: Array) -> Array:
        """Return which places (R, T_in, B) of these rows hold tokens."""
        lengths = self.source_lengths.take(rows)[:, None]  # (R, 1, B)
        mask: Array = self.xp.arange(self.sources.shape[1])[:, None] < lengths
        return mask


def target_text(ids: Array | Sequence[int], vocabulary: Vocabulary) -> str:
    """Return the text of target ids (T,) up to the end mark; `IGNORED` ends it as well.

    Args:
        ids: Ids of one sequence, on the host.
        vocabulary: The target vocabulary.
    """
    numbers = np.asarray(ids)
    ends = np.flatnonzero((numbers == END_ID) | (numbers == IGNORED))
    return vocabulary.decode(numbers[: ends[0] if ends.size else None])


def _time_major(ids: Array) -> Array:
    """Return ids (R, B, T) as contiguous (R, T, B)."""
    contiguous: Array = xp_of(ids).ascontiguousarray(ids.swapaxes(1, 2))
    return contiguous

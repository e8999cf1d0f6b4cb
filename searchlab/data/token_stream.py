"""A stream of tokens, each to be foretold by those before it: the data of language models.

Truncated backpropagation through time reads it as lanes, one window after the other (Mikolov et al. 2010; Deep
Learning from Scratch 2, section 5.5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np

from searchlab.backend import Array, Device, to_device, to_device_of, to_host, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.splits import Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas

SCORING_LANES = 10  # side by side in scoring, as in the eval_perplexity of Deep Learning from Scratch 2


class TokenStream:
    """The ids (N,) of a text's tokens, in order; a position's target is the token that follows it.

    Batches are `window` tokens long. `validation` numbers the positions of the corpus' own validation part, if any.
    """

    def __init__(self, ids: Array, vocabulary: Vocabulary, window: int, *, validation: Array | None = None) -> None:
        if ids.ndim != 1 or ids.dtype not in (np.int32, np.int64):
            raise ValueError(f"ids are whole numbers (N,) of int32 or int64, not {ids.dtype} {ids.shape}")
        check_window("TokenStream", window)
        self.ids, self.window = ids, window
        self._vocabulary = vocabulary
        self._validation = None if validation is None else to_host(validation)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many words there are: (V,)."""
        return (len(self._vocabulary),)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words that the ids stand for."""
        return self._vocabulary

    @property
    def ordered(self) -> bool:
        """True: a token follows from those before it."""
        return True

    @property
    def validation(self) -> Array | None:
        """The positions of the corpus' own validation part, on the host; None where it has none."""
        return self._validation

    @property
    def labels(self) -> Array | None:
        """None: tokens are not drawn by class."""
        return None

    @property
    def groups(self) -> Array | None:
        """None: blocks keep together what belongs together."""
        return None

    @property
    def image(self) -> tuple[int, int] | None:
        """None."""
        return None

    @property
    def scaling(self) -> tuple[Array, Array] | None:
        """None: ids are seen as they are."""
        return None

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, device: Device) -> TokenStream:
        """The same stream on the device."""
        return TokenStream(to_device(self.ids, device), self._vocabulary, self.window, validation=self._validation)

    def fitted(self, split: Split) -> TokenStream:
        """The same stream; raises UserMistake for a fold that holds out a single token, which has no target."""
        if (split.held_out.counts == 1).any():
            raise UserMistake(f"a fold holds out a single one of {len(self):,} tokens, and a score takes at least 2.")
        return self

    def steps(self, split: Split, batch_size: int) -> int:
        """As many full windows as the lanes of the shortest fold hold; raises UserMistake where they hold none."""
        steps = (split.shortest // batch_size - 1) // self.window  # a lane's last token is a target alone
        if steps < 1:
            raise UserMistake(
                f"{split.shortest:,} training tokens are too few for {batch_size} lanes and windows of {self.window}, "
                f"which take at least {batch_size * (self.window + 1):,}."
            )
        return steps

    def epoch(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Windows x (R, T, B) and what follows each token, y (R, T, B), of B lanes side by side, never shuffled.

        Each replica's own stream is cut into B lanes of one length, and a batch begins where the one before it ended:
        a state carried from batch to batch stays in its lane.
        """
        steps, lane = self.steps(split, batch_size), split.shortest // batch_size
        xp, streams = xp_of(self.ids), _Streams(split.train, self.ids)
        first = xp.arange(self.window + 1)[:, None] + xp.arange(batch_size) * lane  # (T + 1, B)
        for start in range(0, steps * self.window, self.window):
            tokens = streams.read(first + start)
            yield Batch(tokens[:, :-1], tokens[:, 1:].copy())  # apart: what changes its inputs keeps its targets

    def scoring(self, rows: Rows) -> Iterator[Batch]:
        """Every token of these rows but the first, once, as target: x and y (R, T, 10), the state to be carried.

        A replica's lanes have one length, the last a shorter one, and go on where the lane before them ends. A stream
        of less than 10 windows has fewer. What is past a lane's end has the target IGNORED. All shapes, and so all
        rounding, are the same whatever replicas are read side by side.
        """
        xp, window = xp_of(self.ids), self.window
        targets = np.maximum(rows.counts - 1, 0)  # (R,)
        lengths = -(-targets // np.clip(targets // window, 1, SCORING_LANES))  # (R,), of a lane, rounded up
        if not lengths.any():
            return
        streams, longest = _Streams(rows, self.ids), int(lengths.max())
        last, length = (to_device_of(self.ids, each[:, None, None]) for each in (targets, lengths))  # (R, 1, 1)
        begins = xp.arange(SCORING_LANES) * length  # (R, 1, B)
        for start in range(0, longest, window):
            within = xp.arange(window + 1)[:, None] + start  # (T + 1, 1)
            positions = xp.minimum(begins + within, last)  # (R, T + 1, B): past the stream's end, its last token
            tokens, real = streams.read(positions), (within[:-1] < length) & (positions[:, :-1] < last)
            yield Batch(tokens[:, :-1], xp.where(real, tokens[:, 1:], IGNORED))

    def checksum(self) -> str:
        """SHA-256 of the ids, the vocabulary and the validation part."""
        digest = hashlib.sha256(np.ascontiguousarray(to_host(self.ids), dtype=np.int64).tobytes())
        digest.update(json.dumps(self._vocabulary.to_json()).encode())
        if self._validation is not None:
            digest.update(np.ascontiguousarray(self._validation, dtype=np.int64).tobytes())
        return digest.hexdigest()


class _Streams:
    """Each replica's own stream: pieces of the shared ids, joined; what is kept of them is where each piece begins.

    A key is a position in all streams laid end to end, so that one search finds the pieces of all replicas.
    """

    def __init__(self, rows: Rows, ids: Array) -> None:
        count, width = rows.index.shape
        begins, leaps = [], []
        for r, (index, real) in enumerate(zip(rows.index, rows.counts, strict=True)):
            at = np.concatenate([[0], np.flatnonzero(np.diff(index[:real]) != 1) + 1])
            begins.append(at + r * width)
            leaps.append(index[at] - begins[-1])
        self.ids = ids
        self.begins, self.leaps = (to_device_of(ids, np.concatenate(each)) for each in (begins, leaps))  # (pieces,)
        self.first = to_device_of(ids, np.arange(count)[:, None, None] * width)  # (R, 1, 1): key of each stream's start

    def read(self, positions: Array) -> Array:
        """The tokens (R, T, B) at these positions, (R, T, B) or (T, B), of each replica's stream."""
        keys = positions + self.first
        piece = xp_of(self.ids).searchsorted(self.begins, keys, side="right") - 1
        tokens: Array = self.ids.take(keys + self.leaps.take(piece))
        return tokens


def check_window(kind: str, window: int) -> None:
    """Raises UserMistake unless a window holds at least a token."""
    if not isinstance(window, int) or window < 1:
        raise UserMistake(f"{kind}(window=...) is a whole number of tokens, at least 1, got {window!r}.")

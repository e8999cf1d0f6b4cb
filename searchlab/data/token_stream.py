"""A stream of tokens, each predicted from the tokens before it: the data of language models.

Truncated backpropagation through time reads it as parallel streams, one window after another (Mikolov et al. 2010; Deep
Learning from Scratch 2, section 5.5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np

from searchlab.backend import Array, Device, to_device, to_device_of, to_host, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.joined_rows import JoinedRows
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number
from searchlab.replicas import Replicas

SCORING_BATCH_SIZE = 10  # parallel streams in scoring, as in the eval_perplexity of Deep Learning from Scratch 2


class TokenStream:
    """The tokens of a text, in order; the target of each position is the token that follows it.

    Training cuts the tokens of each replica into `batch_size` parallel streams, whose lengths differ by one at most. A
    stream begins with the last target of the stream before it, so that every token but the first is a target in every
    epoch. A batch holds the next window of each stream: batch row b of every batch continues stream b, so that a
    recurrent state carried from batch to batch stays with its stream. The last window may be shorter, and in it a
    stream that has ended has the target `IGNORED`.

    Args:
        ids: Token ids (N,) of int32 or int64.
        vocabulary: The tokens that the ids stand for.
        window: Tokens per batch and stream, T.
        validation_rows: The positions (n,) of the validation part that the text's publisher defines; default None.

    Raises:
        ValueError: When ids are not whole numbers (N,).
        UserMistake: When the window is not a whole number of at least 1.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import EveryRow, TokenStream, Vocabulary
        >>> from searchlab.replicas import Replicas
        >>> data = TokenStream(np.arange(25), Vocabulary(tuple("abcdefghijklmnopqrstuvwxy")), window=3)
        >>> batch = next(data.training_batches(EveryRow().split(data), Replicas([0]), batch_size=3))
        >>> batch.x[0].tolist()  # (T, B): three streams of 8 targets, which begin at tokens 0, 8 and 16
        [[0, 8, 16], [1, 9, 17], [2, 10, 18]]
        >>> batch.y[0].tolist()  # the token after each
        [[1, 9, 17], [2, 10, 18], [3, 11, 19]]
    """

    def __init__(
        self, ids: Array, vocabulary: Vocabulary, window: int, *, validation_rows: Array | None = None
    ) -> None:
        if ids.ndim != 1 or ids.dtype not in (np.int32, np.int64):
            raise ValueError(f"ids are whole numbers (N,) of int32 or int64, not {ids.dtype} {ids.shape}")
        validate_window("TokenStream", window)
        self.ids, self.window = ids, window
        self._vocabulary = vocabulary
        self._validation_rows = None if validation_rows is None else to_host(validation_rows)

    @property
    def sizes(self) -> tuple[int, ...]:
        """(V,), the size of the vocabulary."""
        return (len(self._vocabulary),)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens that the ids stand for."""
        return self._vocabulary

    @property
    def is_ordered(self) -> bool:
        """True: each token depends on those before it."""
        return True

    @property
    def validation_rows(self) -> Array | None:
        """The positions (n,) of the text's own validation part, on the host; None where it has none."""
        return self._validation_rows

    @property
    def labels(self) -> Array | None:
        """None: tokens are not stratified by class."""
        return None

    @property
    def groups(self) -> Array | None:
        """None: contiguous blocks keep together what belongs together."""
        return None

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """None: tokens are not images."""
        return None

    @property
    def scaling(self) -> Scaling | None:
        """None: ids are seen as they are."""
        return None

    @property
    def target_scaling(self) -> Scaling | None:
        """None: targets are ids, too."""
        return None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: Device) -> TokenStream:
        """Return the same tokens on the device."""
        ids = to_device(self.ids, device)
        return TokenStream(ids, self._vocabulary, self.window, validation_rows=self._validation_rows)

    def fitted(self, split: Split) -> TokenStream:
        """Return the same tokens.

        Raises:
            UserMistake: When a fold holds out a single token, which has no target.
        """
        if (split.held_out.counts == 1).any():
            raise UserMistake(f"a fold holds out 1 of {len(self):,} tokens, and a score needs at least 2.")
        return self

    def steps_per_epoch(self, split: Split, batch_size: int) -> int:
        """Return how many windows the longest stream of the smallest fold has; the last one may be shorter.

        Raises:
            UserMistake: When there are fewer targets than streams.
        """
        targets = split.min_train_rows - 1  # the first token is an input only
        if targets < batch_size:
            raise UserMistake(
                f"{split.min_train_rows:,} training tokens are too few for batch size {batch_size}, which needs at "
                f"least {batch_size + 1:,}."
            )
        return ceil_div(ceil_div(targets, batch_size), self.window)

    def training_batches(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Yield windows x (R, T, B) of B parallel streams and the token after each, y (R, T, B), never shuffled.

        Each batch begins where the one before it ended. Of a fold that is larger than the smallest one, the tokens at
        the end that the smallest one lacks are not read.
        """
        self.steps_per_epoch(split, batch_size)
        xp, train, targets = xp_of(self.ids), JoinedRows(split.train, self.ids), split.min_train_rows - 1
        begins = np.arange(batch_size + 1) * targets // batch_size  # (B + 1,), with the end of the last stream
        longest, ends = int(np.diff(begins).max()), to_device_of(self.ids, begins[1:])
        begins_of = to_device_of(self.ids, begins[:-1])
        for start in range(0, longest, self.window):
            offsets = xp.arange(min(self.window, longest - start) + 1)[:, None] + start  # (T + 1, 1)
            positions = xp.minimum(begins_of + offsets, ends)  # (T + 1, B): past the end of a stream, its last token
            tokens = train.read(positions)  # (R, T + 1, B)
            y = xp.where(positions[:-1] < ends, tokens[:, 1:], IGNORED)  # a copy, so that x can be changed
            yield Batch(tokens[:, :-1], y)

    def scoring_batches(self, rows: Rows) -> Iterator[Batch]:
        """Yield every token of these rows except the first, once, as a target: x and y (R, T, 10), state carried on.

        The tokens of each replica are cut into 10 streams of equal length, of which the last may be shorter; fewer
        than 10 windows make fewer streams. A stream begins where the stream before it ends. Positions past the end of
        a stream have the target `IGNORED`. All shapes, and so all rounding, are the same whichever replicas are scored
        side by side.
        """
        xp, window = xp_of(self.ids), self.window
        targets = np.maximum(rows.counts - 1, 0)  # (R,)
        stream_counts = np.clip(targets // window, 1, SCORING_BATCH_SIZE)  # (R,)
        lengths = -(-targets // stream_counts)  # (R,), of a stream, rounded up
        if not lengths.any():
            return
        scored, longest = JoinedRows(rows, self.ids), int(lengths.max())
        last, length = (to_device_of(self.ids, values[:, None, None]) for values in (targets, lengths))  # (R, 1, 1)
        begins = xp.arange(SCORING_BATCH_SIZE) * length  # (R, 1, B)
        for start in range(0, longest, window):
            offsets = xp.arange(window + 1)[:, None] + start  # (T + 1, 1)
            positions = xp.minimum(begins + offsets, last)  # (R, T + 1, B): past the end, the last token
            tokens, has_target = scored.read(positions), (offsets[:-1] < length) & (positions[:, :-1] < last)
            yield Batch(tokens[:, :-1], xp.where(has_target, tokens[:, 1:], IGNORED))

    def checksum(self) -> str:
        """Return the SHA-256 of the ids, the vocabulary and the validation part."""
        digest = hashlib.sha256(np.ascontiguousarray(to_host(self.ids), dtype=np.int64).tobytes())
        digest.update(json.dumps(self._vocabulary.to_json()).encode())
        if self._validation_rows is not None:
            digest.update(np.ascontiguousarray(self._validation_rows, dtype=np.int64).tobytes())
        return digest.hexdigest()


def ceil_div(dividend: int, divisor: int) -> int:
    """Return the quotient, rounded up."""
    return -(-dividend // divisor)


def validate_window(dataset: str, window: int) -> None:
    """Raise UserMistake unless the window is a whole number of at least 1."""
    if not is_whole_number(window) or window < 1:
        raise UserMistake(f"{dataset}(window=...) is a whole number of tokens, at least 1, got {window!r}.")

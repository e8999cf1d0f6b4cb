"""The words of a text, each with the words around it: the data of word vectors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from searchlab.backend import Array, Device, select_rows, to_device, to_device_of, to_host, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.joined_rows import JoinedRows
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Rows, Split
from searchlab.data.token_stream import TokenStream
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import HasReplicaAxis, Replicas

SCORING_BATCH_SIZE = 1000  # words in a scoring batch, whichever replicas are scored side by side
CHUNK_WORDS = 2**13  # words whose contexts are looked up together, for several training batches


class WordContexts(HasReplicaAxis):
    """The tokens of a text in memory; a batch holds some of them as targets, with the tokens around each.

    Folds are blocks of the text, since neighboring tokens share their contexts. A context never reaches across the end
    of a block, nor into the held-out block between two training blocks. A training batch holds targets from anywhere in
    the training blocks, shuffled by the seed of each replica.

    Args:
        text: The tokens, in order.
        max_window: Number of tokens on either side of a target that a batch holds, W. A model may use fewer.
        frequencies: How often each token occurs in the text that models are trained on, (R, V) or (1, V), on the host;
            default None: in the training rows of the split that batches are read for.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import EveryRow, TokenStream, Vocabulary, WordContexts
        >>> text = TokenStream(np.arange(5), Vocabulary(tuple("abcde")), window=1)
        >>> data = WordContexts(text, max_window=1)
        >>> batch = next(data.scoring_batches(EveryRow().split(data).train))
        >>> batch.y[0, :5].tolist()  # the targets (R, B)
        [0, 1, 2, 3, 4]
        >>> batch.x[0, :, :5].tolist()  # the tokens before and after each (R, 2 W, B); -1 beyond the ends
        [[-1, 0, 1, 2, 3], [1, 2, 3, 4, -1]]
    """

    def __init__(self, text: TokenStream, max_window: int, *, frequencies: Array | None = None) -> None:
        self.text, self.max_window, self._frequencies = text, max_window, frequencies
        self._overall_frequencies: Array | None = None  # (1, V), counted when they are first needed

    @property
    def sizes(self) -> tuple[int, ...]:
        """(V,), the size of the vocabulary."""
        return self.text.sizes

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens that the ids stand for."""
        return self.text.vocabulary

    @property
    def is_ordered(self) -> bool:
        """True: folds are blocks of the text, although targets are shuffled within the training blocks."""
        return True

    @property
    def validation_rows(self) -> Array | None:
        """The positions (n,) of the text's own validation part, on the host; None where it has none."""
        return self.text.validation_rows

    @property
    def labels(self) -> Array | None:
        """None: targets are not stratified by token."""
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

    @property
    def frequencies(self) -> Array:
        """How often each token occurs in the rows that models are trained on, (R, V) or (1, V), on the host.

        Before `fitted`, it is counted in all rows.
        """
        if self._frequencies is not None:
            return self._frequencies
        if self._overall_frequencies is None:
            self._overall_frequencies = self._count(Rows.from_folds([np.arange(len(self))]))
        return self._overall_frequencies

    def __len__(self) -> int:
        return len(self.text)

    def to(self, device: Device) -> WordContexts:
        """Return the same tokens on the device."""
        return WordContexts(self.text.to(device), self.max_window, frequencies=self._frequencies)

    def fitted(self, split: Split) -> WordContexts:
        """Return the same tokens with the frequencies (R, V) in the training rows of each replica."""
        return WordContexts(self.text, self.max_window, frequencies=self._count(split.train))

    def steps_per_epoch(self, split: Split, batch_size: int) -> int:
        """Return how many full batches the smallest fold has."""
        return split.min_train_rows // min(batch_size, split.min_train_rows)

    def training_batches(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """Yield as many full batches as the smallest fold has: contexts x (R, 2 W, B) and targets y (R, B).

        The targets of each replica are shuffled by its own seed. A place of a context beyond the end of a block, and a
        target without any context, is `IGNORED`.
        """
        size, steps = min(batch_size, split.min_train_rows), self.steps_per_epoch(split, batch_size)
        frequencies = self._frequencies if self._frequencies is not None else self._count(split.train)
        order = replicas.permutations(split.train.counts, steps * size)  # (R, steps * size)
        blocks, chunk = JoinedRows(split.train, self.text.ids), max(1, CHUNK_WORDS // (size * len(order))) * size
        for first in range(0, steps * size, chunk):
            x, y = self._read(blocks, to_device(order[:, first : first + chunk], replicas.device))
            for start in range(0, y.shape[1], size):
                part = slice(start, start + size)
                yield Batch(x[:, :, part], y[:, part], frequencies=frequencies, vocabulary=self.vocabulary)

    def scoring_batches(self, rows: Rows) -> Iterator[Batch]:
        """Yield every token of these rows once as a target, in order: x (R, 2 W, 1000) and y (R, 1000).

        Past the last token of a replica, targets are `IGNORED`.
        """
        blocks, last = JoinedRows(rows, self.text.ids), np.maximum(rows.counts - 1, 0)[:, None]  # (R, 1)
        for start in range(0, int(rows.counts.max()), SCORING_BATCH_SIZE):
            positions = start + np.arange(SCORING_BATCH_SIZE)
            x, y = self._read(blocks, to_device_of(self.text.ids, np.minimum(positions, last)))
            is_token = to_device_of(self.text.ids, positions < rows.counts[:, None])
            y = xp_of(y).where(is_token, y, IGNORED)
            yield Batch(x, y, frequencies=self.frequencies, vocabulary=self.vocabulary)

    def checksum(self) -> str:
        """Return the SHA-256 of the ids, the vocabulary and the validation part."""
        return self.text.checksum()

    def _read(self, blocks: JoinedRows, positions: Array) -> tuple[Array, Array]:
        """Return contexts (R, 2 W, B) and targets (R, B) at these positions (R, B) of each replica's joined rows."""
        ids, xp = self.text.ids, xp_of(self.text.ids)
        distances = np.concatenate([np.arange(-self.max_window, 0), np.arange(1, self.max_window + 1)])  # (2 W,)
        keys = positions + blocks.first_key[:, 0]  # (R, B)
        block = xp.searchsorted(blocks.begins, keys, side="right") - 1
        begin, end, offset = (each.take(block)[:, None] for each in (blocks.begins, blocks.ends, blocks.offsets))
        places = keys[:, None] + to_device_of(ids, distances[None, :, None])  # (R, 2 W, B)
        is_inside = (places >= begin) & (places < end)
        x = xp.where(is_inside, ids.take(xp.where(is_inside, places, keys[:, None]) + offset), IGNORED)
        y = xp.where((end - begin)[:, 0] > 1, ids.take(keys + offset[:, 0]), IGNORED)
        return x, y

    def _count(self, rows: Rows) -> Array:
        """Return how often each token occurs in the rows of each replica, (R, V), on the host."""
        ids, (size,) = to_host(self.text.ids), self.sizes
        counts = [
            np.bincount(ids[index[:count]], minlength=size)
            for index, count in zip(rows.index, rows.counts, strict=True)
        ]
        return np.stack(counts)

    def _select_own(self, rows: Array) -> None:
        """Keep the frequencies of these replicas."""
        if self._frequencies is not None and len(self._frequencies) > 1:
            self._frequencies = select_rows(self._frequencies, rows)

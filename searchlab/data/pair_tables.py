"""Pairs of texts as a table of ids: vocabularies of the training part, lengths, and the draw of test rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED
from searchlab.data.sequence_pairs import END_ID, LENGTH_FACTOR, Padding, SequenceFormat, SequencePairs
from searchlab.data.train_test_split import draw_test_rows
from searchlab.data.vocabulary import LINE_END, UNKNOWN, Unit, Vocabulary

START = "<sos>"

TextPair: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class PairFormat:
    """How pairs of texts become ids.

    Args:
        unit: Whether a token is a "char" (default) or a "word".
        min_count: How often a token must occur in the training part; rarer ones become `<unk>`; default 1.
        shared_vocabulary: Whether sources and targets have one vocabulary; default False.
        padding: "masked" (default): a target ends with an end mark, and what follows does not count. "learned": end
            marks fill both sides up to the longest row, and count, as the blanks of the book do.

    Example:
        >>> from searchlab.data.pair_tables import PairFormat, split_pairs
        >>> pairs = [("1+1", "2"), ("10+2", "12"), ("7+5", "12"), ("3+3", "6"), ("2+2", "4")]
        >>> table = split_pairs(pairs, PairFormat(), test_size=0.2, seed=0, is_test=False)
        >>> len(table), table.sizes[1], table.source_text(1), table.target_text(1)
        (4, 7, '10+2', '12')
    """

    unit: Unit = "char"
    min_count: int = 1
    shared_vocabulary: bool = False
    padding: Padding = "masked"


def split_pairs(
    pairs: Sequence[TextPair], pair_format: PairFormat, *, test_size: float, seed: int, is_test: bool
) -> SequencePairs:
    """Return the test part or the training part of these pairs; equal sources are on one side.

    The vocabularies are those of the training part, and so is the longest target, by which decoding is limited.
    """
    _, groups, counts = np.unique([source for source, _ in pairs], return_inverse=True, return_counts=True)
    repeated = groups if counts.max() > 1 else None
    is_test_row = draw_test_rows(len(pairs), test_size, seed, groups=repeated)
    return table_of(pairs, is_test_row, pair_format, is_test=is_test, groups=repeated)


def table_of(
    pairs: Sequence[TextPair],
    is_test_row: Array,
    pair_format: PairFormat,
    *,
    is_test: bool,
    groups: Array | None = None,
) -> SequencePairs:
    """Return the rows of `pairs` for which `is_test_row` (N,) equals `is_test`, as ids of the training rows' tokens."""
    sources, targets = zip(*[_tokens(pair, pair_format.unit) for pair in pairs], strict=True)
    train, rows = np.flatnonzero(~is_test_row), np.flatnonzero(is_test_row == is_test)
    vocabularies = _vocabularies([sources[row] for row in train], [targets[row] for row in train], pair_format)
    longest = max(len(targets[row]) for row in train)
    own_sources, own_targets = [sources[row] for row in rows], [targets[row] for row in rows]
    own_groups = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    if pair_format.padding == "learned":
        own_sources, own_targets = (
            _filled(own, all_) for own, all_ in ((own_sources, sources), (own_targets, targets))
        )
        width = len(own_sources[0])
        sequence_format = SequenceFormat(*vocabularies, len(own_targets[0]), source_width=width)
        return _as_pairs(own_sources, own_targets, sequence_format, own_groups)
    ended = [[*line, LINE_END] for line in own_targets]
    sequence_format = SequenceFormat(*vocabularies, LENGTH_FACTOR * (longest + 1))
    return _as_pairs(own_sources, ended, sequence_format, own_groups)


def _filled(lines: Sequence[list[str]], table: Sequence[list[str]]) -> list[list[str]]:
    """Return the lines with end marks after them, as long as the longest one of the table."""
    width = max(map(len, table))
    return [line + [LINE_END] * (width - len(line)) for line in lines]


def _tokens(pair: TextPair, unit: Unit) -> tuple[list[str], list[str]]:
    source, target = (list(text) if unit == "char" else text.split() for text in pair)
    return source, target


def _vocabularies(
    sources: Sequence[list[str]], targets: Sequence[list[str]], pair_format: PairFormat
) -> tuple[Vocabulary, Vocabulary]:
    """Return the vocabulary of the sources and that of the targets; ids 0 and 1 of the latter end and begin one."""
    marks = (LINE_END, START)
    if pair_format.shared_vocabulary:
        both = _vocabulary(chain(*sources, *targets), marks, pair_format)
        return both, both
    filler = marks[:1] if pair_format.padding == "learned" else ()
    return _vocabulary(chain(*sources), filler, pair_format), _vocabulary(chain(*targets), marks, pair_format)


def _vocabulary(tokens: Iterable[str], marks: tuple[str, ...], pair_format: PairFormat) -> Vocabulary:
    """Return the marks, the tokens that are frequent enough in the order of first appearance, and the unknown token."""
    counts = Counter(tokens)
    kept = [token for token, count in counts.items() if count >= pair_format.min_count]
    return Vocabulary(tuple(dict.fromkeys([*marks, *kept, UNKNOWN])), UNKNOWN, pair_format.unit)


def _as_pairs(
    sources: Sequence[list[str]], targets: Sequence[list[str]], sequence_format: SequenceFormat, groups: Array | None
) -> SequencePairs:
    source_ids, lengths = _padded(sources, sequence_format.source_vocabulary, END_ID)
    target_ids, _ = _padded(targets, sequence_format.target_vocabulary, IGNORED)
    return SequencePairs(source_ids, lengths, target_ids, sequence_format, groups=groups)


def _padded(lines: Sequence[list[str]], vocabulary: Vocabulary, filler: int) -> tuple[Array, Array]:
    """Return the ids (N, T) of lines of tokens, filled up to the longest one, and their lengths (N,)."""
    lengths = np.array([len(line) for line in lines])
    ids = np.full((len(lines), max(1, int(lengths.max()))), filler, dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = vocabulary.lookup_ids(chain.from_iterable(lines))
    return ids, lengths

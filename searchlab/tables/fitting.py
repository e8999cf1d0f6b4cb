"""What a replica learns of a table from its own training rows: what fills empty cells, frequent words, scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.tables.columns import Column, Layout

BLOCK_COLUMNS = 64  # columns that are copied at a time, in float64
RARE_ROWS, RARE_SHARE = 10, 0.01  # a word is rare in fewer rows than the smaller of the two


@dataclass(frozen=True)
class FittedRows:
    """What one replica has learned.

    Attributes:
        fill: What an empty cell of each column is filled with, (C,).
        known: Which words have an input of their own, (inputs of words,).
        mean: Mean of the filled numbers, (numbers,).
        scale: Scale of the filled numbers, (numbers,).
    """

    fill: Array
    known: Array
    mean: Array
    scale: Array


def fit_rows(x: Array, rows: Array, layout: Layout, min_frequency: int | float | None) -> FittedRows:
    """Return what these rows (n,) of a table x (N, C), on the host, say of its columns."""
    fill, known = np.zeros(x.shape[1]), np.ones(layout.word_inputs, dtype=bool)
    mean, scale = np.zeros(len(layout.numbers)), np.ones(len(layout.numbers))
    for start in range(0, len(layout.numbers), BLOCK_COLUMNS):
        block = layout.numbers[start : start + BLOCK_COLUMNS]
        values = x[:, block].take(rows, axis=0).astype(np.float64)  # (n, block)
        fill[block] = _fill_numbers(values, [layout.columns[index] for index in block])
        origin = values[0]
        deviations = values - origin  # from a row: a constant column deviates by exactly 0
        shift = deviations.mean(axis=0)
        mean[start : start + len(block)] = origin + shift
        with np.errstate(under="ignore"):
            scale[start : start + len(block)] = np.sqrt(((deviations - shift) ** 2).mean(axis=0))
    scale = np.where(scale < np.finfo(np.float32).tiny, 1.0, scale)
    least = min_count(len(rows), min_frequency)
    for index, first in zip(layout.words.tolist(), layout.word_starts.tolist(), strict=True):
        other = layout.columns[index].other
        codes = x[rows, index]
        counts = np.bincount(codes[~np.isnan(codes)].astype(np.int64), minlength=other + 1)
        known[first : first + other] = counts[:other] >= least
        fill[index] = _most_frequent(counts, known[first : first + other])
    with np.errstate(under="ignore"):
        return FittedRows(fill.astype(x.dtype), known, mean.astype(x.dtype), scale.astype(x.dtype))


def min_count(rows: int, min_frequency: int | float | None) -> int:
    """Return in how many of so many rows a word must occur to have an input of its own."""
    if min_frequency is None:
        return max(1, min(RARE_ROWS, math.ceil(RARE_SHARE * rows)))
    return math.ceil(min_frequency * rows) if isinstance(min_frequency, float) else min_frequency


def _fill_numbers(values: Array, columns: list[Column]) -> Array:
    """Fill the empty cells of numbers (n, block) in place, and return with what (block,)."""
    is_empty = np.isnan(values)
    fill = np.empty(values.shape[1])
    complete = ~is_empty.any(axis=0)
    fill[complete] = np.median(values[:, complete], axis=0)
    for place in np.flatnonzero(~complete):
        present = values[~is_empty[:, place], place]
        fill[place] = np.median(present) if len(present) else 0.0
        values[is_empty[:, place], place] = fill[place]
    for index, column in enumerate(columns):
        if column.kind == "boolean":  # the most frequent one of two
            fill[index] = np.ceil(fill[index] - 0.5)
            values[is_empty[:, index], index] = fill[index]
    return fill


def _most_frequent(counts: Array, known: Array) -> Any:
    """Return the code of the most frequent word (words and the pooled one); rare words count as the pooled one."""
    pooled = counts[-1] + counts[:-1][~known].sum()
    return np.append(np.where(known, counts[:-1], 0), pooled).argmax()

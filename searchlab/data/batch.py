"""What a model is given at one training or scoring step."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.backend import Array
from searchlab.data.vocabulary import Vocabulary

IGNORED = -1  # a target that does not count, like the ignore_index of PyTorch's cross-entropy: past the end of a stream


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs, targets and weights of one step, for R replicas.

    Args:
        x: Inputs (R, B, features) of float32, or token ids (R, T, B) of B sequences, time-major.
        y: Targets: classes (R, B), or numbers to predict (R, B, outputs), or token ids (R, T, B): those that follow
            each input token, or those of an output sequence; or words (R, B) to predict from the words around them, x
            (R, 2 W, B). `IGNORED` where a position has no target.
        weight: Which rows count, (R, B) of 0 and 1, where replicas hold out different numbers of rows; None (default)
            when all rows count.
        decoder_inputs: Ids (R, T_out, B) that a decoder reads to predict y (R, T_out, B): a start mark, then each
            target but the last. Default None, for data other than pairs of sequences.
        source_mask: Which places of x (R, T, B) hold tokens and not padding, which comes last; default None, all.
        max_length: Number of tokens that decoding may write; default None.
        frequencies: How often each of V tokens occurs in the training rows, (R, V) or (1, V), on the host: negative
            samples are drawn by them. Default None, for data other than words with contexts.
        vocabulary: The tokens that ids stand for, where a metric needs to know; default None.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Batch
        >>> batch = Batch(x=np.zeros((3, 8, 4), np.float32), y=np.zeros((3, 8), int))  # R = 3, B = 8
        >>> batch.x.shape, batch.y.shape, batch.weight
        ((3, 8, 4), (3, 8), None)
    """

    x: Array
    y: Array
    weight: Array | None = None
    decoder_inputs: Array | None = None
    source_mask: Array | None = None
    max_length: int | None = None
    frequencies: Array | None = None
    vocabulary: Vocabulary | None = None

"""What a model is given at one training or scoring step."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.backend import Array

IGNORED = -1  # a target that does not count, like the ignore_index of PyTorch's cross-entropy: past the end of a stream


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs, targets and weights of one step, for R replicas.

    Args:
        x: Inputs (R, B, features) of float32, or token ids (R, T, B) of B sequences, time-major.
        y: Targets: classes (R, B), or numbers to predict (R, B, outputs), or the token ids (R, T, B) that follow each
            input token, with `IGNORED` where a position has no target.
        weight: Which rows count, (R, B) of 0 and 1, where replicas hold out different numbers of rows; None (default)
            when all rows count.

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

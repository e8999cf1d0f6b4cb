"""The kernel of dropout: hash the positions, compare, and multiply, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit

u32 = np.uint32
GOLDEN_RATIO, FIRST, SECOND = u32(0x9E3779B9), u32(0x7FEB352D), u32(0x846CA68B)
SHIFT_16, SHIFT_15, LOW_16 = u32(16), u32(15), u32(0xFFFF)


@jit
def _word(position: Any, first_key: Any, second_key: Any) -> Any:
    """Return the hash that `Replicas.random_uint32` computes for a position."""
    word = u32(position * GOLDEN_RATIO + first_key)  # Numba computes with 64 bits
    word = u32(u32(word ^ (word >> SHIFT_16)) * FIRST)
    word = u32(word ^ second_key)
    word = u32(u32(word ^ (word >> SHIFT_15)) * SECOND)
    return u32(word ^ (word >> SHIFT_16))


@jit
def _mask_row(mask: Any, first_key: Any, second_key: Any, threshold: Any, scale: Any) -> None:
    """Write the factors of one replica: 0 where a 16-bit number lies below the threshold, else the scale."""
    zero = np.float32(0.0)
    for pair in range(mask.shape[0] // 2):
        word = _word(u32(pair), first_key, second_key)
        mask[2 * pair] = zero if (word & LOW_16) < threshold else scale
        mask[2 * pair + 1] = zero if (word >> SHIFT_16) < threshold else scale
    if mask.shape[0] % 2:
        word = _word(u32(mask.shape[0] // 2), first_key, second_key)
        mask[mask.shape[0] - 1] = zero if (word & LOW_16) < threshold else scale


@jit
def dropout_mask(mask: Any, first_keys: Any, second_keys: Any, thresholds: Any, scales: Any) -> None:
    """Write what dropout multiplies by.

    Args:
        mask: The factors (R, n), which are written: 0 or the scale.
        first_keys: First key of each replica's draw (R,).
        second_keys: Second key (R,).
        thresholds: 16-bit numbers below this one drop a position (R,).
        scales: 1 / (1 - rate) (R,).
    """
    for r in range(mask.shape[0]):
        _mask_row(mask[r], first_keys[r], second_keys[r], thresholds[r], scales[r])

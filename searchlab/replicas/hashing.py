"""Random 32-bit integers as hashes of a seed, a draw and a position, so that any device computes the same ones."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, xp_of

GOLDEN_RATIO_64 = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, the increment of SplitMix64
GOLDEN_RATIO_32 = np.uint64(0x9E3779B9)
LOW_32_BITS = np.uint64(0xFFFFFFFF)


def hash_keys(seeds: Array, draws: Array) -> tuple[Array, Array]:
    """Return two 32-bit keys (D, R) of each draw (D, R) of each replica with its seed (R,), all uint64 on the host."""
    keys = _mix(_mix(seeds + GOLDEN_RATIO_64) ^ _mix(draws * GOLDEN_RATIO_64))
    low, high = (keys & LOW_32_BITS), keys >> np.uint64(32)
    return low.astype(np.uint32), high.astype(np.uint32)


def position_words(count: int) -> Array:
    """Return multiples of an odd constant (1, count): a distinct, well spread word per position, on the host."""
    words = np.arange(count, dtype=np.uint64) * GOLDEN_RATIO_32
    return (words & LOW_32_BITS).astype(np.uint32)[None]


def hash_positions(words: Array, first_key: Array, second_key: Array) -> Array:
    """Return the hashes (R, count) of words (1, count) of positions with the keys (R,) of a draw, on their device.

    The hash is a finalizer of multiplications and shift-xors (constants of C. Wellons' lowbias32). One key is added
    before it, and another is mixed in between.
    """
    xp = xp_of(words)
    hashes: Array = words + first_key[:, None]
    hashes ^= hashes >> xp.uint32(16)
    hashes *= xp.uint32(0x7FEB352D)
    hashes ^= second_key[:, None]
    hashes ^= hashes >> xp.uint32(15)
    hashes *= xp.uint32(0x846CA68B)
    hashes ^= hashes >> xp.uint32(16)
    return hashes


def _mix(words: Array) -> Array:
    """Return SplitMix64's finalizer (Steele, Lea and Flood 2014) of uint64 words: every bit depends on every bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = words ^ (words >> np.uint64(31))
    return mixed

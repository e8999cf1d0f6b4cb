"""The replica axis: how many networks train side by side, and the only source of their randomness.

Axis 0 of every array is the replica: one (trial, fold, seed). What all replicas share has axis 0 of size 1 and
broadcasts. Each replica draws from its own seed by counting, so what it draws depends on its seed, the number of
the draw and the position in the array, and on no other replica: trained together or alone, the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np

from searchlab.backend import Array, Device, module_of, select, to_device

PER_REPLICA = "one value per replica"
PerReplica: TypeAlias = Annotated[float | Sequence[float] | Array, PER_REPLICA]
"""A constructor argument that may differ between the replicas of one group: one number for all, or R of them."""

KEYS_AHEAD = 256  # draws whose keys are hashed at once: a training step should not pay for hashing R small numbers


def align(vector: Array, like: Array) -> Array:
    """The vector (R,) shaped (R, 1, ..., 1), to meet an array (R, ...) replica by replica."""
    return vector.reshape(vector.shape + (1,) * (like.ndim - 1))


def fold_seeds(seed: int, folds: int) -> list[int]:
    """One replica seed per fold, the same for every trial of a sweep, so that trials compare in pairs."""
    return [int(np.random.SeedSequence([seed, fold]).generate_state(1, np.uint64)[0]) for fold in range(folds)]


class Fused:
    """An object whose arrays all have axis 0 = replica, or of size 1 where replicas share them."""

    def keep(self, rows: Array) -> None:
        """Go on with these replicas only: row numbers (kept,), on the host."""
        found: dict[int, Fused] = {}
        _collect(self, found)
        for holder in found.values():
            holder.keep_own(rows)

    def keep_own(self, rows: Array) -> None:
        """Select these rows of the arrays held directly: `keep` asks each object it can reach once."""
        for name, value in vars(self).items():
            if hasattr(value, "shape") and value.ndim and value.shape[0] != 1:
                setattr(self, name, select(value, rows))


def _collect(value: object, found: dict[int, Fused]) -> None:
    if isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, found)
    elif isinstance(value, Fused) and id(value) not in found:
        found[id(value)] = value
        for held in vars(value).values():
            _collect(held, found)


def _mix(words: Array) -> Array:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014) over uint64 words: every bit depends on every bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = words ^ (words >> np.uint64(31))
    return mixed


class Replicas(Fused):
    """R networks side by side: their seeds, device and dtype, and all randomness they use.

    Numbers drawn once (weights, row orders) come from NumPy's Philox on the host, so that devices agree. Numbers drawn
    at every step (dropout) are hashed where the arrays live. Both count the same draws.
    """

    def __init__(self, seeds: Sequence[int], *, device: Device = "cpu", dtype: Any = np.float32) -> None:
        self.seeds = np.array(seeds, dtype=np.uint64)  # (R,), host
        self.draws = np.zeros(len(self.seeds), dtype=np.int64)  # (R,), host: draws made before the keys held now
        self.device: Device = device
        self.dtype = np.dtype(dtype)
        self._keys: tuple[Array, Array] | None = None  # two (KEYS_AHEAD, R) words on the device
        self._used = 0
        self._positions: dict[int, Array] = {}
        self._philox = np.random.Philox(key=0)

    @property
    def count(self) -> int:
        """How many replicas train side by side."""
        return len(self.seeds)

    @property
    def xp(self) -> Any:
        """The array module, numpy or cupy, of the device."""
        return module_of(self.device)

    def vector(self, value: PerReplica) -> Array:
        """One value per replica (R,), from one number for all or from R of them; raises ValueError otherwise."""
        values = np.asarray(value, dtype=self.dtype)
        if values.ndim > 1 or values.size not in (1, self.count):
            raise ValueError(f"expected one value or {self.count}, one per replica; got {values.size}")
        return to_device(np.array(np.broadcast_to(values.reshape(-1), (self.count,))), self.device)

    def zeros(self, *shape: int) -> Array:
        """Zeros (R, *shape) on the device."""
        zeros: Array = self.xp.zeros((self.count, *shape), dtype=self.dtype)
        return zeros

    def full(self, *shape: int, value: PerReplica) -> Array:
        """This value, each replica's own, at every place of (R, *shape) on the device."""
        full: Array = self.zeros(*shape)
        full += align(self.vector(value), full)
        return full

    def normal(self, *shape: int, scale: PerReplica = 1.0) -> Array:
        """Normal numbers (R, *shape) with mean 0 and this standard deviation, drawn on the host."""
        return self._drawn(shape, lambda generator: generator.standard_normal(shape), scale)

    def uniform(self, *shape: int, scale: PerReplica = 1.0) -> Array:
        """Uniform numbers (R, *shape) in [-scale, scale), drawn on the host."""
        return self._drawn(shape, lambda generator: generator.uniform(-1.0, 1.0, shape), scale)

    def permutations(self, counts: Array, length: int) -> Array:
        """For each replica the first `length` of a shuffle of 0 .. counts[r] - 1: (R, length), on the host.

        Replicas with the same seed, draw and count share one shuffle: the folds of all trials see the same order.
        """
        shuffles: dict[tuple[int, int, int], Array] = {}
        rows = np.empty((self.count, length), dtype=np.intp)
        for r, (seed, draw) in enumerate(self._next_draws()):
            key = (seed, draw, int(counts[r]))
            if key not in shuffles:
                shuffles[key] = self._generator(seed, draw).permutation(key[2])[:length]
            rows[r] = shuffles[key]
        return rows

    def words(self, count: int) -> Array:
        """Random 32-bit words (R, count), hashed where the arrays live.

        The hash is a multiply and shift-xor finaliser (constants of C. Wellons' lowbias32) with a key added before and
        another mixed in between.
        """
        first, second = self._next_keys()
        xp = self.xp
        words: Array = self._counting(count) + first[:, None]
        words ^= words >> xp.uint32(16)
        words *= xp.uint32(0x7FEB352D)
        words ^= second[:, None]
        words ^= words >> xp.uint32(15)
        words *= xp.uint32(0x846CA68B)
        words ^= words >> xp.uint32(16)
        return words

    def dropped(self, probability: Array, shape: tuple[int, ...]) -> Array:
        """Booleans of this shape (R, ...), each True with its replica's probability (R,), to the nearest 1/65,536."""
        size = int(np.prod(shape[1:]))
        words = self.words((size + 1) // 2)  # each yields two 16-bit numbers
        threshold = (probability * 65536.0).astype(self.xp.uint16)
        low: Array = words.view(self.xp.uint16)[:, :size] < threshold[:, None]
        return low.reshape(shape)

    def skip_draw(self) -> None:
        """Count a draw that needs no numbers, so that later draws do not depend on whether this one did."""
        if self._used == KEYS_AHEAD:
            self._settle()
        self._used += 1

    def keep_own(self, rows: Array) -> None:
        """Go on with the seeds and draws of these replicas."""
        self._settle()
        self.seeds, self.draws = self.seeds[rows], self.draws[rows]

    def state(self) -> dict[str, Array]:
        """What a checkpoint needs to go on drawing: the draws each replica has made."""
        return {"draws": self.draws + self._used}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on drawing where `state` was taken."""
        self._settle()
        self.draws = np.array(state["draws"], dtype=np.int64)

    def _settle(self) -> None:
        self.draws = self.draws + self._used
        self._used, self._keys = 0, None

    def _generator(self, seed: int, draw: int) -> np.random.Generator:
        """Philox from its start with this key: set in place, which costs a tenth of making a new one."""
        state = self._philox.state
        state["state"] = {"counter": np.zeros(4, np.uint64), "key": np.array([seed, draw], np.uint64)}
        state["buffer_pos"], state["has_uint32"], state["uinteger"] = 4, 0, 0
        self._philox.state = state
        return np.random.Generator(self._philox)

    def _next_draws(self) -> list[tuple[int, int]]:
        draws = self.draws + self._used
        self.skip_draw()
        return [(int(seed), int(draw)) for seed, draw in zip(self.seeds, draws, strict=True)]

    def _drawn(self, shape: tuple[int, ...], draw_from: Any, scale: PerReplica) -> Array:
        numbers: dict[tuple[int, int], Array] = {}
        values = np.empty((self.count, *shape), dtype=self.dtype)
        for r, key in enumerate(self._next_draws()):
            if key not in numbers:
                numbers[key] = draw_from(self._generator(*key))
            values[r] = numbers[key]
        scaled = to_device(values, self.device)
        scaled *= align(self.vector(scale), scaled)
        return scaled

    def _next_keys(self) -> tuple[Array, Array]:
        if self._used == KEYS_AHEAD:
            self._settle()
        if self._keys is None:
            ahead = (self.draws + np.arange(KEYS_AHEAD)[:, None]).astype(np.uint64)  # (KEYS_AHEAD, R)
            keys = _mix(_mix(self.seeds + np.uint64(0x9E3779B97F4A7C15)) ^ _mix(ahead * np.uint64(0x9E3779B97F4A7C15)))
            low, high = (keys & np.uint64(0xFFFFFFFF)), keys >> np.uint64(32)
            self._keys = (to_device(low.astype(np.uint32), self.device), to_device(high.astype(np.uint32), self.device))
        draw = self._used
        self._used += 1
        return self._keys[0][draw], self._keys[1][draw]

    def _counting(self, words: int) -> Array:
        """Multiples of an odd constant (1, words): a distinct, well spread word per position, kept for the next."""
        if words not in self._positions:
            counting = np.arange(words, dtype=np.uint64) * np.uint64(0x9E3779B9)
            self._positions[words] = to_device((counting & np.uint64(0xFFFFFFFF)).astype(np.uint32)[None], self.device)
        return self._positions[words]

"""R networks side by side, and the only source of their random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array, Device, to_device, xp_for_device
from searchlab.errors import UserMistake
from searchlab.replicas.axis import HasReplicaAxis, PerReplica, align
from searchlab.replicas.hashing import hash_keys, hash_positions, position_words

DRAWS_PER_KEY_BLOCK = 256  # draws whose keys are hashed together: a training step should not hash R small numbers


def fold_seeds(seed: int, folds: int) -> list[int]:
    """Return one replica seed per fold, the same for every trial of a sweep, so that trials compare in pairs."""
    return [int(np.random.SeedSequence([seed, fold]).generate_state(1, np.uint64)[0]) for fold in range(folds)]


class Replicas(HasReplicaAxis):
    """R networks side by side: their seeds, their device, their dtype, and all random numbers that they use.

    Numbers drawn once (weights, row orders) come from NumPy's Philox on the host, so that devices agree. Numbers drawn
    at every step (dropout) are hashed on the device that uses them. Both kinds advance the same count of draws.

    Args:
        seeds: One seed per replica (R,), each in [0, 2**64).
        device: "cpu" or "cuda", where arrays are made; default "cpu".
        dtype: Floating-point type of the arrays; default float32.

    Attributes:
        seeds: The seeds (R,) as uint64, on the host.
        device: The device.
        dtype: The NumPy dtype.

    Example:
        >>> from searchlab.replicas import Replicas
        >>> replicas = Replicas([1, 2, 3])
        >>> replicas.count, replicas.zeros(4, 5).shape
        (3, (3, 4, 5))
        >>> alone = Replicas([2]).normal(4)  # replica 1 draws the same numbers without its neighbors
        >>> bool((Replicas([1, 2, 3]).normal(4)[1] == alone[0]).all())
        True
    """

    def __init__(self, seeds: Sequence[int], *, device: Device = "cpu", dtype: Any = np.float32) -> None:
        self.seeds = np.array(seeds, dtype=np.uint64)  # (R,), host
        self.draws = np.zeros(len(self.seeds), dtype=np.int64)  # (R,), host: draws made before the current key block
        self.device: Device = device
        self.dtype = np.dtype(dtype)
        self._keys: tuple[Array, Array] | None = None  # two (DRAWS_PER_KEY_BLOCK, R) uint32 arrays on the device
        self._draws_in_block = 0
        self._position_words: dict[int, Array] = {}
        self._philox = np.random.Philox(key=0)

    @property
    def count(self) -> int:
        """The number of replicas, R."""
        return len(self.seeds)

    @property
    def xp(self) -> Any:
        """The array module of the device, numpy or cupy."""
        return xp_for_device(self.device)

    def vector(self, value: PerReplica) -> Array:
        """Return one value per replica (R,) on the device.

        Args:
            value: One number for all replicas, or a sequence of R numbers.

        Raises:
            ValueError: When there are neither one nor R numbers.
        """
        values = np.asarray(value, dtype=self.dtype)
        if values.ndim > 1 or values.size not in (1, self.count):
            raise ValueError(f"expected one value or {self.count}, one per replica; got {values.size}")
        return to_device(np.array(np.broadcast_to(values.reshape(-1), (self.count,))), self.device)

    def validated(
        self, owner: object, name: str, value: PerReplica, requirement: str, is_valid: Callable[[Array], Array]
    ) -> Array:
        """Return one value per replica (R,) on the host, in float64.

        Args:
            owner: The object whose argument it is.
            name: Name of the argument.
            value: One number for all replicas, or a sequence of R numbers.
            requirement: What a number has to be besides finite, in words: "of at least 0".
            is_valid: Which of the numbers (R,) meet the requirement.

        Raises:
            UserMistake: When a number is not finite or does not meet the requirement.
        """
        values = Replicas(range(self.count), dtype=np.float64).vector(value)
        wrong = values[~(np.isfinite(values) & is_valid(values))]
        if wrong.size:
            raise UserMistake(f"{type(owner).__name__} needs a finite {name} {requirement}, got {wrong[0]:g}.")
        return values

    def zeros(self, *shape: int) -> Array:
        """Return zeros (R, *shape) on the device."""
        zeros: Array = self.xp.zeros((self.count, *shape), dtype=self.dtype)
        return zeros

    def full(self, *shape: int, value: PerReplica) -> Array:
        """Return an array (R, *shape) on the device that holds each replica's value at every position."""
        full: Array = self.zeros(*shape)
        full += align(self.vector(value), full)
        return full

    def normal(self, *shape: int, scale: PerReplica = 1.0) -> Array:
        """Draw normal numbers (R, *shape) with mean 0 and standard deviation `scale`, on the host; move them over."""
        return self._draw(shape, lambda generator: generator.standard_normal(shape), scale)

    def uniform(self, *shape: int, scale: PerReplica = 1.0) -> Array:
        """Draw uniform numbers (R, *shape) in [-scale, scale), on the host, and move them to the device."""
        return self._draw(shape, lambda generator: generator.uniform(-1.0, 1.0, shape), scale)

    def permutations(self, counts: Array, length: int) -> Array:
        """Draw for each replica the first `length` entries of a shuffle of 0 .. counts[r] - 1.

        Where these are fewer, other shuffles of them follow.

        Replicas with the same seed, draw and count share one shuffle: the folds of all trials see the same order.

        Args:
            counts: How many numbers each replica shuffles (R,).
            length: How many entries to keep.

        Returns:
            Row numbers (R, length), on the host.
        """
        shuffles: dict[tuple[int, int, int], Array] = {}
        rows = np.empty((self.count, length), dtype=np.intp)
        for r, (seed, draw) in enumerate(self._next_draws()):
            key = (seed, draw, int(counts[r]))
            if key not in shuffles:
                generator, repeats = self._generator(seed, draw), max(1, -(-length // key[2]))
                shuffles[key] = np.concatenate([generator.permutation(key[2]) for _ in range(repeats)])[:length]
            rows[r] = shuffles[key]
        return rows

    def random_uint32(self, count: int) -> Array:
        """Draw random 32-bit integers (R, count), hashed on the device."""
        return hash_positions(self._words_of_positions(count), *self.next_keys())

    def bernoulli(self, probability: Array, shape: tuple[int, ...]) -> Array:
        """Draw booleans, each True with its replica's probability to the nearest 1/65,536.

        Args:
            probability: One probability per replica (R,), in [0, 1), on the device.
            shape: The shape (R, ...) of the result.
        """
        size = int(np.prod(shape[1:]))
        words = self.random_uint32((size + 1) // 2)  # each holds two 16-bit numbers
        drawn: Array = words.view(self.xp.uint16)[:, :size] < self.thresholds_16(probability)[:, None]
        return drawn.reshape(shape)

    def thresholds_16(self, probability: Array) -> Array:
        """Return the 16-bit numbers (R,) below which a random one lies with these probabilities, rounded."""
        thresholds: Array = self.xp.minimum(probability * 65536.0 + 0.5, 65535.0).astype(self.xp.uint16)
        return thresholds

    def skip_draw(self) -> None:
        """Count a draw that needs no numbers, so that later draws are the same with and without it."""
        if self._draws_in_block == DRAWS_PER_KEY_BLOCK:
            self._end_key_block()
        self._draws_in_block += 1

    def _select_own(self, rows: Array) -> None:
        """Keep the seeds and draw counts of these replicas."""
        self._end_key_block()
        self.seeds, self.draws = self.seeds[rows], self.draws[rows]

    def state(self) -> dict[str, Array]:
        """Return what a checkpoint needs to continue the random numbers: the draws that each replica has made."""
        return {"draws": self.draws + self._draws_in_block}

    def restore(self, state: dict[str, Array]) -> None:
        """Continue the random numbers from where `state` was taken."""
        self._end_key_block()
        self.draws = np.array(state["draws"], dtype=np.int64)

    def _end_key_block(self) -> None:
        self.draws = self.draws + self._draws_in_block
        self._draws_in_block, self._keys = 0, None

    def _generator(self, seed: int, draw: int) -> np.random.Generator:
        """Return Philox at its start with this key; setting the state in place costs a tenth of a new generator."""
        state = self._philox.state
        state["state"] = {"counter": np.zeros(4, np.uint64), "key": np.array([seed, draw], np.uint64)}
        state["buffer_pos"], state["has_uint32"], state["uinteger"] = 4, 0, 0
        self._philox.state = state
        return np.random.Generator(self._philox)

    def _next_draws(self) -> list[tuple[int, int]]:
        """Count a draw, and return each replica's seed and draw number."""
        draws = self.draws + self._draws_in_block
        self.skip_draw()
        return [(int(seed), int(draw)) for seed, draw in zip(self.seeds, draws, strict=True)]

    def _draw(
        self, shape: tuple[int, ...], draw_from: Callable[[np.random.Generator], Array], scale: PerReplica
    ) -> Array:
        drawn: dict[tuple[int, int], Array] = {}
        values = np.empty((self.count, *shape), dtype=self.dtype)
        for r, key in enumerate(self._next_draws()):
            if key not in drawn:
                drawn[key] = draw_from(self._generator(*key))
            values[r] = drawn[key]
        scaled = to_device(values, self.device)
        scaled *= align(self.vector(scale), scaled)
        return scaled

    def next_keys(self) -> tuple[Array, Array]:
        """Count a draw, and return its two 32-bit keys (R,) on the device, from which `random_uint32` hashes."""
        if self._draws_in_block == DRAWS_PER_KEY_BLOCK:
            self._end_key_block()
        if self._keys is None:
            draws = (self.draws + np.arange(DRAWS_PER_KEY_BLOCK)[:, None]).astype(np.uint64)  # (block, R)
            first, second = hash_keys(self.seeds, draws)
            self._keys = (to_device(first, self.device), to_device(second, self.device))
        draw = self._draws_in_block
        self._draws_in_block += 1
        return self._keys[0][draw], self._keys[1][draw]

    def _words_of_positions(self, count: int) -> Array:
        """Return the words (1, count) of positions on the device, cached."""
        if count not in self._position_words:
            self._position_words[count] = to_device(position_words(count), self.device)
        return self._position_words[count]

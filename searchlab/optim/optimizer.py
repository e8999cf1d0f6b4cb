"""What all optimizers share: one step over the arrays of all replicas, cut into blocks that a core's cache holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array, to_device_of, to_host, xp_of
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Fused

# Numbers of one array that a block holds: 512 kB as float32. Adam's ten passes then find its four arrays in the cache,
# 1.4 times as fast on five networks of two million parameters; with a quarter of that, the calls begin to cost.
BLOCK = 2**17

Arrays: TypeAlias = tuple[Array, ...]


def clip_joint_norm(grads: Array, limit: Array) -> None:
    """Scale each row of grads (R, P) down, in place, to at most its Euclidean norm limit (R,).

    The norm is taken over all parameters together (Pascanu, Mikolov and Bengio 2013).
    """
    xp = xp_of(grads)
    norm = xp.sqrt(xp.matmul(grads[:, None, :], grads[:, :, None])[:, 0, 0])  # (R,)
    grads *= xp.minimum(limit / (norm + 1e-6), 1.0)[:, None]


class Optimizer(Fused, ABC):
    """Moves the parameters by their gradients, which it may use up.

    A constructor takes the parameters and replicas by position and its hyperparameters by keyword. An optimizer that a
    schedule can move keeps its rate in `lr` (R,), on the device, and reads it anew at every update.
    """

    lr: Array

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._blocks: list[tuple[slice, Arrays]] = []  # which replicas, and views of their arrays
        self._blocks_of: Array | None = None  # the values that they are views of

    @abstractmethod
    def prepare(self) -> Arrays:
        """Count the step, and give the numbers of each replica that `move` needs for it, (R, 1) each."""

    @abstractmethod
    def move(self, arrays: Arrays, rates: Arrays) -> None:
        """The step on one block: values, gradients and `own_arrays`, all (r, p), with their replicas' rates (r, 1).

        A block is some neighbouring columns of some replicas, so it may use no number of other columns.
        """

    def own_arrays(self) -> Arrays:
        """The arrays (R, P) that `move` needs besides values and gradients; (1, P) where replicas share one."""
        return ()

    def update(self) -> None:
        """One step for all replicas."""
        rates = self.prepare()
        if self._blocks_of is not self.parameters.values:
            self._cut_blocks()
        if len(self._blocks) == 1:  # small networks: not even the slicing of rates
            self.move(self._blocks[0][1], rates)
        else:
            for rows, arrays in self._blocks:
                self.move(arrays, tuple([rate[rows] for rate in rates]))

    def slots(self) -> dict[str, Array]:
        """What it remembers from step to step, by name; axis 0 is the replica."""
        return {}

    def keep_own(self, rows: Array) -> None:
        """Select these rows of the slots; blocks are cut anew at the next update."""
        self._blocks, self._blocks_of = [], None
        super().keep_own(rows)

    def state(self) -> dict[str, Array]:
        """Its slots on the host."""
        return {name: to_host(slot).copy() for name, slot in self.slots().items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Take the slots of `state`; raises ValueError when they are another optimizer's."""
        slots = self.slots()
        if set(state) != set(slots):
            raise ValueError(f"expected the slots {sorted(slots)}, got {sorted(state)}")
        for name, slot in slots.items():
            if state[name].shape != slot.shape:
                raise ValueError(f"{name} is {slot.shape} here and {state[name].shape} in the saved state")
            slot[...] = to_device_of(slot, state[name])

    def _cut_blocks(self) -> None:
        values = self.parameters.values
        replicas, count = values.shape
        arrays = (values, self.parameters.grads, *self.own_arrays())
        most = BLOCK if xp_of(values) is np else values.size  # on a GPU every block would be a launch of every kernel
        self._blocks = [
            (rows, tuple(array[rows if len(array) > 1 else slice(1), columns] for array in arrays))
            for rows, columns in _pieces(replicas, count, most)
        ]
        self._blocks_of = values


def _pieces(rows: int, columns: int, most: int) -> list[tuple[slice, slice]]:
    """Cut (rows, columns) into whole rows, or parts of one row, of at most this many numbers.

    Either lies in one piece in memory: the same columns of many rows would take up to three times as long.
    """
    tall, wide = max(1, most // columns), min(columns, most)
    return [(slice(r, r + tall), slice(c, c + wide)) for r in range(0, rows, tall) for c in range(0, columns, wide)]

"""What the contract of a recurrent layer tries: a constructor, inputs and gradients, and a layer with its carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.nn.parameter import Parameters
from searchlab.nn.rnn import RecurrentLayer, RecurrentState
from searchlab.replicas import HasReplicaAxis
from searchlab.testing.gradients import PARAMETER_NOISE
from searchlab.testing.replica_rows import ALL_REPLICAS, PerReplicaValues, arguments_for, replicas_for

PASSES = (True, False, True, True)  # the argument `train` of each pass; the one that is False has another window shape


class RecurrentRun(HasReplicaAxis):
    """A layer, its parameters and its latest carry in one object, as in a trainer, so that replicas can be dropped."""

    def __init__(self, layer: RecurrentLayer) -> None:
        self.layer = layer
        self.carry: RecurrentState = ()
        self.parameters = Parameters(layer.named_parameters())

    def both_passes(
        self,
        x: Array,
        dy: Array,
        carry: RecurrentState | None = None,
        *,
        train: bool = True,
        mask: Array | None = None,
    ) -> dict[str, Array]:
        """Return the results of a forward pass and, in training, of the backward pass after it."""
        padding = {} if mask is None else {"mask": mask}
        h, self.carry = self.layer.forward(x, carry, train=train, **padding)
        results = {"the hidden states": h.copy(), **named_states(self.carry)}
        if train:
            results |= {"the input's gradient": self.layer.backward(dy).copy(), **self.gradients()}
        return results

    def both_passes_by_lookup(
        self, table: Array, ids: Array, dy: Array, carry: RecurrentState | None = None
    ) -> tuple[dict[str, Array], Array]:
        """Return the same for the inputs table[ids], and the gradient of the table."""
        h, self.carry = self.layer.forward_lookup(table, ids, carry)
        results = {"the hidden states": h.copy(), **named_states(self.carry)}
        table_gradient = self.layer.backward_lookup(dy).copy()
        return {**results, **self.gradients()}, table_gradient

    def gradients(self) -> dict[str, Array]:
        """Return a copy of the gradient of every parameter."""
        named = self.parameters.trainable
        return {f"the gradient of {name}": parameter.grad.copy() for name, parameter in named.items()}


def named_states(carry: RecurrentState) -> dict[str, Array]:
    """Return a copy of each array of a carry by its position."""
    return {f"array {index} of the carry": state.copy() for index, state in enumerate(carry)}


class RecurrentCase:
    """The constructor under test, and x and dy of each pass."""

    def __init__(
        self,
        build: Callable[..., RecurrentLayer],
        features: int,
        window: tuple[int, int],
        per_replica: PerReplicaValues | None,
    ) -> None:
        self.build, self.per_replica, self.features, self.window = build, per_replica, features, window
        self.generator = np.random.default_rng(0)
        T, B = window
        x = self.normal(len(ALL_REPLICAS), T, B, features)
        h, carry = self.run(ALL_REPLICAS, np.float64).layer.forward(x, train=False)
        assert h.shape[:3] == x.shape[:3], f"a hidden state for each input, {x.shape[:3]}; got {h.shape}"
        for state in carry:
            assert state.shape[:2] == (len(ALL_REPLICAS), B), f"a carry is arrays (R, B, H); got {state.shape}"
        self.hidden = h.shape[3]
        self.carry = tuple(self.normal(*state.shape) for state in carry)
        shapes = [self.window if train else (2 * T + 1, B + 1) for train in PASSES]
        self.x = [self.normal(len(ALL_REPLICAS), *shape, features) for shape in shapes]
        self.dy = [self.normal(len(ALL_REPLICAS), *shape, self.hidden) for shape in shapes]

    def normal(self, *shape: int) -> Array:
        """Return normal numbers in float64."""
        return self.generator.standard_normal(shape)

    def run(self, rows: Sequence[int], dtype: Any = np.float32) -> RecurrentRun:
        """Return a new layer for these replicas."""
        return RecurrentRun(self.build(replicas_for(rows, dtype), **arguments_for(self.per_replica, rows)))

    def with_moved_parameters(self) -> RecurrentRun:
        """Return a new layer for all replicas in float64, its parameters moved away from their initial values."""
        run = self.run(ALL_REPLICAS, np.float64)
        noise = np.random.default_rng(1).standard_normal(run.parameters.values.shape)
        run.parameters.values += PARAMETER_NOISE * noise
        return run

    def inputs(self, step: int, rows: Sequence[int] = ALL_REPLICAS) -> tuple[Array, Array]:
        """Return float32 copies of x and dy of these replicas for one pass."""
        return self.x[step][list(rows)].astype(np.float32), self.dy[step][list(rows)].astype(np.float32)

    def start(self, rows: Sequence[int] = ALL_REPLICAS) -> RecurrentState:
        """Return float32 copies of the carry of these replicas."""
        return tuple(state[list(rows)].astype(np.float32) for state in self.carry)

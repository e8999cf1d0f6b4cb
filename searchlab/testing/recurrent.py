"""The contract of a recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.nn.parameter import Parameters
from searchlab.nn.rnn import Recurrent, States
from searchlab.replicas import Fused
from searchlab.testing.gradients import AWAY, agrees
from searchlab.testing.lanes import SURVIVORS, TOGETHER, PerReplicaValues, replicas_of, rows_of, same_bits, values_of

WINDOWS = ((4, 3), (1, 2), (3, 1))  # T and B
ROWS = 5  # of a table whose rows are the inputs
PASSES = (True, False, True, True)  # whether each pass trains: one that does not has a window of its own


def check_recurrent(
    build: Callable[..., Recurrent],
    features: int,
    *,
    windows: Sequence[tuple[int, int]] = WINDOWS,
    per_replica: PerReplicaValues | None = None,
) -> None:
    """The layer that build(replicas) makes for x (R, T, B, features) goes through windows and keeps to its lanes.

    Gradients agree with finite differences, with a carry and without, and the carry counts as a constant; two windows
    say what one of twice the length says; rows of a table stand for inputs; training changes no value; work arrays
    serve windows of changing shapes; x, dy and carries are left alone; float32 stays float32; fused equals alone,
    survivors go on with their carry and NaN stays in its lane, bit for bit. Raises AssertionError saying which broke.
    """
    for window in windows:
        trial = _Trial(build, features, window, per_replica)
        _arrays_are_respected(trial)  # first: a layer that spoils what it is given spoils every later comparison
        _gradients_agree(trial)
        _rows_stand_for_inputs(trial)
        _windows_follow(trial)
        _training_changes_no_value(trial)
        _shapes_may_change(trial)
        _fused_equals_alone(trial)
        _survivors_go_on(trial)
        _nan_stays_in_its_lane(trial)


class _Run(Fused):
    """A layer, its parameters in a store, and the carry of its latest pass, held together as a trainer holds them."""

    def __init__(self, layer: Recurrent) -> None:
        self.layer = layer
        self.carry: States = ()
        self.parameters = Parameters(layer.parameters())

    def both_ways(self, x: Array, dy: Array, carry: States | None = None, *, train: bool = True) -> dict[str, Array]:
        """What a forward pass gives and, in training, the backward pass after it."""
        h, self.carry = self.layer.forward(x, carry, train=train)
        told = {"the hidden states": h.copy(), **carried(self.carry)}
        return {**told, "the input's gradient": self.layer.backward(dy).copy(), **self.gradients()} if train else told

    def rows_both_ways(
        self, table: Array, ids: Array, dy: Array, carry: States | None = None
    ) -> tuple[dict[str, Array], Array]:
        """The same of the inputs table[ids], and the table's gradient."""
        h, self.carry = self.layer.forward_rows(table, ids, carry)
        told = {"the hidden states": h.copy(), **carried(self.carry)}
        dtable = self.layer.backward_rows(dy).copy()
        return {**told, **self.gradients()}, dtable

    def gradients(self) -> dict[str, Array]:
        """A copy of every parameter's gradient."""
        named = self.parameters.named
        return {f"the gradient of {name}": parameter.grad.copy() for name, parameter in named.items()}


def carried(carry: States) -> dict[str, Array]:
    """A copy of each array of a carry, by its place."""
    return {f"array {at} of the carry": state.copy() for at, state in enumerate(carry)}


class _Trial:
    """How to build the layer for some replicas, and for each pass what to feed it."""

    def __init__(
        self,
        build: Callable[..., Recurrent],
        features: int,
        window: tuple[int, int],
        per_replica: PerReplicaValues | None,
    ) -> None:
        self.build, self.per_replica, self.features, self.window = build, per_replica, features, window
        self.generator = np.random.default_rng(0)
        T, B = window
        x = self.normal(len(TOGETHER), T, B, features)
        h, carry = self.run(TOGETHER, np.float64).layer.forward(x, train=False)
        assert h.shape[:3] == x.shape[:3], f"a hidden state for each input, {x.shape[:3]}; got {h.shape}"
        for state in carry:
            assert state.shape[:2] == (len(TOGETHER), B), f"a carry is arrays (R, B, H); got {state.shape}"
        self.hidden = h.shape[3]
        self.carry = tuple(self.normal(*state.shape) for state in carry)
        shapes = [self.window if train else (2 * T + 1, B + 1) for train in PASSES]
        self.x = [self.normal(len(TOGETHER), *shape, features) for shape in shapes]
        self.dy = [self.normal(len(TOGETHER), *shape, self.hidden) for shape in shapes]

    def normal(self, *shape: int) -> Array:
        """Normal numbers in float64."""
        return self.generator.standard_normal(shape)

    def run(self, rows: Sequence[int], dtype: Any = np.float32) -> _Run:
        """A new layer of these replicas only."""
        return _Run(self.build(replicas_of(rows, dtype), **values_of(self.per_replica, rows)))

    def moved(self) -> _Run:
        """A new layer of all replicas in float64, its parameters moved away from where they start."""
        run = self.run(TOGETHER, np.float64)
        run.parameters.values += AWAY * np.random.default_rng(1).standard_normal(run.parameters.values.shape)
        return run

    def inputs(self, step: int, rows: Sequence[int] = TOGETHER) -> tuple[Array, Array]:
        """x and dy of these replicas at one pass, float32 arrays of their own."""
        return self.x[step][list(rows)].astype(np.float32), self.dy[step][list(rows)].astype(np.float32)

    def start(self, rows: Sequence[int] = TOGETHER) -> States:
        """The carry of these replicas, float32 arrays of their own."""
        return tuple(state[list(rows)].astype(np.float32) for state in self.carry)


def _arrays_are_respected(trial: _Trial) -> None:
    run, (x, dy), carry = trial.run(TOGETHER), trial.inputs(0), trial.start()
    for train in (False, True):
        for name, array in run.both_ways(x, dy, carry, train=train).items():
            assert array.dtype == np.float32, f"with float32 replicas and input, {name} is {array.dtype}"
        for name, given, before in zip(("input x", "dy"), (x, dy), trial.inputs(0), strict=True):
            assert (given == before).all(), f"with train={train} the layer changed its {name}"
        for given, before in zip(carry, trial.start(), strict=True):
            assert (given == before).all(), f"with train={train} the layer changed the carry that it was given"
    handed, held = run.carry, carried(run.carry)
    run.both_ways(x, dy, handed)
    same_bits(carried(handed), held, "a carry handed out, before and after the next pass")


def _gradients_agree(trial: _Trial) -> None:
    run, x, dy = trial.moved(), trial.x[0].copy(), trial.dy[0]
    for carry, how in ((None, "without a carry"), (trial.carry, "with a carry")):

        def loss(carry: States | None = carry) -> Array:
            h, _ = run.layer.forward(x, carry, train=True)
            total: Array = (h * dy).reshape(len(x), -1).sum(axis=1)
            return total

        run.both_ways(x, dy, carry)
        found = run.both_ways(x, dy, carry)  # the second pass replaces the gradients of the first
        agrees(loss, x, found["the input's gradient"], f"the input's gradient {how}")
        for name, parameter in run.parameters.named.items():
            agrees(loss, parameter.value, found[f"the gradient of {name}"], f"the gradient of {name} {how}")


def _rows_stand_for_inputs(trial: _Trial) -> None:
    run, dy = trial.moved(), trial.dy[0]
    table = trial.normal(len(TOGETHER), ROWS, trial.features)
    ids = trial.generator.integers(ROWS, size=dy.shape[:3])
    lane = np.arange(len(ids)).reshape(-1, 1, 1)
    for carry in (None, trial.carry):
        given = table.copy()
        found, dtable = run.rows_both_ways(given, ids, dy, carry)
        assert (given == table).all(), "forward_rows changed its table"
        expected = run.both_ways(table[lane, ids], dy, carry)
        due = np.zeros_like(table)
        np.add.at(due, (lane, ids), expected["the input's gradient"])
        for name, one, other in [("the table's gradient", dtable, due), *((n, found[n], expected[n]) for n in found)]:
            assert np.allclose(one, other, rtol=1e-9, atol=1e-11), f"by rows of a table and by inputs, {name} differs"


def _windows_follow(trial: _Trial) -> None:
    run, (T, B) = trial.moved(), trial.window
    x = trial.normal(len(TOGETHER), 2 * T, B, trial.features)
    for carry in (None, trial.carry):
        whole, end = run.layer.forward(x, carry, train=False)
        whole = whole.copy()
        first, between = run.layer.forward(x[:, :T], carry, train=False)
        first = first.copy()
        second, last = run.layer.forward(x[:, T:], between, train=False)
        parts = np.concatenate([first, second], axis=1)
        for one, other in [(whole, parts), *zip(end, last, strict=True)]:
            assert np.allclose(one, other, rtol=1e-9, atol=1e-11), (
                "two windows, the carry handed on, differ from one of twice the length by up to "
                f"{np.abs(one - other).max():.3g}"
            )


def _training_changes_no_value(trial: _Trial) -> None:
    run, (x, dy), carry = trial.run(TOGETHER), trial.inputs(0), trial.start()
    told = run.both_ways(x, dy, carry, train=False)
    same_bits(told, run.both_ways(x, dy, carry, train=True), "in training and outside it")


def _shapes_may_change(trial: _Trial) -> None:
    """Work arrays are used again, by windows of two shapes and after the weights have moved."""
    run = trial.run(TOGETHER)
    for step, train in enumerate(PASSES):
        fresh = trial.run(TOGETHER)
        fresh.parameters.values[...] = run.parameters.values
        one = fresh.both_ways(*trial.inputs(step), train=train)
        same_bits(run.both_ways(*trial.inputs(step), train=train), one, "a layer after other windows, and a new one")
        run.parameters.values *= np.float32(0.9)


def _fused_equals_alone(trial: _Trial) -> None:
    fused, alone = trial.run(TOGETHER), [trial.run((r,)) for r in TOGETHER]
    for step, train in enumerate(PASSES):
        start = {0: trial.start(), len(PASSES) - 1: fused.carry}.get(step)  # the last goes on from the one before it
        together = fused.both_ways(*trial.inputs(step), start, train=train)
        for r in TOGETHER:
            own = None if start is None else tuple(state[[r]] for state in start)
            one = alone[r].both_ways(*trial.inputs(step, (r,)), own, train=train)
            same_bits(rows_of(together, (r,)), one, f"replica {r} fused and alone, train={train}")


def _survivors_go_on(trial: _Trial) -> None:
    kept, whole, rows = trial.run(TOGETHER), trial.run(TOGETHER), list(SURVIVORS)
    for run in (kept, whole):
        run.both_ways(*trial.inputs(0), trial.start())
    kept.keep(np.array(rows))
    left, right = tuple(state[rows] for state in kept.carry), whole.carry
    for step in (2, 3):
        found = kept.both_ways(*trial.inputs(step, rows), left)
        due = whole.both_ways(*trial.inputs(step), right)
        same_bits(found, rows_of(due, rows), "survivors after keep(rows) and the same replicas undisturbed")
        left, right = kept.carry, whole.carry


def _nan_stays_in_its_lane(trial: _Trial) -> None:
    others, (x, dy), carry, run = (0, 2), trial.inputs(0), trial.start(), trial.run(TOGETHER)
    clean = trial.run(TOGETHER).both_ways(x, dy, carry)
    for where, array in {"the input": x, "dy": dy, "the carry": carry[0]}.items():
        healthy = array[1].copy()
        array[1] = np.nan
        with np.errstate(all="ignore"):
            sick = run.both_ways(x, dy, carry)
        same_bits(rows_of(sick, others), rows_of(clean, others), f"with NaN in {where} of replica 1, another replica")
        array[1] = healthy
        same_bits(run.both_ways(x, dy, carry), clean, f"after a pass with NaN in {where} of replica 1, a pass without")

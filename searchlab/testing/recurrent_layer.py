"""The contract of a recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.nn.parameter import Parameters
from searchlab.nn.rnn import RecurrentLayer, RecurrentState
from searchlab.replicas import HasReplicaAxis
from searchlab.testing.gradients import PARAMETER_NOISE, assert_gradient
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    arguments_for,
    assert_identical,
    replicas_for,
    select_rows,
)

WINDOWS = ((4, 3), (1, 2), (3, 1))  # (T, B)
TABLE_ROWS = 5  # of an embedding table whose rows are the inputs
PASSES = (True, False, True, True)  # the argument `train` of each pass; the one that is False has another window shape


def check_recurrent(
    build: Callable[..., RecurrentLayer],
    features: int,
    *,
    windows: Sequence[tuple[int, int]] = WINDOWS,
    per_replica: PerReplicaValues | None = None,
) -> None:
    """Check the gradients and the carry of a recurrent layer, and that its replicas do not influence each other.

    It checks that, for inputs x (R, T, B, features):

    - the gradients of the input and of every parameter agree with finite differences in float64, without a carry and
      with one, which counts as a constant;
    - inputs that are looked up in a table give the same results and gradients as the inputs themselves;
    - two windows with the carry between them give the hidden states of one window of twice the length;
    - `train=True` and `train=False` give the same hidden states, bit for bit;
    - windows of changing shape give the same results as in a new layer, bit for bit;
    - x, dy and carries are not changed, and float32 stays float32;
    - three replicas together compute the same as each alone, bit for bit;
    - after one replica is dropped, the others continue with their carry, bit for bit;
    - NaN in one replica changes no other replica, and nothing of it remains in the next pass.

    Args:
        build: Callable of the replicas and the arguments in `per_replica`.
        features: Size of the last axis of x.
        windows: Shapes (T, B) of x; default (4, 3), (1, 2) and (3, 1).
        per_replica: Three values of each argument that may differ between replicas; default none.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab.nn import RNN
        >>> from searchlab.testing import check_recurrent
        >>> check_recurrent(lambda replicas: RNN(replicas, 3, 4), features=3, windows=[(3, 2)])
    """
    for window in windows:
        case = _RecurrentCase(build, features, window, per_replica)
        _check_arrays(case)  # first: a layer that changes its arguments makes the comparisons below meaningless
        _check_gradients(case)
        _check_lookup(case)
        _check_carry(case)
        _check_train_flag(case)
        _check_changing_shapes(case)
        _check_fused_equals_alone(case)
        _check_survivors_continue(case)
        _check_nan_stays_in_its_replica(case)


class _RecurrentRun(HasReplicaAxis):
    """A layer, its parameters and its latest carry in one object, as in a trainer, so that replicas can be dropped."""

    def __init__(self, layer: RecurrentLayer) -> None:
        self.layer = layer
        self.carry: RecurrentState = ()
        self.parameters = Parameters(layer.named_parameters())

    def both_passes(
        self, x: Array, dy: Array, carry: RecurrentState | None = None, *, train: bool = True
    ) -> dict[str, Array]:
        """Return the results of a forward pass and, in training, of the backward pass after it."""
        h, self.carry = self.layer.forward(x, carry, train=train)
        results = {"the hidden states": h.copy(), **_named_states(self.carry)}
        if train:
            results |= {"the input's gradient": self.layer.backward(dy).copy(), **self.gradients()}
        return results

    def both_passes_by_lookup(
        self, table: Array, ids: Array, dy: Array, carry: RecurrentState | None = None
    ) -> tuple[dict[str, Array], Array]:
        """Return the same for the inputs table[ids], and the gradient of the table."""
        h, self.carry = self.layer.forward_lookup(table, ids, carry)
        results = {"the hidden states": h.copy(), **_named_states(self.carry)}
        table_gradient = self.layer.backward_lookup(dy).copy()
        return {**results, **self.gradients()}, table_gradient

    def gradients(self) -> dict[str, Array]:
        """Return a copy of the gradient of every parameter."""
        named = self.parameters.trainable
        return {f"the gradient of {name}": parameter.grad.copy() for name, parameter in named.items()}


def _named_states(carry: RecurrentState) -> dict[str, Array]:
    """Return a copy of each array of a carry by its position."""
    return {f"array {index} of the carry": state.copy() for index, state in enumerate(carry)}


class _RecurrentCase:
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

    def run(self, rows: Sequence[int], dtype: Any = np.float32) -> _RecurrentRun:
        """Return a new layer for these replicas."""
        return _RecurrentRun(self.build(replicas_for(rows, dtype), **arguments_for(self.per_replica, rows)))

    def with_moved_parameters(self) -> _RecurrentRun:
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


def _check_arrays(case: _RecurrentCase) -> None:
    run, (x, dy), carry = case.run(ALL_REPLICAS), case.inputs(0), case.start()
    for train in (False, True):
        for name, array in run.both_passes(x, dy, carry, train=train).items():
            assert array.dtype == np.float32, f"with float32 replicas and input, {name} is {array.dtype}"
        for name, given, before in zip(("input x", "dy"), (x, dy), case.inputs(0), strict=True):
            assert (given == before).all(), f"with train={train} the layer changed its {name}"
        for given, before in zip(carry, case.start(), strict=True):
            assert (given == before).all(), f"with train={train} the layer changed the carry that it was given"
    carry_out, copies = run.carry, _named_states(run.carry)
    run.both_passes(x, dy, carry_out)
    assert_identical(_named_states(carry_out), copies, "a carry that forward returned, after the next pass and before")


def _check_gradients(case: _RecurrentCase) -> None:
    run, x, dy = case.with_moved_parameters(), case.x[0].copy(), case.dy[0]
    for carry, how in ((None, "without a carry"), (case.carry, "with a carry")):

        def loss(carry: RecurrentState | None = carry) -> Array:
            h, _ = run.layer.forward(x, carry, train=True)
            total: Array = (h * dy).reshape(len(x), -1).sum(axis=1)
            return total

        run.both_passes(x, dy, carry)
        actual = run.both_passes(x, dy, carry)  # the second pass replaces the gradients of the first
        assert_gradient(loss, x, actual["the input's gradient"], f"the input's gradient {how}")
        for name, parameter in run.parameters.trainable.items():
            assert_gradient(loss, parameter.value, actual[f"the gradient of {name}"], f"the gradient of {name} {how}")


def _check_lookup(case: _RecurrentCase) -> None:
    run, dy = case.with_moved_parameters(), case.dy[0]
    table = case.normal(len(ALL_REPLICAS), TABLE_ROWS, case.features)
    ids = case.generator.integers(TABLE_ROWS, size=dy.shape[:3])
    replica = np.arange(len(ids)).reshape(-1, 1, 1)
    for carry in (None, case.carry):
        given = table.copy()
        actual, table_gradient = run.both_passes_by_lookup(given, ids, dy, carry)
        assert (given == table).all(), "forward_lookup changed its table"
        expected = run.both_passes(table[replica, ids], dy, carry)
        actual["the table's gradient"] = table_gradient
        expected["the table's gradient"] = np.zeros_like(table)
        np.add.at(expected["the table's gradient"], (replica, ids), expected["the input's gradient"])
        for name, array in actual.items():
            is_close = np.allclose(array, expected[name], rtol=1e-9, atol=1e-11)
            assert is_close, f"by rows of a table and by inputs, {name} differs"


def _check_carry(case: _RecurrentCase) -> None:
    run, (T, B) = case.with_moved_parameters(), case.window
    x = case.normal(len(ALL_REPLICAS), 2 * T, B, case.features)
    for carry in (None, case.carry):
        full, end = run.layer.forward(x, carry, train=False)
        full = full.copy()
        first, between = run.layer.forward(x[:, :T], carry, train=False)
        first = first.copy()
        second, last = run.layer.forward(x[:, T:], between, train=False)
        parts = np.concatenate([first, second], axis=1)
        for one, other in [(full, parts), *zip(end, last, strict=True)]:
            assert np.allclose(one, other, rtol=1e-9, atol=1e-11), (
                "two windows with the carry between them differ from one of twice the length by up to "
                f"{np.abs(one - other).max():.3g}"
            )


def _check_train_flag(case: _RecurrentCase) -> None:
    run, (x, dy), carry = case.run(ALL_REPLICAS), case.inputs(0), case.start()
    results = run.both_passes(x, dy, carry, train=False)
    assert_identical(results, run.both_passes(x, dy, carry, train=True), "with train=False and with train=True")


def _check_changing_shapes(case: _RecurrentCase) -> None:
    """Check that a layer may reuse work arrays for windows of two shapes and after the weights have changed."""
    run = case.run(ALL_REPLICAS)
    for step, train in enumerate(PASSES):
        new = case.run(ALL_REPLICAS)
        new.parameters.values[...] = run.parameters.values
        actual = run.both_passes(*case.inputs(step), train=train)
        expected = new.both_passes(*case.inputs(step), train=train)
        assert_identical(actual, expected, "a layer after other windows, and a new one")
        run.parameters.values *= np.float32(0.9)


def _check_fused_equals_alone(case: _RecurrentCase) -> None:
    fused, alone = case.run(ALL_REPLICAS), [case.run((r,)) for r in ALL_REPLICAS]
    for step, train in enumerate(PASSES):
        start = {0: case.start(), len(PASSES) - 1: fused.carry}.get(step)  # the last continues the one before it
        together = fused.both_passes(*case.inputs(step), start, train=train)
        for r in ALL_REPLICAS:
            own = None if start is None else tuple(state[[r]] for state in start)
            one = alone[r].both_passes(*case.inputs(step, (r,)), own, train=train)
            assert_identical(select_rows(together, (r,)), one, f"replica {r} fused and alone, train={train}")


def _check_survivors_continue(case: _RecurrentCase) -> None:
    reduced, full, rows = case.run(ALL_REPLICAS), case.run(ALL_REPLICAS), list(SURVIVORS)
    for run in (reduced, full):
        run.both_passes(*case.inputs(0), case.start())
    reduced.select_replicas(np.array(rows))
    reduced_carry, full_carry = tuple(state[rows] for state in reduced.carry), full.carry
    for step in (2, 3):
        actual = reduced.both_passes(*case.inputs(step, rows), reduced_carry)
        expected = full.both_passes(*case.inputs(step), full_carry)
        assert_identical(actual, select_rows(expected, rows), "survivors after select_replicas and without it")
        reduced_carry, full_carry = reduced.carry, full.carry


def _check_nan_stays_in_its_replica(case: _RecurrentCase) -> None:
    others, (x, dy), carry, run = (0, 2), case.inputs(0), case.start(), case.run(ALL_REPLICAS)
    without_nan = case.run(ALL_REPLICAS).both_passes(x, dy, carry)
    for where, array in {"the input": x, "dy": dy, "the carry": carry[0]}.items():
        original = array[1].copy()
        array[1] = np.nan
        with np.errstate(all="ignore"):
            with_nan = run.both_passes(x, dy, carry)
        comparison = f"with NaN in {where} of replica 1 and without it, another replica"
        assert_identical(select_rows(with_nan, others), select_rows(without_nan, others), comparison)
        array[1] = original
        comparison = f"after a pass with NaN in {where} of replica 1 and in a new layer, a pass without NaN"
        assert_identical(run.both_passes(x, dy, carry), without_nan, comparison)

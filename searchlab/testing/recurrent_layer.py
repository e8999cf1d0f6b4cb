"""The contract of a recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.nn.rnn import RecurrentLayer
from searchlab.testing.recurrent_case import PASSES, RecurrentCase, named_states
from searchlab.testing.recurrent_gradients import check_ends, check_gradients, check_lookup, check_padding
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    assert_identical,
    select_rows,
)

WINDOWS = ((4, 3), (1, 2), (3, 1))  # (T, B)


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
    - so do they, and that of the carry before the window, where the carry after it has a gradient as well;
    - sequences behind padding, marked by a mask, give the results and gradients of the sequences alone;
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
        case = RecurrentCase(build, features, window, per_replica)
        _check_arrays(case)  # first: a layer that changes its arguments makes the comparisons below meaningless
        check_gradients(case)
        check_ends(case)
        check_padding(case)
        check_lookup(case)
        _check_carry(case)
        _check_train_flag(case)
        _check_changing_shapes(case)
        _check_fused_equals_alone(case)
        _check_survivors_continue(case)
        _check_nan_stays_in_its_replica(case)


def _check_arrays(case: RecurrentCase) -> None:
    run, (x, dy), carry = case.run(ALL_REPLICAS), case.inputs(0), case.start()
    for train in (False, True):
        for name, array in run.both_passes(x, dy, carry, train=train).items():
            assert array.dtype == np.float32, f"with float32 replicas and input, {name} is {array.dtype}"
        for name, given, before in zip(("input x", "dy"), (x, dy), case.inputs(0), strict=True):
            assert (given == before).all(), f"with train={train} the layer changed its {name}"
        for given, before in zip(carry, case.start(), strict=True):
            assert (given == before).all(), f"with train={train} the layer changed the carry that it was given"
    carry_out, copies = run.carry, named_states(run.carry)
    run.both_passes(x, dy, carry_out)
    assert_identical(named_states(carry_out), copies, "a carry that forward returned, after the next pass and before")


def _check_carry(case: RecurrentCase) -> None:
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


def _check_train_flag(case: RecurrentCase) -> None:
    run, (x, dy), carry = case.run(ALL_REPLICAS), case.inputs(0), case.start()
    results = run.both_passes(x, dy, carry, train=False)
    assert_identical(results, run.both_passes(x, dy, carry, train=True), "with train=False and with train=True")


def _check_changing_shapes(case: RecurrentCase) -> None:
    """Check that a layer may reuse work arrays for windows of two shapes and after the weights have changed."""
    run = case.run(ALL_REPLICAS)
    for step, train in enumerate(PASSES):
        new = case.run(ALL_REPLICAS)
        new.parameters.values[...] = run.parameters.values
        actual = run.both_passes(*case.inputs(step), train=train)
        expected = new.both_passes(*case.inputs(step), train=train)
        assert_identical(actual, expected, "a layer after other windows, and a new one")
        run.parameters.values *= np.float32(0.9)


def _check_fused_equals_alone(case: RecurrentCase) -> None:
    fused, alone = case.run(ALL_REPLICAS), [case.run((r,)) for r in ALL_REPLICAS]
    for step, train in enumerate(PASSES):
        start = {0: case.start(), len(PASSES) - 1: fused.carry}.get(step)  # the last continues the one before it
        together = fused.both_passes(*case.inputs(step), start, train=train)
        for r in ALL_REPLICAS:
            own = None if start is None else tuple(state[[r]] for state in start)
            one = alone[r].both_passes(*case.inputs(step, (r,)), own, train=train)
            assert_identical(select_rows(together, (r,)), one, f"replica {r} fused and alone, train={train}")


def _check_survivors_continue(case: RecurrentCase) -> None:
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


def _check_nan_stays_in_its_replica(case: RecurrentCase) -> None:
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

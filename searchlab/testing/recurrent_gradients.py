"""The gradients of a recurrent layer: of inputs, weights and both ends, by rows of a table, and with padding."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.nn.rnn import RecurrentState
from searchlab.testing.gradients import assert_gradient
from searchlab.testing.recurrent_case import RecurrentCase
from searchlab.testing.replica_rows import ALL_REPLICAS

TABLE_ROWS = 5  # of an embedding table whose rows are the inputs
PADDING = 2  # time steps of padding before the longest sequence


def check_gradients(case: RecurrentCase) -> None:
    """Check the gradients of the inputs and of every parameter, without a carry and with one."""
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


def check_lookup(case: RecurrentCase) -> None:
    """Check that inputs looked up in a table give the results and gradients of the inputs themselves."""
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
            _assert_close(array, expected[name], f"by rows of a table and by inputs, {name}")


def check_ends(case: RecurrentCase) -> None:
    """Check the gradients where the carry after a window is used too, and that of the carry before it."""
    run, x, dy = case.with_moved_parameters(), case.x[0].copy(), case.dy[0]
    start = tuple(state.copy() for state in case.carry)
    d_end = tuple(case.normal(*state.shape) for state in case.carry)

    def loss() -> Array:
        h, end = run.layer.forward(x, start, train=True)
        parts = [(h, dy), *zip(end, d_end, strict=True)]
        total: Array = sum((value * slope).reshape(len(x), -1).sum(axis=1) for value, slope in parts)
        return total

    loss()
    given = [dy.copy(), *(slope.copy() for slope in d_end)]
    dx = run.layer.backward(dy, d_end).copy()
    d_start, gradients = [slope.copy() for slope in run.layer.start_gradients()], run.gradients()
    for before, after in zip(given, [dy, *d_end], strict=True):
        assert (before == after).all(), "backward changed dy or the gradient of the carry"
    assert len(d_start) == len(start), f"start_gradients returns {len(start)} arrays, as the carry; got {len(d_start)}"
    assert_gradient(loss, x, dx, "the input's gradient with a gradient of the carry")
    for index, (state, slope) in enumerate(zip(start, d_start, strict=True)):
        assert_gradient(loss, state, slope, f"the gradient of array {index} of the carry before the window")
    for name, parameter in run.parameters.trainable.items():
        label = f"the gradient of {name} with a gradient of the carry"
        assert_gradient(loss, parameter.value, gradients[f"the gradient of {name}"], label)


def check_padding(case: RecurrentCase) -> None:
    """Check that sequences behind padding, marked by a mask, give the results of the sequences alone."""
    run, (T, B) = case.with_moved_parameters(), case.window
    begins = np.minimum(PADDING + np.arange(B), PADDING + T - 1)  # of each sequence, all of which end together
    shape = (len(ALL_REPLICAS), PADDING + T, B)
    x, dy = case.normal(*shape, case.features), case.normal(*shape, case.hidden)
    mask = np.broadcast_to(np.arange(PADDING + T)[:, None] >= begins, shape)
    dy[~mask] = 0.0
    padded = run.both_passes(x, dy, mask=mask)
    ends, totals = run.carry, {name: np.zeros_like(gradient) for name, gradient in run.gradients().items()}
    for b, begin in enumerate(begins):
        own = run.both_passes(x[:, begin:, b : b + 1], dy[:, begin:, b : b + 1])
        for name in ("the hidden states", "the input's gradient"):
            _assert_close(padded[name][:, begin:, b : b + 1], own[name], f"behind padding and alone, {name}")
        for index, (together, alone) in enumerate(zip(ends, run.carry, strict=True)):
            _assert_close(together[:, b : b + 1], alone, f"behind padding and alone, array {index} of the carry")
        for name in totals:
            totals[name] += own[name]
    assert not padded["the input's gradient"][~mask].any(), "the gradient of the inputs is 0 where there is padding"
    for name, total in totals.items():
        _assert_close(padded[name], total, f"behind padding and alone, {name}")


def _assert_close(actual: Array, expected: Array, label: str) -> None:
    assert np.allclose(actual, expected, rtol=1e-9, atol=1e-11), f"{label} differs"

"""Gradients against finite differences, in float64: along a random direction and in a few single entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.nn.module import Model
from searchlab.nn.parameter import Parameters
from searchlab.testing.lanes import PerReplicaValues, replicas_of, values_of

STEP = 1e-5  # moved to either side: the cubic error is about 1e-10, rounding about 1e-11
FLOOR = 1e-7  # differences below this, times the loss, are noise
ENTRIES = 3  # single entries tried of each array
AWAY = 0.1  # how far parameters are first moved from where they start: biases of zero put relu on its kink


def check_gradients(
    build: Callable[..., Model],
    batch: Batch,
    *,
    before: Sequence[Batch] = (),
    per_replica: PerReplicaValues | None = None,
    tolerance: float = 1e-5,
) -> None:
    """The gradient of every parameter of build(replicas) is the slope of the loss on this batch (R, ...).

    The model is built in float64 with as many replicas as the batch has, and draws the same numbers at each trial, so
    that dropout stands still. The carry is that of the batches `before`, a constant. Raises AssertionError naming the
    parameter, the replica and both numbers.
    """
    rows = range(len(batch.y))
    replicas = replicas_of(rows, np.float64)
    model = build(replicas, **values_of(per_replica, rows))
    parameters = Parameters(model.parameters())
    parameters.values += AWAY * np.random.default_rng(0).standard_normal(parameters.values.shape)
    exact, start, carry = _widened(batch), replicas.state(), None
    for earlier in before:
        carry = model.forward(_widened(earlier), carry, train=False)[1]

    def loss() -> Array:
        replicas.restore(start)
        return model.forward(exact, carry, train=True)[0]

    for _ in range(2):  # the second pass must replace the first one's gradients, not add to them
        loss()
        parameters.start_pass()
        model.backward()
    _stands_still(loss)
    for name, parameter in reversed(parameters.named.items()):  # from the loss down: the first one wrong is to blame
        agrees(loss, parameter.value, parameter.grad.copy(), f"the gradient of {name}", tolerance)


def _widened(batch: Batch) -> Batch:
    x = batch.x.astype(np.float64) if np.issubdtype(batch.x.dtype, np.floating) else batch.x
    return Batch(x, batch.y, batch.weight)


def _stands_still(loss: Callable[[], Array]) -> None:
    first = loss().copy()
    assert (first == loss()).all(), (
        "two forward passes with the same draws give two losses: all randomness comes from the replicas, "
        "and nothing is remembered from batch to batch but the carry"
    )


def agrees(loss: Callable[[], Array], value: Array, gradient: Array, what: str, tolerance: float = 1e-5) -> None:
    """Raises AssertionError unless gradient (R, ...) is the slope of loss() (R,) as value (R, ...) moves in place."""
    start = value.copy()
    noise = FLOOR * max(1.0, float(np.abs(loss()).max()))
    for where, direction in _directions(value):
        value += STEP * direction
        above = loss().copy()
        value[...] = start - STEP * direction
        slope = (above - loss()) / (2.0 * STEP)  # (R,)
        value[...] = start
        told = (gradient * direction).reshape(len(value), -1).sum(axis=1)  # (R,)
        wrong = ~(np.abs(slope - told) <= tolerance * np.maximum(np.abs(slope), np.abs(told)) + noise)
        r = int(wrong.argmax())
        assert not wrong.any(), (
            f"{what} {where} is {told[r]:.6g} in replica {r}, and finite differences give {slope[r]:.6g}"
        )


def _directions(value: Array) -> Iterator[tuple[str, Array]]:
    """Unit vectors of each replica (R, ...): a random one, then single entries, each replica its own."""
    generator = np.random.default_rng(value.size)
    flat = generator.standard_normal((len(value), value[0].size))
    flat /= np.sqrt((flat * flat).sum(axis=1, keepdims=True))
    yield "along a random direction", flat.reshape(value.shape)
    for _ in range(min(ENTRIES, value[0].size)):
        entry = generator.integers(value[0].size, size=len(value))
        single = np.zeros_like(flat)
        single[np.arange(len(value)), entry] = 1.0
        yield f"at entries {entry.tolist()}", single.reshape(value.shape)

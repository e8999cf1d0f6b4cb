"""Comparison of gradients with finite differences in float64, along a random direction and in a few single entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.nn.module import Model
from searchlab.nn.parameter import Parameters
from searchlab.testing.replica_rows import PerReplicaValues, arguments_for, replicas_for

STEP = 1e-5  # to either side: the cubic error is about 1e-10, rounding about 1e-11
NOISE_FLOOR = 1e-7  # differences below this, times the loss, are noise
SINGLE_ENTRIES = 3  # entries of each array that are tried alone
PARAMETER_NOISE = 0.1  # scale of what is first added to the parameters: biases of zero put relu on its kink


def check_gradients(
    build: Callable[..., Model],
    batch: Batch,
    *,
    before: Sequence[Batch] = (),
    per_replica: PerReplicaValues | None = None,
    tolerance: float = 1e-5,
) -> None:
    """Check that the gradients of a model agree with finite differences of its loss on one batch.

    The model is built in float64 with as many replicas as the batch has. Its random numbers are the same in every
    forward pass, so that dropout does not change between them. It checks that:

    - two forward passes with the same random numbers give the same loss;
    - the gradient of every parameter is the slope of the loss, along a random direction and in a few single entries;
    - a second backward pass replaces the gradients of the first one.

    The parameters are checked from the loss back to the input, so the message names the layer at fault.

    Args:
        build: Callable of the replicas and the arguments in `per_replica`.
        batch: Inputs and targets (R, ...).
        before: Batches before this one, whose carry it starts from as a constant; default none.
        per_replica: R values of each argument that may differ between replicas; default none.
        tolerance: Largest relative difference; default 1e-5.

    Raises:
        AssertionError: When a gradient is wrong; the message names the parameter, the replica and both numbers.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Batch
        >>> from searchlab.testing import check_gradients
        >>> from searchlab.testing.linear_model import LinearModel
        >>> batch = Batch(np.ones((3, 8, 2)), np.zeros((3, 8), int))  # 3 replicas, 8 rows, 2 features
        >>> check_gradients(lambda replicas: LinearModel(replicas, features=2, classes=4), batch)
    """
    rows = range(len(batch.y))
    replicas = replicas_for(rows, np.float64)
    model = build(replicas, **arguments_for(per_replica, rows))
    parameters = Parameters(model.named_parameters())
    parameters.values += PARAMETER_NOISE * np.random.default_rng(0).standard_normal(parameters.values.shape)
    exact_batch, start, carry = _in_float64(batch), replicas.state(), None
    for earlier in before:
        carry = model.forward(_in_float64(earlier), carry, train=False)[1]

    def loss() -> Array:
        replicas.restore(start)
        return model.forward(exact_batch, carry, train=True)[0]

    for _ in range(2):  # the second pass must replace the gradients of the first one, not add to them
        loss()
        parameters.reset_gradients()
        model.backward()
    _check_loss_is_repeatable(loss)
    for name, parameter in reversed(
        parameters.trainable.items()
    ):  # from the loss back: the first wrong one is at fault
        assert_gradient(loss, parameter.value, parameter.grad.copy(), f"the gradient of {name}", tolerance)


def _in_float64(batch: Batch) -> Batch:
    x = batch.x.astype(np.float64) if np.issubdtype(batch.x.dtype, np.floating) else batch.x
    return replace(batch, x=x)


def _check_loss_is_repeatable(loss: Callable[[], Array]) -> None:
    first = loss().copy()
    assert (first == loss()).all(), (
        "two forward passes with the same draws give two losses: draw all random numbers from the replicas, "
        "and keep nothing from batch to batch but the carry"
    )


def assert_gradient(
    loss: Callable[[], Array], value: Array, gradient: Array, label: str, tolerance: float = 1e-5
) -> None:
    """Raise AssertionError unless gradient (R, ...) is the slope of loss() (R,) as value (R, ...) changes in place."""
    start = value.copy()
    noise = NOISE_FLOOR * max(1.0, float(np.abs(loss()).max()))
    for place, direction in _directions(value):
        value += STEP * direction
        above = loss().copy()
        value[...] = start - STEP * direction
        expected = (above - loss()) / (2.0 * STEP)  # (R,)
        value[...] = start
        actual = (gradient * direction).reshape(len(value), -1).sum(axis=1)  # (R,)
        scale = np.maximum(np.abs(expected), np.abs(actual))
        is_wrong = ~(np.abs(expected - actual) <= tolerance * scale + noise)
        r = int(is_wrong.argmax())
        assert not is_wrong.any(), (
            f"{label} {place} is {actual[r]:.6g} in replica {r}, and finite differences give {expected[r]:.6g}"
        )


def _directions(value: Array) -> Iterator[tuple[str, Array]]:
    """Yield unit vectors of each replica (R, ...): a random one, and then single entries, different by replica."""
    generator = np.random.default_rng(value.size)
    flat = generator.standard_normal((len(value), value[0].size))
    flat /= np.sqrt((flat * flat).sum(axis=1, keepdims=True))
    yield "along a random direction", flat.reshape(value.shape)
    for _ in range(min(SINGLE_ENTRIES, value[0].size)):
        entry = generator.integers(value[0].size, size=len(value))
        single = np.zeros_like(flat)
        single[np.arange(len(value)), entry] = 1.0
        yield f"at entries {entry.tolist()}", single.reshape(value.shape)

"""The contract of a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameters
from searchlab.replicas import HasReplicaAxis, Replicas
from searchlab.testing.gradients import assert_gradient
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    arguments_for,
    assert_identical,
    replicas_for,
    select_rows,
)

ROWS, SEQUENCE = (5,), (3, 4)  # the axes between replica and features: (B,) or (T, B)
PASSES = (True, False, True, True)  # the argument `train` of each pass


def check_layer(
    build: Callable[..., Layer],
    features: int,
    *,
    leading: Sequence[tuple[int, ...]] = (ROWS, SEQUENCE),
    per_replica: PerReplicaValues | None = None,
) -> None:
    """Check the gradients of a layer, and that its replicas do not influence each other.

    It checks that, for inputs x (R, *leading, features):

    - the gradients of the input and of every parameter agree with finite differences in float64, and a second backward
      pass replaces the gradients of the first one;
    - `backward_parameters` gives the same gradients as `backward`;
    - the input is not changed, and float32 replicas and inputs give float32 outputs and gradients;
    - three replicas together compute the same as each alone, bit for bit;
    - after one replica is dropped, the others continue unchanged, bit for bit;
    - NaN in the input of one replica changes no other replica.

    Args:
        build: Callable of the replicas and the arguments in `per_replica`.
        features: Size of the last axis of x.
        leading: Shapes between the replica axis and the features; default (5,) for rows and (3, 4) for sequences.
        per_replica: Three values of each argument that may differ between replicas; default none.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab.nn import Affine
        >>> from searchlab.testing import check_layer
        >>> check_layer(lambda replicas: Affine(replicas, 4, 3), features=4)
    """
    for shape in leading:
        case = _LayerCase(build, (*shape, features), per_replica)
        _check_arrays(case)  # first: a layer that changes its input makes the comparisons below meaningless
        _check_gradients(case)
        _check_fused_equals_alone(case)
        _check_survivors_continue(case)
        _check_nan_stays_in_its_replica(case)


class _LayerRun(HasReplicaAxis):
    """A layer, its parameters and its replicas in one object, as in a trainer, so that replicas can be dropped."""

    def __init__(self, layer: Layer, replicas: Replicas) -> None:
        self.layer, self.replicas = layer, replicas
        found = layer.named_parameters()
        self.parameters = Parameters(found) if found else None

    def both_passes(self, x: Array, dy: Array, *, train: bool = True) -> dict[str, Array]:
        """Return the results of a forward pass and, in training, of the backward pass after it."""
        output = self.layer.forward(x, train=train).copy()
        if not train:
            return {"the output": output}
        if self.parameters:
            self.parameters.reset_gradients()
        dx = self.layer.backward(dy).copy()
        return {"the output": output, "the input's gradient": dx, **self.gradients()}

    def gradients(self) -> dict[str, Array]:
        """Return a copy of the gradient of every parameter."""
        named = self.parameters.trainable if self.parameters else {}
        return {f"the gradient of {name}": parameter.grad.copy() for name, parameter in named.items()}


class _LayerCase:
    """The constructor under test, and x and dy (with the shape of the output) for each pass."""

    def __init__(
        self, build: Callable[..., Layer], shape: tuple[int, ...], per_replica: PerReplicaValues | None
    ) -> None:
        self.build, self.per_replica = build, per_replica
        generator = np.random.default_rng(0)
        self.x = generator.standard_normal((len(PASSES), len(ALL_REPLICAS), *shape))
        out = self.run(ALL_REPLICAS, np.float64).layer.forward(self.x[0], train=False).shape
        assert out[0] == len(ALL_REPLICAS), f"axis 0 is the replica: {len(ALL_REPLICAS)} replicas gave an output {out}"
        self.dy = generator.standard_normal((len(PASSES), *out))

    def run(self, rows: Sequence[int], dtype: Any = np.float32) -> _LayerRun:
        """Return a new layer for these replicas."""
        replicas = replicas_for(rows, dtype)
        return _LayerRun(self.build(replicas, **arguments_for(self.per_replica, rows)), replicas)

    def inputs(self, step: int, rows: Sequence[int] = ALL_REPLICAS) -> tuple[Array, Array]:
        """Return float32 copies of x and dy of these replicas for one pass."""
        return self.x[step][list(rows)].astype(np.float32), self.dy[step][list(rows)].astype(np.float32)


def _check_gradients(case: _LayerCase) -> None:
    run = case.run(ALL_REPLICAS, np.float64)
    x, dy, start = case.x[0].copy(), case.dy[0], run.replicas.state()

    def both_passes() -> dict[str, Array]:
        run.replicas.restore(start)
        return run.both_passes(x, dy)

    def loss() -> Array:
        total: Array = (both_passes()["the output"] * dy).reshape(len(x), -1).sum(axis=1)
        return total

    both_passes()
    found = both_passes()  # the second pass replaces the gradients of the first one and does not add to them
    assert_gradient(loss, x, found["the input's gradient"], "the input's gradient")
    for name, parameter in run.parameters.trainable.items() if run.parameters else ():
        assert_gradient(loss, parameter.value, found[f"the gradient of {name}"], f"the gradient of {name}")
    both_passes()
    if run.parameters:
        run.parameters.reset_gradients()
    run.layer.backward_parameters(dy)
    for name, gradient in run.gradients().items():
        assert np.allclose(gradient, found[name]), f"backward_parameters and backward disagree on {name}"


def _check_arrays(case: _LayerCase) -> None:
    run, (x, dy) = case.run(ALL_REPLICAS), case.inputs(0)
    for train in (False, True):
        for name, array in run.both_passes(x, dy, train=train).items():
            assert array.dtype == np.float32, f"with float32 replicas and input, {name} is {array.dtype}"
        assert (x == case.inputs(0)[0]).all(), f"with train={train} the layer changed its input x"


def _check_fused_equals_alone(case: _LayerCase) -> None:
    fused, alone = case.run(ALL_REPLICAS), [case.run((r,)) for r in ALL_REPLICAS]
    for step, train in enumerate(PASSES):
        together = fused.both_passes(*case.inputs(step), train=train)
        for r in ALL_REPLICAS:
            one = alone[r].both_passes(*case.inputs(step, (r,)), train=train)
            assert_identical(select_rows(together, (r,)), one, f"replica {r} fused and alone, train={train}")


def _check_survivors_continue(case: _LayerCase) -> None:
    reduced, full = case.run(ALL_REPLICAS), case.run(ALL_REPLICAS)
    for step, train in enumerate(PASSES):
        rows = ALL_REPLICAS if step < len(PASSES) // 2 else SURVIVORS
        if step == len(PASSES) // 2:
            reduced.select_replicas(np.array(SURVIVORS))
        actual = reduced.both_passes(*case.inputs(step, rows), train=train)
        expected = full.both_passes(*case.inputs(step), train=train)
        assert_identical(actual, select_rows(expected, rows), "survivors after select_replicas and without it")


def _check_nan_stays_in_its_replica(case: _LayerCase) -> None:
    others, (x, dy) = (0, 2), case.inputs(0)
    without_nan = case.run(ALL_REPLICAS).both_passes(x, dy)
    x[1] = np.nan
    with np.errstate(all="ignore"):
        with_nan = case.run(ALL_REPLICAS).both_passes(x, dy)
    assert_identical(
        select_rows(with_nan, others),
        select_rows(without_nan, others),
        "with NaN in the input of replica 1 and without it, another replica",
    )

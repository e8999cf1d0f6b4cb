"""The contract of a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.nn.loss import Loss
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

SHAPES = ((5,), (1,), (4, 2))  # the axes between replica and outputs: (B,) or (T, B)
OUTPUTS = 4


def check_loss(build: Callable[..., Loss], *, per_replica: PerReplicaValues | None = None, labels: bool = True) -> None:
    """Check the gradient of a loss, and that its replicas do not influence each other.

    It checks that, for outputs (R, ..., 4):

    - the loss is one number per replica, and the gradient has the shape of the outputs;
    - the gradient agrees with finite differences in float64;
    - the outputs are not changed, and float32 outputs give a float32 loss and gradient;
    - three replicas together compute the same as each alone, bit for bit;
    - after one replica is dropped, the others continue unchanged, bit for bit;
    - NaN in the outputs of one replica makes its loss NaN and changes no other replica.

    Args:
        build: Callable of the replicas and the arguments in `per_replica`.
        per_replica: Three values of each argument that may differ between replicas; default none.
        labels: Whether the loss also takes labels (R, ...) as targets, besides targets with the shape of the outputs;
            default True.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab.nn import SoftmaxCrossEntropy
        >>> from searchlab.testing import check_loss
        >>> check_loss(SoftmaxCrossEntropy, per_replica={"smoothing": (0.0, 0.1, 0.5)})
    """
    for shape in SHAPES:
        for dense in (True, False) if labels else (True,):
            case = _LossCase(build, shape, dense, per_replica)
            _check_arrays(case)
            _check_gradient(case)
            _check_fused_equals_alone(case)
            _check_survivors_continue(case)
            _check_nan_stays_in_its_replica(case)


class _LossCase:
    """The constructor under test, and its outputs (R, ..., OUTPUTS) and targets."""

    def __init__(
        self, build: Callable[..., Loss], shape: tuple[int, ...], dense: bool, per_replica: PerReplicaValues | None
    ) -> None:
        self.build, self.per_replica = build, per_replica
        generator = np.random.default_rng(0)
        self.outputs = generator.standard_normal((len(ALL_REPLICAS), *shape, OUTPUTS))
        labels = generator.integers(OUTPUTS, size=(len(ALL_REPLICAS), *shape))
        self.targets: Array = np.eye(OUTPUTS)[labels] if dense else labels

    def loss(self, rows: Sequence[int] = ALL_REPLICAS) -> Loss:
        """Return a new loss for these replicas."""
        return self.build(replicas_for(rows), **arguments_for(self.per_replica, rows))

    def both_passes(
        self, loss: Loss, rows: Sequence[int] = ALL_REPLICAS, outputs: Array | None = None
    ) -> dict[str, Array]:
        """Return the loss and its gradient in float32."""
        given = (self.outputs if outputs is None else outputs)[list(rows)].astype(np.float32)
        targets: Array = self.targets[list(rows)]
        targets = targets.astype(np.float32) if targets.dtype == np.float64 else targets
        return {"the loss": loss.forward(given, targets).copy(), "the gradient": loss.backward().copy()}


def _check_arrays(case: _LossCase) -> None:
    outputs = case.outputs.astype(np.float32)
    given, loss = outputs.copy(), case.loss()
    value = loss.forward(given, case.targets)
    gradient = loss.backward()
    assert (given == outputs).all(), "the loss changed the outputs it was given, which the layer before may keep"
    assert value.shape == (len(ALL_REPLICAS),), f"one loss per replica, ({len(ALL_REPLICAS)},); got {value.shape}"
    assert gradient.shape == outputs.shape, f"the gradient has shape {gradient.shape}, and the outputs {outputs.shape}"
    for name, array in case.both_passes(loss).items():
        assert array.dtype == np.float32, f"with float32 outputs, {name} is {array.dtype}"


def _check_gradient(case: _LossCase) -> None:
    outputs, loss = case.outputs.copy(), _in_float64(case)
    loss.forward(outputs, case.targets)
    gradient = loss.backward().copy()
    assert_gradient(lambda: loss.forward(outputs, case.targets), outputs, gradient, "the gradient of the outputs")


def _in_float64(case: _LossCase) -> Loss:
    return case.build(replicas_for(ALL_REPLICAS, np.float64), **arguments_for(case.per_replica, ALL_REPLICAS))


def _check_fused_equals_alone(case: _LossCase) -> None:
    together = case.both_passes(case.loss())
    for r in ALL_REPLICAS:
        alone = case.both_passes(case.loss((r,)), (r,))
        assert_identical(select_rows(together, (r,)), alone, f"replica {r} fused and alone")


def _check_survivors_continue(case: _LossCase) -> None:
    reduced = case.loss()
    together = case.both_passes(reduced)
    reduced.select_replicas(np.array(SURVIVORS))
    actual = case.both_passes(reduced, SURVIVORS)
    assert_identical(actual, select_rows(together, SURVIVORS), "survivors after select_replicas and without it")


def _check_nan_stays_in_its_replica(case: _LossCase) -> None:
    others, outputs = (0, 2), case.outputs.copy()
    outputs[1] = np.nan
    without_nan = case.both_passes(case.loss())
    with np.errstate(all="ignore"):
        with_nan = case.both_passes(case.loss(), outputs=outputs)
    assert np.isnan(with_nan["the loss"][1]), (
        f"NaN in the outputs gives the loss {with_nan['the loss'][1]}, expected NaN"
    )
    assert_identical(
        select_rows(with_nan, others),
        select_rows(without_nan, others),
        "with NaN in the outputs of replica 1 and without it, another replica",
    )

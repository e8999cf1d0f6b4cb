"""The contract of a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.nn.losses import Loss
from searchlab.testing.gradients import agrees
from searchlab.testing.lanes import SURVIVORS, TOGETHER, PerReplicaValues, replicas_of, rows_of, same_bits, values_of

SHAPES = ((5,), (1,), (4, 2))  # what stands between replica and outputs: B, or T and B
OUTPUTS = 4


def check_loss(build: Callable[..., Loss], *, per_replica: PerReplicaValues | None = None, labels: bool = True) -> None:
    """The loss that build(replicas) makes is one mean per replica, and its slope is right.

    It is asked with targets shaped as the outputs, and with labels unless `labels` is False. Gradients agree with
    finite differences; outputs are left alone; float32 stays float32; fused equals alone, survivors go on and NaN
    stays in its lane, all bit for bit. Raises AssertionError saying which rule broke.
    """
    for shape in SHAPES:
        for dense in (True, False) if labels else (True,):
            trial = _Trial(build, shape, dense, per_replica)
            _outputs_are_left_alone(trial)
            _slope_is_right(trial)
            _fused_equals_alone(trial)
            _survivors_go_on(trial)
            _nan_stays_in_its_lane(trial)


class _Trial:
    """How to build the loss for some replicas, and what to ask it with: outputs and targets."""

    def __init__(
        self, build: Callable[..., Loss], shape: tuple[int, ...], dense: bool, per_replica: PerReplicaValues | None
    ) -> None:
        self.build, self.per_replica = build, per_replica
        generator = np.random.default_rng(0)
        self.outputs = generator.standard_normal((len(TOGETHER), *shape, OUTPUTS))
        labels = generator.integers(OUTPUTS, size=(len(TOGETHER), *shape))
        self.targets: Array = np.eye(OUTPUTS)[labels] if dense else labels

    def loss(self, rows: Sequence[int] = TOGETHER) -> Loss:
        """The loss for these replicas."""
        return self.build(replicas_of(rows), **values_of(self.per_replica, rows))

    def both_ways(self, loss: Loss, rows: Sequence[int] = TOGETHER, outputs: Array | None = None) -> dict[str, Array]:
        """The loss and its slope, in float32."""
        given = (self.outputs if outputs is None else outputs)[list(rows)].astype(np.float32)
        targets: Array = self.targets[list(rows)]
        targets = targets.astype(np.float32) if targets.dtype == np.float64 else targets
        return {"the loss": loss.forward(given, targets).copy(), "the slope": loss.backward().copy()}


def _outputs_are_left_alone(trial: _Trial) -> None:
    outputs = trial.outputs.astype(np.float32)
    given, loss = outputs.copy(), trial.loss()
    value = loss.forward(given, trial.targets)
    slope = loss.backward()
    assert (given == outputs).all(), "the loss changed the outputs it was given, which the layer below may keep"
    assert value.shape == (len(TOGETHER),), f"one loss per replica, ({len(TOGETHER)},); got {value.shape}"
    assert slope.shape == outputs.shape, f"the slope has the outputs' shape {outputs.shape}; got {slope.shape}"
    for name, array in trial.both_ways(loss).items():
        assert array.dtype == np.float32, f"with float32 outputs, {name} is {array.dtype}"


def _slope_is_right(trial: _Trial) -> None:
    outputs, loss = trial.outputs.copy(), _in_float64(trial)
    loss.forward(outputs, trial.targets)
    slope = loss.backward().copy()
    agrees(lambda: loss.forward(outputs, trial.targets), outputs, slope, "the slope of the outputs")


def _in_float64(trial: _Trial) -> Loss:
    return trial.build(replicas_of(TOGETHER, np.float64), **values_of(trial.per_replica, TOGETHER))


def _fused_equals_alone(trial: _Trial) -> None:
    together = trial.both_ways(trial.loss())
    for r in TOGETHER:
        alone = trial.both_ways(trial.loss((r,)), (r,))
        same_bits(rows_of(together, (r,)), alone, f"replica {r} fused and alone")


def _survivors_go_on(trial: _Trial) -> None:
    kept = trial.loss()
    together = trial.both_ways(kept)
    kept.keep(np.array(SURVIVORS))
    left = trial.both_ways(kept, SURVIVORS)
    same_bits(left, rows_of(together, SURVIVORS), "survivors after keep(rows) and the same replicas undisturbed")


def _nan_stays_in_its_lane(trial: _Trial) -> None:
    others, outputs = (0, 2), trial.outputs.copy()
    outputs[1] = np.nan
    clean = trial.both_ways(trial.loss())
    with np.errstate(all="ignore"):
        sick = trial.both_ways(trial.loss(), outputs=outputs)
    assert np.isnan(sick["the loss"][1]), f"outputs of NaN cost {sick['the loss'][1]}, and NaN is due"
    same_bits(rows_of(sick, others), rows_of(clean, others), "with NaN in the outputs of replica 1, another replica")

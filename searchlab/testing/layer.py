"""The contract of a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Fused, Replicas
from searchlab.testing.gradients import agrees
from searchlab.testing.lanes import SURVIVORS, TOGETHER, PerReplicaValues, replicas_of, rows_of, same_bits, values_of

ROWS, SEQUENCE = (5,), (3, 4)  # what stands between replica and features: B, or T and B
PASSES = (True, False, True, True)  # whether each pass trains


def check_layer(
    build: Callable[..., Layer],
    features: int,
    *,
    leading: Sequence[tuple[int, ...]] = (ROWS, SEQUENCE),
    per_replica: PerReplicaValues | None = None,
) -> None:
    """The layer that build(replicas) makes for x (R, *leading, features) keeps every rule of the replica axis.

    Gradients agree with finite differences; x is left alone; float32 stays float32; fused equals alone bit for bit;
    survivors go on as if nothing had happened; NaN stays in its lane. Raises AssertionError saying which rule broke.
    """
    for shape in leading:
        trial = _Trial(build, (*shape, features), per_replica)
        _arrays_are_respected(trial)  # first: a layer that spoils its input spoils every later comparison
        _gradients_agree(trial)
        _fused_equals_alone(trial)
        _survivors_go_on(trial)
        _nan_stays_in_its_lane(trial)


class _Run(Fused):
    """A layer and the replicas it draws from, held together as a trainer holds them."""

    def __init__(self, layer: Layer, replicas: Replicas) -> None:
        self.layer, self.replicas = layer, replicas
        found = layer.parameters()
        self.parameters = Parameters(found) if found else None

    def both_ways(self, x: Array, dy: Array, *, train: bool = True) -> dict[str, Array]:
        """What a forward pass gives and, in training, the backward pass after it."""
        output = self.layer.forward(x, train=train).copy()
        if not train:
            return {"the output": output}
        if self.parameters:
            self.parameters.start_pass()
        dx = self.layer.backward(dy).copy()
        return {"the output": output, "the input's gradient": dx, **self.gradients()}

    def gradients(self) -> dict[str, Array]:
        """A copy of every parameter's gradient."""
        named = self.parameters.named if self.parameters else {}
        return {f"the gradient of {name}": parameter.grad.copy() for name, parameter in named.items()}


class _Trial:
    """How to build the layer for some replicas, and for each pass what to feed it: x and dy, shaped as the output."""

    def __init__(
        self, build: Callable[..., Layer], shape: tuple[int, ...], per_replica: PerReplicaValues | None
    ) -> None:
        self.build, self.per_replica = build, per_replica
        generator = np.random.default_rng(0)
        self.x = generator.standard_normal((len(PASSES), len(TOGETHER), *shape))
        out = self.run(TOGETHER, np.float64).layer.forward(self.x[0], train=False).shape
        assert out[0] == len(TOGETHER), f"axis 0 is the replica, and {len(TOGETHER)} of them gave an output {out}"
        self.dy = generator.standard_normal((len(PASSES), *out))

    def run(self, rows: Sequence[int], dtype: Any = np.float32) -> _Run:
        """A new layer of these replicas only."""
        replicas = replicas_of(rows, dtype)
        return _Run(self.build(replicas, **values_of(self.per_replica, rows)), replicas)

    def inputs(self, step: int, rows: Sequence[int] = TOGETHER) -> tuple[Array, Array]:
        """x and dy of these replicas at one pass, float32 arrays of their own."""
        return self.x[step][list(rows)].astype(np.float32), self.dy[step][list(rows)].astype(np.float32)


def _gradients_agree(trial: _Trial) -> None:
    run = trial.run(TOGETHER, np.float64)
    x, dy, start = trial.x[0].copy(), trial.dy[0], run.replicas.state()

    def again() -> dict[str, Array]:
        run.replicas.restore(start)
        return run.both_ways(x, dy)

    def loss() -> Array:
        total: Array = (again()["the output"] * dy).reshape(len(x), -1).sum(axis=1)
        return total

    again()
    found = again()  # the second pass replaces the gradients of the first, and does not add to them
    agrees(loss, x, found["the input's gradient"], "the input's gradient")
    for name, parameter in run.parameters.named.items() if run.parameters else ():
        agrees(loss, parameter.value, found[f"the gradient of {name}"], f"the gradient of {name}")
    again()
    if run.parameters:
        run.parameters.start_pass()
    run.layer.backward_parameters(dy)
    for name, gradient in run.gradients().items():
        assert np.allclose(gradient, found[name]), f"backward_parameters and backward disagree on {name}"


def _arrays_are_respected(trial: _Trial) -> None:
    run, (x, dy) = trial.run(TOGETHER), trial.inputs(0)
    for train in (False, True):
        for name, array in run.both_ways(x, dy, train=train).items():
            assert array.dtype == np.float32, f"with float32 replicas and input, {name} is {array.dtype}"
        assert (x == trial.inputs(0)[0]).all(), f"with train={train} the layer changed its input x"


def _fused_equals_alone(trial: _Trial) -> None:
    fused, alone = trial.run(TOGETHER), [trial.run((r,)) for r in TOGETHER]
    for step, train in enumerate(PASSES):
        together = fused.both_ways(*trial.inputs(step), train=train)
        for r in TOGETHER:
            one = alone[r].both_ways(*trial.inputs(step, (r,)), train=train)
            same_bits(rows_of(together, (r,)), one, f"replica {r} fused and alone, train={train}")


def _survivors_go_on(trial: _Trial) -> None:
    kept, whole = trial.run(TOGETHER), trial.run(TOGETHER)
    for step, train in enumerate(PASSES):
        rows = TOGETHER if step < len(PASSES) // 2 else SURVIVORS
        if step == len(PASSES) // 2:
            kept.keep(np.array(SURVIVORS))
        left = kept.both_ways(*trial.inputs(step, rows), train=train)
        right = whole.both_ways(*trial.inputs(step), train=train)
        same_bits(left, rows_of(right, rows), "survivors after keep(rows) and the same replicas undisturbed")


def _nan_stays_in_its_lane(trial: _Trial) -> None:
    others, (x, dy) = (0, 2), trial.inputs(0)
    clean = trial.run(TOGETHER).both_ways(x, dy)
    x[1] = np.nan
    with np.errstate(all="ignore"):
        sick = trial.run(TOGETHER).both_ways(x, dy)
    same_bits(rows_of(sick, others), rows_of(clean, others), "with NaN in the input of replica 1, another replica")

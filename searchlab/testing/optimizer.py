"""The contract of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.nn.parameter import Parameter, Parameters
from searchlab.optim import Optimizer
from searchlab.replicas import Fused
from searchlab.testing.lanes import SURVIVORS, TOGETHER, PerReplicaValues, replicas_of, rows_of, same_bits, values_of

RATES = {"lr": (0.1, 0.05, 0.02)}
STEPS = 6
STEPS_DOWN = 100  # in which it must have lost half of its height


def check_optimizer(build: Callable[..., Optimizer], *, per_replica: PerReplicaValues = RATES) -> None:
    """The optimizer that build(parameters, replicas, **per_replica) makes moves each replica by its own rates.

    It descends a quadratic; replicas with other rates go other ways; a schedule can move `lr`; fused equals alone,
    survivors go on, resumed equals unbroken and NaN stays in its lane, all bit for bit. Raises AssertionError saying
    which rule broke.
    """
    trial = _Trial(build, per_replica)
    _descends(trial)
    _rates_are_its_own(trial)
    if "lr" in per_replica:
        _rate_can_be_moved(trial)
    _fused_equals_alone(trial)
    _survivors_go_on(trial)
    _resumed_equals_unbroken(trial)
    _nan_stays_in_its_lane(trial)


class _Bowl(Fused):
    """A quadratic in two parameters, W (R, 3, 2) and b (R, 1, 2), and the optimizer that rolls down it."""

    def __init__(self, trial: _Trial, rows: Sequence[int], *, same_start: bool = False) -> None:
        self.replicas = replicas_of([0] * len(rows) if same_start else rows)
        W, b = Parameter(self.replicas.normal(3, 2), decays=True), Parameter(self.replicas.normal(1, 2))
        self.parameters = Parameters([("W", W), ("b", b)])
        self.steep = np.linspace(0.5, 2.0, self.parameters.count, dtype=np.float32)[None]  # (1, P)
        self.optimizer = trial.build(self.parameters, self.replicas, **values_of(trial.per_replica, rows))

    def height(self) -> Array:
        """How far each replica is above the bottom (R,)."""
        height: Array = (self.steep * self.parameters.values**2).sum(axis=1) / 2.0
        return height

    def step(self) -> dict[str, Array]:
        """One update: the parameters after it."""
        self.parameters.grads[...] = self.steep * self.parameters.values
        self.optimizer.update()
        return self.parameters.state()


class _Trial:
    """How to build the optimizer for some replicas."""

    def __init__(self, build: Callable[..., Optimizer], per_replica: PerReplicaValues) -> None:
        self.build, self.per_replica = build, per_replica


def _descends(trial: _Trial) -> None:
    bowl = _Bowl(trial, TOGETHER)
    start = bowl.height()
    with np.errstate(under="ignore"):  # close to the bottom, gradients vanish
        for _ in range(STEPS_DOWN):
            values = bowl.step()
        share = bowl.height() / start
    for name, value in values.items():
        assert value.dtype == np.float32, f"float32 parameters stay float32; {name} became {value.dtype}"
    assert (share < 0.5).all(), f"after {STEPS_DOWN} steps down a quadratic the replicas are at {share} of their height"


def _rates_are_its_own(trial: _Trial) -> None:
    bowl = _Bowl(trial, TOGETHER, same_start=True)
    for _ in range(STEPS):
        values = bowl.step()["W"]
    for r in TOGETHER[1:]:
        same = (values[r] == values[0]).all()
        assert not same, (
            f"from one start, replicas 0 and {r} go the same way with other rates: {dict(trial.per_replica)}"
        )


def _rate_can_be_moved(trial: _Trial) -> None:
    moved, born = _Bowl(trial, TOGETHER), _Bowl(trial, TOGETHER)
    half = np.float32(0.5)
    for _ in range(STEPS):
        moved.optimizer.lr = moved.optimizer.lr * half  # a new array at each step, as a trainer gives it
        born.optimizer.lr *= half
        same_bits(moved.step(), born.step(), "with `lr` replaced before each step and with `lr` changed in place")
    still = _Bowl(trial, TOGETHER)
    still.optimizer.lr = np.zeros_like(still.optimizer.lr)
    before = still.parameters.state()
    same_bits(still.step(), before, "with `lr` 0, the parameters after a step and before it")


def _fused_equals_alone(trial: _Trial) -> None:
    fused, alone = _Bowl(trial, TOGETHER), [_Bowl(trial, (r,)) for r in TOGETHER]
    for _ in range(STEPS):
        together = fused.step()
        for r in TOGETHER:
            same_bits(rows_of(together, (r,)), alone[r].step(), f"replica {r} fused and alone")


def _survivors_go_on(trial: _Trial) -> None:
    kept, whole = _Bowl(trial, TOGETHER), _Bowl(trial, TOGETHER)
    rows: Sequence[int] = TOGETHER
    for step in range(STEPS):
        if step == STEPS // 2:
            rows = SURVIVORS
            kept.keep(np.array(rows))
        same_bits(kept.step(), rows_of(whole.step(), rows), "survivors after keep(rows) and the same ones undisturbed")


def _resumed_equals_unbroken(trial: _Trial) -> None:
    unbroken, resumed = _Bowl(trial, TOGETHER), _Bowl(trial, TOGETHER)
    for _ in range(STEPS // 2):
        unbroken.step()
    parameters, slots = unbroken.parameters.state(), unbroken.optimizer.state()
    for name, slot in slots.items():
        assert len(slot) == len(TOGETHER), f"axis 0 is the replica, and the state's {name} is {slot.shape}"
    later = [unbroken.step() for _ in range(STEPS // 2)]  # a state that is no copy would move on with it
    resumed.parameters.restore(parameters)
    resumed.optimizer.restore(slots)
    for expected in later:
        same_bits(resumed.step(), expected, "resumed from state() and unbroken")


def _nan_stays_in_its_lane(trial: _Trial) -> None:
    others, sick, clean = (0, 2), _Bowl(trial, TOGETHER), _Bowl(trial, TOGETHER)
    sick.parameters.values[1] = np.nan
    for _ in range(STEPS):
        with np.errstate(all="ignore"):
            left, right = sick.step(), clean.step()
        same_bits(rows_of(left, others), rows_of(right, others), "with NaN in replica 1, another replica")

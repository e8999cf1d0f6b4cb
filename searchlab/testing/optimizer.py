"""The contract of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.nn.parameter import Parameter, Parameters
from searchlab.optim import Optimizer
from searchlab.replicas import HasReplicaAxis
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    arguments_for,
    assert_identical,
    replicas_for,
    select_rows,
)

RATES = {"lr": (0.1, 0.05, 0.02)}
STEPS = 6
DESCENT_STEPS = 100  # after which the loss must have fallen to half


def check_optimizer(build: Callable[..., Optimizer], *, per_replica: PerReplicaValues = RATES) -> None:
    """Check that an optimizer descends, and that it updates each replica by its own arguments.

    It checks that:

    - 100 steps on a quadratic loss halve it, and float32 parameters stay float32;
    - replicas with different arguments move differently from the same start;
    - a schedule can set `lr`, where `per_replica` has one: a replaced array counts, and a rate of 0 moves nothing;
    - three replicas together move as each alone, bit for bit;
    - after one replica is dropped, the others continue unchanged, bit for bit;
    - resumed from `state()`, it continues as if it had not been interrupted, bit for bit;
    - NaN in one replica changes no other replica.

    Args:
        build: Callable of the parameters, the replicas, and the arguments in `per_replica`.
        per_replica: Three values of each argument that may differ between replicas; default three learning rates.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import Momentum
        >>> from searchlab.testing import check_optimizer
        >>> check_optimizer(Momentum, per_replica={"lr": (0.1, 0.05, 0.02), "momentum": (0.0, 0.5, 0.9)})
    """
    case = _OptimizerCase(build, per_replica)
    _check_descends(case)
    _check_rates_are_per_replica(case)
    if "lr" in per_replica:
        _check_schedule_can_set_rate(case)
    _check_fused_equals_alone(case)
    _check_survivors_continue(case)
    _check_resumed_equals_uninterrupted(case)
    _check_nan_stays_in_its_replica(case)


class _Quadratic(HasReplicaAxis):
    """A quadratic loss of two parameters, W (R, 3, 2) and b (R, 1, 2), and the optimizer that minimizes it."""

    def __init__(self, case: _OptimizerCase, rows: Sequence[int], *, same_start: bool = False) -> None:
        self.replicas = replicas_for([0] * len(rows) if same_start else rows)
        W, b = Parameter(self.replicas.normal(3, 2), apply_weight_decay=True), Parameter(self.replicas.normal(1, 2))
        self.parameters = Parameters([("W", W), ("b", b)])
        self.curvature = np.linspace(0.5, 2.0, self.parameters.count, dtype=np.float32)[None]  # (1, P)
        self.optimizer = case.build(self.parameters, self.replicas, **arguments_for(case.per_replica, rows))

    def loss(self) -> Array:
        """Return the loss of each replica (R,); its minimum is 0."""
        loss: Array = (self.curvature * self.parameters.values**2).sum(axis=1) / 2.0
        return loss

    def step(self) -> dict[str, Array]:
        """Make one update, and return the parameters after it."""
        self.parameters.grads[...] = self.curvature * self.parameters.values
        self.optimizer.update()
        return self.parameters.state()


class _OptimizerCase:
    """The constructor under test and its arguments."""

    def __init__(self, build: Callable[..., Optimizer], per_replica: PerReplicaValues) -> None:
        self.build, self.per_replica = build, per_replica


def _check_descends(case: _OptimizerCase) -> None:
    quadratic = _Quadratic(case, ALL_REPLICAS)
    start = quadratic.loss()
    with np.errstate(under="ignore"):  # close to the minimum, gradients vanish
        for _ in range(DESCENT_STEPS):
            values = quadratic.step()
        ratio = quadratic.loss() / start
    for name, value in values.items():
        assert value.dtype == np.float32, f"float32 parameters stay float32; {name} became {value.dtype}"
    assert (ratio < 0.5).all(), f"{DESCENT_STEPS} steps down a quadratic take the loss to {ratio} of what it was"


def _check_rates_are_per_replica(case: _OptimizerCase) -> None:
    quadratic = _Quadratic(case, ALL_REPLICAS, same_start=True)
    for _ in range(STEPS):
        values = quadratic.step()["W"]
    for r in ALL_REPLICAS[1:]:
        is_same = (values[r] == values[0]).all()
        assert not is_same, (
            f"from one start, replicas 0 and {r} go the same way with different arguments: {dict(case.per_replica)}"
        )


def _check_schedule_can_set_rate(case: _OptimizerCase) -> None:
    replaced, changed = _Quadratic(case, ALL_REPLICAS), _Quadratic(case, ALL_REPLICAS)
    half = np.float32(0.5)
    for _ in range(STEPS):
        replaced.optimizer.lr = replaced.optimizer.lr * half  # a new array at each step, as a trainer gives it
        changed.optimizer.lr *= half
        assert_identical(replaced.step(), changed.step(), "with `lr` replaced before each step and changed in place")
    zero_rate = _Quadratic(case, ALL_REPLICAS)
    zero_rate.optimizer.lr = np.zeros_like(zero_rate.optimizer.lr)
    before = zero_rate.parameters.state()
    assert_identical(zero_rate.step(), before, "with `lr` 0, the parameters after a step and before")


def _check_fused_equals_alone(case: _OptimizerCase) -> None:
    fused, alone = _Quadratic(case, ALL_REPLICAS), [_Quadratic(case, (r,)) for r in ALL_REPLICAS]
    for _ in range(STEPS):
        together = fused.step()
        for r in ALL_REPLICAS:
            assert_identical(select_rows(together, (r,)), alone[r].step(), f"replica {r} fused and alone")


def _check_survivors_continue(case: _OptimizerCase) -> None:
    reduced, full = _Quadratic(case, ALL_REPLICAS), _Quadratic(case, ALL_REPLICAS)
    rows: Sequence[int] = ALL_REPLICAS
    for step in range(STEPS):
        if step == STEPS // 2:
            rows = SURVIVORS
            reduced.select_replicas(np.array(rows))
        actual, expected = reduced.step(), select_rows(full.step(), rows)
        assert_identical(actual, expected, "survivors after select_replicas and without it")


def _check_resumed_equals_uninterrupted(case: _OptimizerCase) -> None:
    uninterrupted, resumed = _Quadratic(case, ALL_REPLICAS), _Quadratic(case, ALL_REPLICAS)
    for _ in range(STEPS // 2):
        uninterrupted.step()
    parameters, slots = uninterrupted.parameters.state(), uninterrupted.optimizer.state()
    for name, slot in slots.items():
        assert len(slot) == len(ALL_REPLICAS), f"axis 0 is the replica: {name} of the state is {slot.shape}"
    later = [uninterrupted.step() for _ in range(STEPS // 2)]  # a state that is not a copy would change with it
    resumed.parameters.restore(parameters)
    resumed.optimizer.restore(slots)
    for expected in later:
        assert_identical(resumed.step(), expected, "resumed from state() and uninterrupted")


def _check_nan_stays_in_its_replica(case: _OptimizerCase) -> None:
    others, with_nan, without_nan = (0, 2), _Quadratic(case, ALL_REPLICAS), _Quadratic(case, ALL_REPLICAS)
    with_nan.parameters.values[1] = np.nan
    for _ in range(STEPS):
        with np.errstate(all="ignore"):
            actual, expected = with_nan.step(), without_nan.step()
        comparison = "with NaN in replica 1 and without it, another replica"
        assert_identical(select_rows(actual, others), select_rows(expected, others), comparison)

"""The contract of a learning-rate schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.optim.schedules import Schedule
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    arguments_for,
    assert_identical,
    replicas_for,
    select_rows,
)

EPOCHS, STEPS = 10, 4
# the values of all replicas after each epoch: they fall by less and less, and then no more
FALLING = (1.0, 0.5, 0.33, 0.25, 0.2, 0.17, 0.17, 0.18, 0.17, 0.19)
SAME_VALUES = np.repeat(np.array(FALLING)[:, None], len(ALL_REPLICAS), axis=1)  # (EPOCHS, R)


def check_schedule(build: Callable[..., Schedule], *, per_replica: PerReplicaValues | None = None) -> None:
    """Check that a learning-rate schedule gives each replica its own factor for every step.

    It checks that:

    - the factors of an epoch are float64 on the host, (steps, R), finite and above 0, and the same when asked again;
    - replicas with different arguments get different factors;
    - three replicas together get the same factors as each alone, bit for bit;
    - after one replica is dropped, the others continue unchanged, bit for bit;
    - resumed from `state()`, it continues as if it had not been interrupted, bit for bit;
    - NaN recorded for one replica gives it finite factors and changes no other replica.

    Args:
        build: Callable of the replicas, the number of epochs, and the arguments in `per_replica`.
        per_replica: Three values of each argument that may differ between replicas; default none.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import CosineDecay
        >>> from searchlab.testing import check_schedule
        >>> check_schedule(CosineDecay, per_replica={"floor": (0.0, 0.1, 0.5)})
    """
    case = _ScheduleCase(build, per_replica)
    _check_factors(case)
    if per_replica:
        _check_arguments_are_per_replica(case)
    _check_fused_equals_alone(case)
    _check_survivors_continue(case)
    _check_resumed_equals_uninterrupted(case)
    _check_nan_stays_in_its_replica(case)


class _ScheduleCase:
    """The constructor under test, and the values that it records after each epoch, (EPOCHS, R); smaller is better."""

    def __init__(self, build: Callable[..., Schedule], per_replica: PerReplicaValues | None) -> None:
        self.build, self.per_replica = build, per_replica
        self.values = np.random.default_rng(0).standard_normal((EPOCHS, len(ALL_REPLICAS)))
        self.values[EPOCHS // 3, 1] = np.nan

    def run(self, rows: Sequence[int]) -> Schedule:
        """Return a new schedule for these replicas."""
        return self.build(replicas_for(rows), EPOCHS, **arguments_for(self.per_replica, rows))


def _train_epoch(schedule: Schedule, epoch: int, values: Array) -> dict[str, Array]:
    """Return the factors of an epoch as (R, steps), after its values are recorded."""
    factors = schedule.epoch_factors(epoch, STEPS)
    schedule.record(values)
    return {"the factor": np.ascontiguousarray(factors.T)}


def _check_factors(case: _ScheduleCase) -> None:
    schedule = case.run(ALL_REPLICAS)
    for epoch in range(EPOCHS):
        factors, again = schedule.epoch_factors(epoch, STEPS), schedule.epoch_factors(epoch, STEPS)
        shape = (STEPS, len(ALL_REPLICAS))
        assert factors.shape == shape, f"one factor per step and replica, {shape}; got {factors.shape}"
        assert factors.dtype == np.float64, f"factors are float64 on the host, not {factors.dtype}"
        valid = np.isfinite(factors) & (factors > 0.0)
        assert valid.all(), f"factors are finite and above 0; epoch {epoch} has {factors[~valid][0]}"
        assert_identical({"the factor": factors}, {"the factor": again}, f"epoch {epoch} asked for twice")
        schedule.record(case.values[epoch])


def _check_arguments_are_per_replica(case: _ScheduleCase) -> None:
    schedule = case.run(ALL_REPLICAS)
    by_epoch = [_train_epoch(schedule, epoch, SAME_VALUES[epoch])["the factor"] for epoch in range(EPOCHS)]
    factors = np.concatenate(by_epoch, axis=1)  # (R, EPOCHS * STEPS)
    for r in ALL_REPLICAS[1:]:
        is_same = (factors[r] == factors[0]).all()
        assert not is_same, (
            f"replicas 0 and {r} have the same factors with different arguments: {dict(case.per_replica or {})}"
        )


def _check_fused_equals_alone(case: _ScheduleCase) -> None:
    fused, alone = case.run(ALL_REPLICAS), [case.run((r,)) for r in ALL_REPLICAS]
    for epoch in range(EPOCHS):
        together = _train_epoch(fused, epoch, case.values[epoch])
        for r in ALL_REPLICAS:
            one = _train_epoch(alone[r], epoch, case.values[epoch, [r]])
            assert_identical(select_rows(together, (r,)), one, f"replica {r} fused and alone")


def _check_survivors_continue(case: _ScheduleCase) -> None:
    reduced, full = case.run(ALL_REPLICAS), case.run(ALL_REPLICAS)
    rows: Sequence[int] = ALL_REPLICAS
    for epoch in range(EPOCHS):
        if epoch == EPOCHS // 2:
            rows = SURVIVORS
            reduced.select_replicas(np.array(rows))
        actual = _train_epoch(reduced, epoch, case.values[epoch, list(rows)])
        expected = _train_epoch(full, epoch, case.values[epoch])
        assert_identical(actual, select_rows(expected, rows), "survivors after select_replicas and without it")


def _check_resumed_equals_uninterrupted(case: _ScheduleCase) -> None:
    uninterrupted, resumed = case.run(ALL_REPLICAS), case.run(ALL_REPLICAS)
    for epoch in range(EPOCHS // 2):
        _train_epoch(uninterrupted, epoch, case.values[epoch])
    state = uninterrupted.state()
    for name, value in state.items():
        assert len(value) == len(ALL_REPLICAS), f"axis 0 is the replica: {name} of the state is {value.shape}"
    later = range(EPOCHS // 2, EPOCHS)
    factors = [_train_epoch(uninterrupted, epoch, case.values[epoch]) for epoch in later]
    resumed.restore(state)  # after these epochs: a state that is not a copy would have changed
    for epoch, expected in zip(later, factors, strict=True):
        actual = _train_epoch(resumed, epoch, case.values[epoch])
        assert_identical(actual, expected, "resumed from state() and uninterrupted")


def _check_nan_stays_in_its_replica(case: _ScheduleCase) -> None:
    others, with_nan, without_nan = (0, 2), case.run(ALL_REPLICAS), case.run(ALL_REPLICAS)
    values = case.values.copy()
    values[:, 1] = np.nan
    for epoch in range(EPOCHS):
        actual = _train_epoch(with_nan, epoch, values[epoch])
        expected = _train_epoch(without_nan, epoch, case.values[epoch])
        comparison = "with NaN recorded for replica 1 and without it, another replica"
        assert_identical(select_rows(actual, others), select_rows(expected, others), comparison)
        assert np.isfinite(actual["the factor"]).all(), "after NaN is recorded, a factor is not finite"

"""The contract of a learning-rate schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.optim.schedules import Schedule
from searchlab.testing.lanes import SURVIVORS, TOGETHER, PerReplicaValues, replicas_of, rows_of, same_bits, values_of

EPOCHS, STEPS = 10, 4
# what every replica sees, epoch by epoch: ever smaller steps down, then none
ALIKE = np.repeat([[1.0], [0.5], [0.33], [0.25], [0.2], [0.17], [0.17], [0.18], [0.17], [0.19]], len(TOGETHER), axis=1)


def check_schedule(build: Callable[..., Schedule], *, per_replica: PerReplicaValues | None = None) -> None:
    """The schedule that build(replicas, epochs, **per_replica) makes gives each replica a factor for every step.

    Factors are (steps, R), finite and above 0; other arguments give other factors; fused equals alone, survivors go on,
    resumed equals unbroken and NaN stays in its lane, bit for bit. Raises AssertionError saying which rule broke.
    """
    trial = _Trial(build, per_replica)
    _factors_are_sound(trial)
    if per_replica:
        _arguments_are_its_own(trial)
    _fused_equals_alone(trial)
    _survivors_go_on(trial)
    _resumed_equals_unbroken(trial)
    _nan_stays_in_its_lane(trial)


class _Trial:
    """How to build the schedule for some replicas, and what they see after each epoch: (EPOCHS, R)."""

    def __init__(self, build: Callable[..., Schedule], per_replica: PerReplicaValues | None) -> None:
        self.build, self.per_replica = build, per_replica
        self.seen = np.random.default_rng(0).standard_normal((EPOCHS, len(TOGETHER)))
        self.seen[EPOCHS // 3, 1] = np.nan

    def run(self, rows: Sequence[int]) -> Schedule:
        """A new schedule of these replicas only."""
        return self.build(replicas_of(rows), EPOCHS, **values_of(self.per_replica, rows))


def _epoch(schedule: Schedule, epoch: int, seen: Array) -> dict[str, Array]:
    """The factors of one epoch, replica first, and then what it looked like."""
    factors = schedule.epoch(epoch, STEPS)
    schedule.see(seen)
    return {"the factor": np.ascontiguousarray(factors.T)}


def _factors_are_sound(trial: _Trial) -> None:
    schedule = trial.run(TOGETHER)
    for epoch in range(EPOCHS):
        factors, again = schedule.epoch(epoch, STEPS), schedule.epoch(epoch, STEPS)
        shape = (STEPS, len(TOGETHER))
        assert factors.shape == shape, f"one factor per step and replica, {shape}; got {factors.shape}"
        assert factors.dtype == np.float64, f"factors are float64 on the host, not {factors.dtype}"
        sound = np.isfinite(factors) & (factors > 0.0)
        assert sound.all(), f"factors are finite and above 0; epoch {epoch} has {factors[~sound][0]}"
        same_bits({"the factor": factors}, {"the factor": again}, f"epoch {epoch} asked for twice")
        schedule.see(trial.seen[epoch])


def _arguments_are_its_own(trial: _Trial) -> None:
    schedule = trial.run(TOGETHER)
    told = [_epoch(schedule, epoch, ALIKE[epoch])["the factor"] for epoch in range(EPOCHS)]
    factors = np.concatenate(told, axis=1)  # (R, EPOCHS * STEPS)
    for r in TOGETHER[1:]:
        same = (factors[r] == factors[0]).all()
        assert not same, f"replicas 0 and {r} have one factor with other arguments: {dict(trial.per_replica or {})}"


def _fused_equals_alone(trial: _Trial) -> None:
    fused, alone = trial.run(TOGETHER), [trial.run((r,)) for r in TOGETHER]
    for epoch in range(EPOCHS):
        together = _epoch(fused, epoch, trial.seen[epoch])
        for r in TOGETHER:
            one = _epoch(alone[r], epoch, trial.seen[epoch, [r]])
            same_bits(rows_of(together, (r,)), one, f"replica {r} fused and alone")


def _survivors_go_on(trial: _Trial) -> None:
    kept, whole = trial.run(TOGETHER), trial.run(TOGETHER)
    rows: Sequence[int] = TOGETHER
    for epoch in range(EPOCHS):
        if epoch == EPOCHS // 2:
            rows = SURVIVORS
            kept.keep(np.array(rows))
        left = _epoch(kept, epoch, trial.seen[epoch, list(rows)])
        right = _epoch(whole, epoch, trial.seen[epoch])
        same_bits(left, rows_of(right, rows), "survivors after keep(rows) and the same ones undisturbed")


def _resumed_equals_unbroken(trial: _Trial) -> None:
    unbroken, resumed = trial.run(TOGETHER), trial.run(TOGETHER)
    for epoch in range(EPOCHS // 2):
        _epoch(unbroken, epoch, trial.seen[epoch])
    state = unbroken.state()
    for name, value in state.items():
        assert len(value) == len(TOGETHER), f"axis 0 is the replica, and the state's {name} is {value.shape}"
    later = range(EPOCHS // 2, EPOCHS)
    expected = [_epoch(unbroken, epoch, trial.seen[epoch]) for epoch in later]  # a state that is no copy moves with it
    resumed.restore(state)
    for epoch, right in zip(later, expected, strict=True):
        same_bits(_epoch(resumed, epoch, trial.seen[epoch]), right, "resumed from state() and unbroken")


def _nan_stays_in_its_lane(trial: _Trial) -> None:
    others, sick, clean = (0, 2), trial.run(TOGETHER), trial.run(TOGETHER)
    seen = trial.seen.copy()
    seen[:, 1] = np.nan
    for epoch in range(EPOCHS):
        left, right = _epoch(sick, epoch, seen[epoch]), _epoch(clean, epoch, trial.seen[epoch])
        same_bits(rows_of(left, others), rows_of(right, others), "with NaN seen by replica 1, another replica")
        assert np.isfinite(left["the factor"]).all(), "a replica that sees NaN has a factor that is not finite"

"""Every schedule passes its contract, and the contract finds the errors that a schedule can have."""

from functools import partial

import numpy as np
import pytest

import searchlab.optim.schedules as schedules
from searchlab.optim.schedules import Constant, CosineDecay, ExponentialDecay, Plateau, Schedule, StepDecay
from searchlab.testing import check_schedule

WARMUP = {"warmup": (0.0, 0.5, 2.5)}
CASES = {
    Constant: WARMUP,
    StepDecay: WARMUP | {"every": (2.0, 3.0, 0.75), "factor": (0.5, 0.25, 1.0)},
    ExponentialDecay: WARMUP | {"rate": (0.95, 0.5, 1.0)},
    CosineDecay: WARMUP | {"floor": (0.0, 0.1, 1.0)},
    Plateau: WARMUP | {"factor": (0.25, 0.5, 0.9), "patience": (0, 1, 2), "threshold": (0.0, 0.1, 0.3)},
}
REQUIRED_ARGUMENTS = {StepDecay: {"every": 2.0}}
ARGUMENTS = [(schedule, name) for schedule, values in CASES.items() for name in values]


def build(schedule):
    return partial(schedule, **REQUIRED_ARGUMENTS.get(schedule, {}))


@pytest.mark.parametrize("schedule", CASES)
def test_contract(schedule):
    check_schedule(build(schedule))
    check_schedule(schedule, per_replica=CASES[schedule])


@pytest.mark.parametrize(("schedule", "name"), ARGUMENTS)
def test_each_argument_can_differ_between_replicas(schedule, name):
    """With one argument varied and the others equal, the contract still finds that replicas have different factors."""
    check_schedule(build(schedule), per_replica={name: CASES[schedule][name]})


def test_every_schedule_has_a_case():
    classes = {each for each in vars(schedules).values() if isinstance(each, type) and issubclass(each, Schedule)}
    assert classes - {Schedule} == set(CASES)


class OneRateForAll(ExponentialDecay):
    def __init__(self, replicas, epochs, *, rate=0.9):
        super().__init__(replicas, epochs, rate=float(np.mean(rate)))


class LosesReplicaAxis(Constant):
    def epoch_factors(self, epoch, steps):
        return super().epoch_factors(epoch, steps)[:, 0]


class ReturnsFloat32(Constant):
    def epoch_factors(self, epoch, steps):
        return super().epoch_factors(epoch, steps).astype(np.float32)


class StartsAtZero(Constant):
    def factors(self, elapsed):
        return super().factors(elapsed) * np.minimum(elapsed, 1.0)[:, None]


class DecaysWithCalls(Constant):
    """Its factors fall with each call, not with each epoch."""

    calls = 0

    def factors(self, elapsed):
        self.calls += 1
        return super().factors(elapsed) * 0.9**self.calls


class FallsForAll(Plateau):
    def record(self, value):
        super().record(np.full_like(value, value[~np.isnan(value)].mean() if (value == value).any() else np.nan))


class HidesArrays(Schedule):
    """Its state is in a dictionary, where `select_replicas` does not look."""

    def __init__(self, replicas, epochs):
        super().__init__(replicas, epochs)
        self.hidden = {"level": np.ones(replicas.count)}

    def factors(self, elapsed):
        return self.hidden["level"][None, : len(self.warmup)]

    def record(self, value):
        self.hidden["level"] = self.hidden["level"][: len(value)] * np.where(value < 0.0, 0.5, 1.0)

    def state(self):
        return {"level": self.hidden["level"].copy()}

    def restore(self, state):
        self.hidden = {"level": state["level"].copy()}


class OmitsState(Plateau):
    def state(self):
        return {}


class DoesNotCopyItsState(Plateau):
    """Its state is its arrays themselves, which later epochs change."""

    def record(self, value):
        before = self.best, self.waited, self.level
        super().record(value)
        for old, name in zip(before, ("best", "waited", "level"), strict=True):
            old[...] = getattr(self, name)
            setattr(self, name, old)

    def state(self):
        return {"best": self.best, "waited": self.waited, "level": self.level}


class SpreadsNaN(Plateau):
    def record(self, value):
        super().record(value + 0.0 * value.sum())


class ReturnsNaN(Plateau):
    def factors(self, elapsed):
        return self.level[None] + 0.0 * self.last[None]

    def __init__(self, replicas, epochs):
        super().__init__(replicas, epochs)
        self.last = np.zeros(replicas.count)

    def record(self, value):
        super().record(value)
        self.last = value

    def state(self):
        return super().state() | {"last": self.last.copy()}


WRONG_SCHEDULES = {
    LosesReplicaAxis: "one factor per step and replica",
    ReturnsFloat32: "float64 on the host",
    StartsAtZero: "finite and above 0",
    DecaysWithCalls: "asked for twice",
    FallsForAll: "fused and alone",
    HidesArrays: "survivors",
    OmitsState: "resumed",
    DoesNotCopyItsState: "resumed",
    SpreadsNaN: "fused and alone",
    ReturnsNaN: "finite and above 0",
}


@pytest.mark.parametrize("schedule", WRONG_SCHEDULES)
def test_contract_finds(schedule):
    with pytest.raises(AssertionError, match=WRONG_SCHEDULES[schedule]):
        check_schedule(schedule)


def test_contract_finds_one_rate_for_all_replicas():
    with pytest.raises(AssertionError, match="the same factors with different arguments"):
        check_schedule(OneRateForAll, per_replica={"rate": (0.9, 0.5, 0.1)})

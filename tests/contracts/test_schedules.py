"""Every schedule passes its contract, and the contract catches the ways a schedule can be wrong."""

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
NEEDED = {StepDecay: {"every": 2.0}}
EACH = [(kind, name) for kind, values in CASES.items() for name in values]


def build(kind):
    return partial(kind, **NEEDED.get(kind, {}))


@pytest.mark.parametrize("kind", CASES)
def test_contract(kind):
    check_schedule(build(kind))
    check_schedule(kind, per_replica=CASES[kind])


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_each_argument_of_each_schedule_is_its_own(kind, name):
    """With one argument varied and the others equal, the contract still finds that replicas have other factors."""
    check_schedule(build(kind), per_replica={name: CASES[kind][name]})


def test_every_schedule_has_a_case():
    kinds = {kind for kind in vars(schedules).values() if isinstance(kind, type) and issubclass(kind, Schedule)}
    assert kinds - {Schedule} == set(CASES)


class OneForAll(ExponentialDecay):
    def __init__(self, replicas, epochs, *, rate=0.9):
        super().__init__(replicas, epochs, rate=float(np.mean(rate)))


class LosesReplicaAxis(Constant):
    def epoch(self, epoch, steps):
        return super().epoch(epoch, steps)[:, 0]


class Narrow(Constant):
    def epoch(self, epoch, steps):
        return super().epoch(epoch, steps).astype(np.float32)


class StartsAtZero(Constant):
    def factors(self, elapsed):
        return super().factors(elapsed) * np.minimum(elapsed, 1.0)[:, None]


class CountsItsQuestions(Constant):
    """Goes on when it is asked, not when an epoch has been seen."""

    asked = 0

    def factors(self, elapsed):
        self.asked += 1
        return super().factors(elapsed) * 0.9**self.asked


class FallsForAll(Plateau):
    def see(self, value):
        super().see(np.full_like(value, value[~np.isnan(value)].mean() if (value == value).any() else np.nan))


class HidesFromKeep(Schedule):
    """What it remembers lies in a dictionary, where `keep` does not look."""

    def __init__(self, replicas, epochs):
        super().__init__(replicas, epochs)
        self.held = {"level": np.ones(replicas.count)}

    def factors(self, elapsed):
        return self.held["level"][None, : len(self.warmup)]

    def see(self, value):
        self.held["level"] = self.held["level"][: len(value)] * np.where(value < 0.0, 0.5, 1.0)

    def state(self):
        return {"level": self.held["level"].copy()}

    def restore(self, state):
        self.held = {"level": state["level"].copy()}


class Forgets(Plateau):
    def state(self):
        return {}


class GivesItselfAway(Plateau):
    """Its state is its arrays themselves, which go on changing."""

    def see(self, value):
        before = self.best, self.waited, self.level
        super().see(value)
        for old, name in zip(before, ("best", "waited", "level"), strict=True):
            old[...] = getattr(self, name)
            setattr(self, name, old)

    def state(self):
        return {"best": self.best, "waited": self.waited, "level": self.level}


class SpillsNaN(Plateau):
    def see(self, value):
        super().see(value + 0.0 * value.sum())


class TurnsNaN(Plateau):
    def factors(self, elapsed):
        return self.level[None] + 0.0 * self.last[None]

    def __init__(self, replicas, epochs):
        super().__init__(replicas, epochs)
        self.last = np.zeros(replicas.count)

    def see(self, value):
        super().see(value)
        self.last = value

    def state(self):
        return super().state() | {"last": self.last.copy()}


BROKEN = {
    LosesReplicaAxis: "one factor per step and replica",
    Narrow: "float64 on the host",
    StartsAtZero: "finite and above 0",
    CountsItsQuestions: "asked for twice",
    FallsForAll: "fused and alone",
    HidesFromKeep: "survivors",
    Forgets: "resumed",
    GivesItselfAway: "resumed",
    SpillsNaN: "fused and alone",
    TurnsNaN: "finite and above 0",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_contract_catches(kind):
    with pytest.raises(AssertionError, match=BROKEN[kind]):
        check_schedule(kind)


def test_contract_catches_one_argument_for_all_replicas():
    with pytest.raises(AssertionError, match="one factor with other arguments"):
        check_schedule(OneForAll, per_replica={"rate": (0.9, 0.5, 0.1)})

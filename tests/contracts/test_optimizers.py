"""Every optimizer passes its contract, and the contract catches the ways an optimizer can be wrong."""

import numpy as np
import pytest

import searchlab.optim as optim
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSprop
from searchlab.testing import check_optimizer

LR = (0.1, 0.05, 0.02)
ADAM = {"lr": LR, "beta1": (0.9, 0.8, 0.5), "beta2": (0.999, 0.99, 0.9), "epsilon": (1e-7, 1e-8, 1e-3)}
CASES = {
    SGD: {"lr": LR},
    Momentum: {"lr": LR, "momentum": (0.0, 0.5, 0.9)},
    Nesterov: {"lr": LR, "momentum": (0.0, 0.5, 0.9)},
    AdaGrad: {"lr": LR, "initial_accumulator": (0.1, 0.01, 1.0), "epsilon": (1e-7, 1e-4, 1e-3)},
    RMSprop: {"lr": LR, "rho": (0.9, 0.5, 0.99), "momentum": (0.0, 0.5, 0.3), "epsilon": (1e-7, 1e-4, 1e-3)},
    Adam: ADAM,
    AdamW: ADAM | {"weight_decay": (0.0, 0.004, 0.1)},
}


@pytest.mark.parametrize("optimizer", CASES)
def test_contract(optimizer):
    check_optimizer(optimizer)
    check_optimizer(optimizer, per_replica=CASES[optimizer])


def test_every_optimizer_has_a_case():
    kinds = {kind for kind in vars(optim).values() if isinstance(kind, type) and issubclass(kind, Optimizer)}
    assert kinds - {Optimizer} == set(CASES)


@pytest.mark.parametrize(("optimizer", "name"), [(kind, name) for kind, values in CASES.items() for name in values])
def test_each_rate_of_each_optimizer_is_its_own(optimizer, name):
    """With one argument varied and the others equal, the contract still finds that replicas go different ways."""
    check_optimizer(optimizer, per_replica={"lr": (0.1, 0.1, 0.1)} | {name: CASES[optimizer][name]})


class OneRateForAll(SGD):
    def __init__(self, parameters, replicas, *, lr):
        super().__init__(parameters, replicas, lr=float(np.mean(lr)))


class Climbs(SGD):
    def update(self):
        self.parameters.values += self.parameters.grads * self.lr[:, None]


class ReadsItsRateOnce(SGD):
    def __init__(self, parameters, replicas, *, lr):
        super().__init__(parameters, replicas, lr=lr)
        self.first = self.lr

    def prepare(self):
        return (self.first[:, None],)


class Drifts(SGD):
    """Moves the parameters whatever its rate is."""

    def move(self, arrays, rates):
        super().move(arrays, rates)
        arrays[0][...] *= np.float32(0.999)


class Widens(SGD):
    def update(self):
        self.parameters.values = self.parameters.values.astype(np.float64)
        self.parameters._bind()
        super().update()


class ScalesByAllReplicas(SGD):
    def update(self):
        self.parameters.grads /= 1.0 + np.abs(self.parameters.grads).max()
        super().update()


class ForgetsSlots(Momentum):
    def slots(self):
        return {}


class GivesSlotsAway(Momentum):
    """Its state is its slots themselves, which go on changing."""

    def state(self):
        return self.slots()


class TakesNothingBack(Momentum):
    def restore(self, state):
        pass


class HidesFromKeep(SGD):
    """Its velocity lies in a dictionary, where `keep` does not look."""

    def __init__(self, parameters, replicas, *, lr):
        super().__init__(parameters, replicas, lr=lr)
        self.held = {"velocity": np.zeros_like(parameters.values)}

    def update(self):
        velocity = self.held["velocity"][: len(self.lr)]
        velocity *= np.float32(0.5)
        velocity -= self.lr[:, None] * self.parameters.grads
        self.parameters.values += velocity

    def slots(self):
        return self.held


class SpillsNaN(SGD):
    """Adds nothing, times a sum over all replicas: harmless until one of them is NaN."""

    def update(self):
        self.parameters.grads += np.float32(0.0) * self.parameters.grads.sum()
        super().update()


BROKEN = {
    OneRateForAll: "replicas 0 and 1 go the same way",
    Climbs: "steps down a quadratic",
    ReadsItsRateOnce: "`lr` replaced",
    Drifts: "`lr` 0",
    Widens: "stay float32",
    ScalesByAllReplicas: "fused and alone",
    ForgetsSlots: "resumed",
    GivesSlotsAway: "resumed",
    TakesNothingBack: "resumed",
    HidesFromKeep: "survivors",
    SpillsNaN: "with NaN in replica 1",
}


@pytest.mark.parametrize("optimizer", BROKEN)
def test_contract_catches(optimizer):
    with np.errstate(over="ignore"), pytest.raises(AssertionError, match=BROKEN[optimizer]):
        check_optimizer(optimizer)

"""Every optimizer passes its contract, and the contract finds the errors that an optimizer can have."""

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


def test_every_exported_optimizer_has_a_case():
    classes = {each for each in vars(optim).values() if isinstance(each, type) and issubclass(each, Optimizer)}
    assert classes - {Optimizer, optim.NoOptimizer} == set(CASES)


@pytest.mark.parametrize(
    ("optimizer", "name"), [(optimizer, name) for optimizer, values in CASES.items() for name in values]
)
def test_each_hyperparameter_can_differ_between_replicas(optimizer, name):
    """With one argument varied and the others equal, the contract still finds that replicas are updated differently."""
    check_optimizer(optimizer, per_replica={"lr": (0.1, 0.1, 0.1)} | {name: CASES[optimizer][name]})


class OneRateForAll(SGD):
    def __init__(self, parameters, replicas, *, lr):
        super().__init__(parameters, replicas, lr=float(np.mean(lr)))


class Ascends(SGD):
    def update(self):
        self.parameters.values += self.parameters.grads * self.lr[:, None]


class ReadsLearningRateOnce(SGD):
    def __init__(self, parameters, replicas, *, lr):
        super().__init__(parameters, replicas, lr=lr)
        self.first_lr = self.lr

    def step_coefficients(self):
        return (self.first_lr[:, None],)


class IgnoresLearningRate(SGD):
    """It changes the parameters even with a learning rate of 0."""

    def step_block(self, arrays, coefficients):
        super().step_block(arrays, coefficients)
        arrays[0][...] *= np.float32(0.999)


class UsesFloat64(SGD):
    def update(self):
        self.parameters.values = self.parameters.values.astype(np.float64)
        self.parameters._bind_views()
        super().update()


class ScalesByAllReplicas(SGD):
    def update(self):
        self.parameters.grads /= 1.0 + np.abs(self.parameters.grads).max()
        super().update()


class OmitsSlots(Momentum):
    def slots(self):
        return {}


class DoesNotCopyItsState(Momentum):
    """Its state is its slots themselves, which later steps change."""

    def state(self):
        return self.slots()


class IgnoresRestoredState(Momentum):
    def restore(self, state):
        pass


class HidesArrays(SGD):
    """Its velocity is in a dictionary, where `select_replicas` does not look."""

    def __init__(self, parameters, replicas, *, lr):
        super().__init__(parameters, replicas, lr=lr)
        self.hidden = {"velocity": np.zeros_like(parameters.values)}

    def update(self):
        velocity = self.hidden["velocity"][: len(self.lr)]
        velocity *= np.float32(0.5)
        velocity -= self.lr[:, None] * self.parameters.grads
        self.parameters.values += velocity

    def slots(self):
        return self.hidden


class SpreadsNaN(SGD):
    """Adds nothing, times a sum over all replicas: harmless until one of them is NaN."""

    def update(self):
        self.parameters.grads += np.float32(0.0) * self.parameters.grads.sum()
        super().update()


WRONG_OPTIMIZERS = {
    OneRateForAll: "replicas 0 and 1 go the same way",
    Ascends: "steps down a quadratic",
    ReadsLearningRateOnce: "`lr` replaced",
    IgnoresLearningRate: "`lr` 0",
    UsesFloat64: "stay float32",
    ScalesByAllReplicas: "fused and alone",
    OmitsSlots: "resumed",
    DoesNotCopyItsState: "resumed",
    IgnoresRestoredState: "resumed",
    HidesArrays: "survivors",
    SpreadsNaN: "with NaN in replica 1",
}


@pytest.mark.parametrize("optimizer", WRONG_OPTIMIZERS)
def test_contract_finds(optimizer):
    with np.errstate(over="ignore"), pytest.raises(AssertionError, match=WRONG_OPTIMIZERS[optimizer]):
        check_optimizer(optimizer)

"""Every layer passes its contract, and the contract catches the ways a layer can be wrong."""

from functools import partial

import numpy as np
import pytest

import searchlab.nn as nn
from searchlab.backend import xp_of
from searchlab.nn import Affine, BatchNorm, Chain, Dropout, Gelu, Layer, LeakyRelu, Parameter, Relu, Sigmoid, Tanh
from searchlab.replicas import Replicas
from searchlab.testing import check_layer

RATES = {"rate": (0.0, 0.3, 0.75)}
MOMENTA = {"momentum": (0.0, 0.5, 0.99), "epsilon": (1e-3, 1e-5, 1e-1)}

CASES = {
    Affine: lambda: check_layer(lambda replicas: Affine(replicas, 4, 3), 4),
    BatchNorm: lambda: check_layer(partial(BatchNorm, features=4), 4, per_replica=MOMENTA),
    Relu: lambda: check_layer(Relu, 4),
    LeakyRelu: lambda: check_layer(LeakyRelu, 4, per_replica={"slope": (0.0, 0.01, 0.3)}),
    Gelu: lambda: check_layer(Gelu, 4),
    Tanh: lambda: check_layer(Tanh, 4),
    Sigmoid: lambda: check_layer(Sigmoid, 4),
    Dropout: lambda: check_layer(Dropout, 7, per_replica=RATES),
    Chain: lambda: check_layer(deep, 5, per_replica=RATES),
}


def deep(replicas, rate):
    first, last = Affine(replicas, 5, 6), Affine(replicas, 5, 6)
    last.W = first.W  # shared: both add to one gradient
    return Chain(first, Sigmoid(replicas), Dropout(replicas, rate), Affine(replicas, 6, 5), Tanh(replicas), last)


@pytest.mark.parametrize("layer", CASES)
def test_contract(layer):
    CASES[layer]()


def test_every_exported_layer_has_a_case():
    words = {word: getattr(nn, word) for word in nn.__all__}
    layers = {word for word, kind in words.items() if isinstance(kind, type) and issubclass(kind, Layer)} - {"Layer"}
    assert layers == {layer.__name__ for layer in CASES}


def test_single_numbers_and_single_features():
    check_layer(lambda replicas: Affine(replicas, 1, 1), 1, leading=((1,), (1, 1)))
    check_layer(Dropout, 1, leading=((1,),), per_replica=RATES)


class Through(Layer):
    """Hands everything on: the broken layers below differ from it in one respect."""

    def __init__(self, replicas: Replicas):
        self.replicas = replicas

    def forward(self, x, *, train):
        return x.copy()

    def backward(self, dy):
        return dy.copy()


class WrongInputGradient(Tanh):
    def __init__(self, replicas):
        pass

    def backward(self, dy):
        return dy * (1.0 - self._y)


class WrongWeightGradient(Affine):
    def __init__(self, replicas):
        super().__init__(replicas, 4, 4)

    def backward_parameters(self, dy):
        super().backward_parameters(dy)
        self.W.grad *= 1.001


class AddsGradientsUp(Affine):
    def __init__(self, replicas):
        super().__init__(replicas, 4, 4)

    def backward_parameters(self, dy):
        before = self.b.grad.copy()
        super().backward_parameters(dy)
        self.b.grad += before


class MixesReplicas(Through):
    def forward(self, x, *, train):
        self._all = x
        return x + 0.1 * x.mean(axis=0, keepdims=True)

    def backward(self, dy):
        return dy * (1.0 + 0.1 / len(dy))


class SpillsNaN(Through):
    def forward(self, x, *, train):
        return x + 0.0 * x.sum(axis=0, keepdims=True)


class OwnRandomness(Through):
    def __init__(self, replicas):
        self.generator = np.random.default_rng(0)

    def forward(self, x, *, train):
        self._mask = (self.generator.random(x.shape) < 0.5).astype(x.dtype) if train else np.ones_like(x)
        return x * self._mask

    def backward(self, dy):
        return dy * self._mask


class OneSeedForAll(Dropout):
    """Every replica draws as the first one does."""

    def __init__(self, replicas):
        super().__init__(Replicas([int(replicas.seeds[0])] * replicas.count, dtype=replicas.dtype))
        self.theirs = replicas

    def forward(self, x, *, train):
        self.replicas.restore({"draws": self.theirs.state()["draws"]})
        if train:
            self.theirs.skip_draw()
        return super().forward(x, train=train)


class OneRateForAll(Dropout):
    def __init__(self, replicas, rate):
        super().__init__(replicas, float(np.mean(rate)))


class ChangesInput(Through):
    def forward(self, x, *, train):
        x *= 1.0 + (x > 1.0)
        return x


class Widens(Through):
    def forward(self, x, *, train):
        return x + np.zeros((1, 1), dtype=np.float64)


class WidensBackward(Through):
    def backward(self, dy):
        return dy.astype(np.float64)


class HidesFromKeep(Through):
    """Its per-replica factors lie in a dictionary, where `keep` does not look."""

    def __init__(self, replicas):
        self.held = {"factor": replicas.normal(1)}

    def forward(self, x, *, train):
        factor = self.held["factor"]
        return x * factor.reshape(len(factor), *[1] * (x.ndim - 1))[: len(x)]

    def backward(self, dy):
        return self.forward(dy, train=True)


class LosesReplicaAxis(Through):
    def forward(self, x, *, train):
        return x.reshape(-1, x.shape[-1])


class ForgetsWeightInFirstPlace(Through):
    def __init__(self, replicas):
        self.scale = Parameter(replicas.zeros(1) + 1.0)

    def forward(self, x, *, train):
        self._x = x
        return x * self.scale.value.reshape(len(x), *[1] * (x.ndim - 1))

    def backward(self, dy):
        self.scale.learn((dy * self._x).reshape(len(dy), -1).sum(axis=1, keepdims=True))
        return dy * self.scale.value.reshape(len(dy), *[1] * (dy.ndim - 1))

    def backward_parameters(self, dy):
        self.scale.grad[...] = 0.0


BROKEN = {
    WrongInputGradient: "the input's gradient .* finite differences",
    WrongWeightGradient: "gradient of W .* finite differences",
    AddsGradientsUp: "gradient of b .* finite differences",
    ForgetsWeightInFirstPlace: "backward_parameters and backward disagree",
    MixesReplicas: "fused and alone|finite differences",
    SpillsNaN: "with NaN in the input of replica 1",
    OwnRandomness: "finite differences|fused and alone",
    OneSeedForAll: "fused and alone",
    ChangesInput: "changed its input",
    Widens: "the output is float64",
    WidensBackward: "the input's gradient is float64",
    HidesFromKeep: "survivors",
    LosesReplicaAxis: "axis 0 is the replica",
}


@pytest.mark.parametrize("layer", BROKEN)
def test_contract_catches(layer):
    with pytest.raises(AssertionError, match=BROKEN[layer]):
        check_layer(layer, 4)


def test_contract_catches_one_rate_for_all_replicas():
    with pytest.raises(AssertionError, match="fused and alone"):
        check_layer(OneRateForAll, 4, per_replica={"rate": (0.1, 0.3, 0.8)})


def test_the_sound_twin_of_the_broken_layers_passes():
    check_layer(Through, 4)


def test_relu_keeps_a_float64_input_apart_from_an_earlier_float32_one():
    relu = Relu(Replicas([0]))
    for dtype in (np.float32, np.float64, np.float32):
        y = relu.forward(np.ones((1, 2, 3), dtype), train=False)
        assert y.dtype == dtype
        assert xp_of(y) is np

"""Every layer passes its contract, and the contract catches the ways a layer can be wrong."""

from functools import partial

import numpy as np
import pytest

import searchlab.nn as nn
from searchlab.backend import xp_of
from searchlab.nn import (
    GRU,
    LSTM,
    RNN,
    Affine,
    BatchNorm,
    Bidirectional,
    Dropout,
    Gelu,
    Layer,
    LeakyRelu,
    Parameter,
    Relu,
    Sequential,
    Sigmoid,
    Tanh,
)
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
    Sequential: lambda: check_layer(deep, 5, per_replica=RATES),
    Bidirectional: lambda: check_layer(both_ends, 5, leading=SEQUENCES),
}
SEQUENCES = ((4, 3), (1, 2), (3, 1))


def deep(replicas, rate):
    first, last = Affine(replicas, 5, 6), Affine(replicas, 5, 6)
    last.W = first.W  # shared: both add to one gradient
    return Sequential(first, Sigmoid(replicas), Dropout(replicas, rate), Affine(replicas, 6, 5), Tanh(replicas), last)


def both_ends(replicas):
    return Bidirectional(LSTM(replicas, 5, 4), GRU(replicas, 5, 3))


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


def test_dropout_over_time():
    check_layer(partial(Dropout, over_time=True), 7, leading=SEQUENCES, per_replica=RATES)
    x = np.ones((3, 6, 4, 50), np.float32)
    dropout = Dropout(Replicas([0, 1, 2]), RATES["rate"], over_time=True)
    y = dropout.forward(x, train=True)
    assert (y == y[:, :1]).all(), "the same features at all moments"
    assert (y[1, 0, 0] != y[1, 0, 1]).any(), "others in another sequence"
    assert (y == 0.0).mean(axis=(1, 2, 3)) == pytest.approx(RATES["rate"], abs=0.15)
    assert set(np.unique(y[2]).tolist()) == {0.0, 4.0}
    assert (dropout.backward(x) == y).all()
    again = dropout.forward(x, train=True)
    assert (again[1] != y[1]).any(), "others in another window"
    assert dropout.forward(x, train=False) is x


def test_dropout_over_time_counts_as_many_draws():
    for rate in (0.0, 0.5):
        replicas = Replicas([0])
        Dropout(replicas, rate, over_time=True).forward(np.ones((1, 6, 4, 5), np.float32), train=True)
        assert replicas.state()["draws"].tolist() == [1]


@pytest.mark.parametrize("kinds", [(RNN, RNN), (GRU, LSTM)])
def test_bidirectional_reads_from_either_end(kinds):
    replicas = Replicas([0, 1, 2])
    onward, backwards = (kind(replicas, 5, size) for kind, size in zip(kinds, (4, 3), strict=True))
    x = np.random.default_rng(0).standard_normal((3, 6, 2, 5)).astype(np.float32)
    y = Bidirectional(onward, backwards).forward(x, train=False)
    assert y.shape == (3, 6, 2, 7)
    assert (y[..., :4] == onward.forward(x, train=False)[0]).all()
    assert (y[:, ::-1, :, 4:] == backwards.forward(x[:, ::-1].copy(), train=False)[0]).all()
    changed = x.copy()
    changed[:, -1] += 1.0  # the last moment is seen by all before it, and by none of the layer that reads onward
    seen = Bidirectional(onward, backwards).forward(changed, train=False) != y
    assert not seen[:, :-1, :, :4].any()
    assert seen[..., 4:].any(axis=3).all()


def test_bidirectional_layers_may_share_parameters():
    def shared(replicas):
        one, other = RNN(replicas, 5, 4), RNN(replicas, 5, 4)
        other.Wx, other.Wh, other.b = one.Wx, one.Wh, one.b
        return Bidirectional(one, other)

    check_layer(shared, 5, leading=SEQUENCES)
    assert len(shared(Replicas([0])).parameters()) == 6


def test_bidirectional_takes_two_layers():
    layer = RNN(Replicas([0]), 5, 4)
    with pytest.raises(ValueError, match="two layers"):
        Bidirectional(layer, layer)


def test_bidirectional_layers_are_stacked():
    check_layer(
        lambda replicas: Sequential(both_ends(replicas), Affine(replicas, 7, 5), both_ends(replicas)),
        5,
        leading=((3, 2),),
    )


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


class ReadsOnwardTwice(Bidirectional):
    """Its second layer's slopes are those of a sequence read from the other end."""

    def __init__(self, replicas):
        super().__init__(RNN(replicas, 4, 4), RNN(replicas, 4, 4))

    def backward(self, dy):
        return self.onward.backward(dy[..., :4]) + self.backwards.backward(dy[..., 4:])


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


def test_contract_catches_slopes_of_a_sequence_read_from_the_other_end():
    with pytest.raises(AssertionError, match="finite differences"):
        check_layer(ReadsOnwardTwice, 4, leading=SEQUENCES)


def test_the_sound_twin_of_the_broken_layers_passes():
    check_layer(Through, 4)


def test_relu_keeps_a_float64_input_apart_from_an_earlier_float32_one():
    relu = Relu(Replicas([0]))
    for dtype in (np.float32, np.float64, np.float32):
        y = relu.forward(np.ones((1, 2, 3), dtype), train=False)
        assert y.dtype == dtype
        assert xp_of(y) is np

"""Every layer passes its contract, and the contract finds the errors that a layer can have."""

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
    LayerNorm,
    LeakyRelu,
    Parameter,
    PositionalEncoding,
    Relu,
    Sequential,
    Sigmoid,
    Tanh,
)
from searchlab.replicas import Replicas
from searchlab.testing import check_layer

RATES = {"rate": (0.0, 0.3, 0.75)}
MOMENTUMS = {"momentum": (0.0, 0.5, 0.99), "epsilon": (1e-3, 1e-5, 1e-1)}

CASES = {
    Affine: lambda: check_layer(lambda replicas: Affine(replicas, 4, 3), 4),
    BatchNorm: lambda: check_layer(partial(BatchNorm, features=4), 4, per_replica=MOMENTUMS),
    LayerNorm: lambda: check_layer(partial(LayerNorm, features=4), 4, per_replica={"epsilon": (1e-3, 1e-5, 1e-1)}),
    PositionalEncoding: lambda: check_layer(partial(PositionalEncoding, features=4), 4, leading=SEQUENCES),
    Relu: lambda: check_layer(Relu, 4),
    LeakyRelu: lambda: check_layer(LeakyRelu, 4, per_replica={"slope": (0.0, 0.01, 0.3)}),
    Gelu: lambda: check_layer(Gelu, 4),
    Tanh: lambda: check_layer(Tanh, 4),
    Sigmoid: lambda: check_layer(Sigmoid, 4),
    Dropout: lambda: check_layer(Dropout, 7, per_replica=RATES),
    Sequential: lambda: check_layer(build_sequential, 5, per_replica=RATES),
    Bidirectional: lambda: check_layer(build_bidirectional, 5, leading=SEQUENCES),
}
SEQUENCES = ((4, 3), (1, 2), (3, 1))


def build_sequential(replicas, rate):
    first, last = Affine(replicas, 5, 6), Affine(replicas, 5, 6)
    last.W = first.W  # shared: both add to one gradient
    return Sequential(first, Sigmoid(replicas), Dropout(replicas, rate), Affine(replicas, 6, 5), Tanh(replicas), last)


def build_bidirectional(replicas):
    return Bidirectional(LSTM(replicas, 5, 4), GRU(replicas, 5, 3))


@pytest.mark.parametrize("layer", CASES)
def test_contract(layer):
    CASES[layer]()


def test_every_exported_layer_has_a_case():
    exported = {getattr(nn, name) for name in nn.__all__}
    layers = {each for each in exported if isinstance(each, type) and issubclass(each, Layer)}
    assert layers - {Layer} == set(CASES)


def test_single_numbers_and_single_features():
    check_layer(lambda replicas: Affine(replicas, 1, 1), 1, leading=((1,), (1, 1)))
    check_layer(Dropout, 1, leading=((1,),), per_replica=RATES)


def test_variational_dropout():
    check_layer(partial(Dropout, variational=True), 7, leading=SEQUENCES, per_replica=RATES)
    x = np.ones((3, 6, 4, 50), np.float32)
    dropout = Dropout(Replicas([0, 1, 2]), RATES["rate"], variational=True)
    y = dropout.forward(x, train=True)
    assert (y == y[:, :1]).all(), "the same features at all time steps"
    assert (y[1, 0, 0] != y[1, 0, 1]).any(), "different features in another sequence"
    assert (y == 0.0).mean(axis=(1, 2, 3)) == pytest.approx(RATES["rate"], abs=0.15)
    assert set(np.unique(y[2]).tolist()) == {0.0, 4.0}
    assert (dropout.backward(x) == y).all()
    again = dropout.forward(x, train=True)
    assert (again[1] != y[1]).any(), "different features in another window"
    assert dropout.forward(x, train=False) is x


def test_variational_dropout_counts_one_draw():
    for rate in (0.0, 0.5):
        replicas = Replicas([0])
        Dropout(replicas, rate, variational=True).forward(np.ones((1, 6, 4, 5), np.float32), train=True)
        assert replicas.state()["draws"].tolist() == [1]


@pytest.mark.parametrize("layer_classes", [(RNN, RNN), (GRU, LSTM)])
def test_bidirectional_reads_from_both_ends(layer_classes):
    replicas = Replicas([0, 1, 2])
    forward_layer, backward_layer = (
        layer_class(replicas, 5, size) for layer_class, size in zip(layer_classes, (4, 3), strict=True)
    )
    x = np.random.default_rng(0).standard_normal((3, 6, 2, 5)).astype(np.float32)
    y = Bidirectional(forward_layer, backward_layer).forward(x, train=False)
    assert y.shape == (3, 6, 2, 7)
    assert (y[..., :4] == forward_layer.forward(x, train=False)[0]).all()
    assert (y[:, ::-1, :, 4:] == backward_layer.forward(x[:, ::-1].copy(), train=False)[0]).all()
    changed = x.copy()
    changed[:, -1] += 1.0  # the last time step changes every earlier output of the backward layer, and of no other
    differs = Bidirectional(forward_layer, backward_layer).forward(changed, train=False) != y
    assert not differs[:, :-1, :, :4].any()
    assert differs[..., 4:].any(axis=3).all()


def test_bidirectional_layers_may_share_parameters():
    def shared(replicas):
        one, other = RNN(replicas, 5, 4), RNN(replicas, 5, 4)
        other.Wx, other.Wh, other.b = one.Wx, one.Wh, one.b
        return Bidirectional(one, other)

    check_layer(shared, 5, leading=SEQUENCES)
    assert len(shared(Replicas([0])).named_parameters()) == 6


def test_bidirectional_of_one_layer_twice_raises():
    layer = RNN(Replicas([0]), 5, 4)
    with pytest.raises(ValueError, match="two layers"):
        Bidirectional(layer, layer)


def test_bidirectional_layers_can_be_stacked():
    check_layer(
        lambda replicas: Sequential(
            build_bidirectional(replicas), Affine(replicas, 7, 5), build_bidirectional(replicas)
        ),
        5,
        leading=((3, 2),),
    )


class Identity(Layer):
    """A correct layer: each wrong layer below differs from it in one respect."""

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


class AccumulatesGradients(Affine):
    def __init__(self, replicas):
        super().__init__(replicas, 4, 4)

    def backward_parameters(self, dy):
        before = self.b.grad.copy()
        super().backward_parameters(dy)
        self.b.grad += before


class MixesReplicas(Identity):
    def forward(self, x, *, train):
        return x + 0.1 * x.mean(axis=0, keepdims=True)

    def backward(self, dy):
        return dy * (1.0 + 0.1 / len(dy))


class SpreadsNaN(Identity):
    def forward(self, x, *, train):
        return x + 0.0 * x.sum(axis=0, keepdims=True)


class OwnRandomness(Identity):
    def __init__(self, replicas):
        self.generator = np.random.default_rng(0)

    def forward(self, x, *, train):
        self._mask = (self.generator.random(x.shape) < 0.5).astype(x.dtype) if train else np.ones_like(x)
        return x * self._mask

    def backward(self, dy):
        return dy * self._mask


class OneSeedForAll(Dropout):
    """Every replica draws by the seed of the first one."""

    def __init__(self, replicas):
        super().__init__(Replicas([int(replicas.seeds[0])] * replicas.count, dtype=replicas.dtype))
        self.original = replicas

    def forward(self, x, *, train):
        self.replicas.restore({"draws": self.original.state()["draws"]})
        if train:
            self.original.skip_draw()
        return super().forward(x, train=train)


class OneRateForAll(Dropout):
    def __init__(self, replicas, rate):
        super().__init__(replicas, float(np.mean(rate)))


class ChangesInput(Identity):
    def forward(self, x, *, train):
        x *= 1.0 + (x > 1.0)
        return x


class ReturnsFloat64(Identity):
    def forward(self, x, *, train):
        return x + np.zeros((1, 1), dtype=np.float64)


class ReturnsFloat64Gradients(Identity):
    def backward(self, dy):
        return dy.astype(np.float64)


class HidesArrays(Identity):
    """Its per-replica factors are in a dictionary, where `select_replicas` does not look."""

    def __init__(self, replicas):
        self.hidden = {"factor": replicas.normal(1)}

    def forward(self, x, *, train):
        factor = self.hidden["factor"]
        return x * factor.reshape(len(factor), *[1] * (x.ndim - 1))[: len(x)]

    def backward(self, dy):
        return self.forward(dy, train=True)


class LosesReplicaAxis(Identity):
    def forward(self, x, *, train):
        return x.reshape(-1, x.shape[-1])


class OmitsItsGradient(Identity):
    def __init__(self, replicas):
        self.scale = Parameter(replicas.zeros(1) + 1.0)

    def forward(self, x, *, train):
        self._x = x
        return x * self.scale.value.reshape(len(x), *[1] * (x.ndim - 1))

    def backward(self, dy):
        self.scale.add_gradient((dy * self._x).reshape(len(dy), -1).sum(axis=1, keepdims=True))
        return dy * self.scale.value.reshape(len(dy), *[1] * (dy.ndim - 1))

    def backward_parameters(self, dy):
        self.scale.grad[...] = 0.0


class WrongGradientOrder(Bidirectional):
    """The gradient of its second layer is in the time order of the first."""

    def __init__(self, replicas):
        super().__init__(RNN(replicas, 4, 4), RNN(replicas, 4, 4))

    def backward(self, dy):
        return self.onward.backward(dy[..., :4]) + self.backwards.backward(dy[..., 4:])


WRONG_LAYERS = {
    WrongInputGradient: "the input's gradient .* finite differences",
    WrongWeightGradient: "gradient of W .* finite differences",
    AccumulatesGradients: "gradient of b .* finite differences",
    OmitsItsGradient: "backward_parameters and backward disagree",
    MixesReplicas: "fused and alone|finite differences",
    SpreadsNaN: "with NaN in the input of replica 1",
    OwnRandomness: "finite differences|fused and alone",
    OneSeedForAll: "fused and alone",
    ChangesInput: "changed its input",
    ReturnsFloat64: "the output is float64",
    ReturnsFloat64Gradients: "the input's gradient is float64",
    HidesArrays: "survivors",
    LosesReplicaAxis: "axis 0 is the replica",
}


@pytest.mark.parametrize("layer", WRONG_LAYERS)
def test_contract_finds(layer):
    with pytest.raises(AssertionError, match=WRONG_LAYERS[layer]):
        check_layer(layer, 4)


def test_contract_finds_one_rate_for_all_replicas():
    with pytest.raises(AssertionError, match="fused and alone"):
        check_layer(OneRateForAll, 4, per_replica={"rate": (0.1, 0.3, 0.8)})


def test_contract_finds_a_gradient_in_the_wrong_time_order():
    with pytest.raises(AssertionError, match="finite differences"):
        check_layer(WrongGradientOrder, 4, leading=SEQUENCES)


def test_the_correct_counterpart_of_the_wrong_layers_passes():
    check_layer(Identity, 4)


def test_relu_accepts_changing_dtypes():
    relu = Relu(Replicas([0]))
    for dtype in (np.float32, np.float64, np.float32):
        y = relu.forward(np.ones((1, 2, 3), dtype), train=False)
        assert y.dtype == dtype
        assert xp_of(y) is np

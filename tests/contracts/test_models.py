"""Every model passes its contract, and the contract finds the errors that a model can have."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from models.mlp import MLP
from searchlab.data import Batch, Examples, Spiral
from searchlab.errors import UserMistake
from searchlab.nn import (
    Affine,
    BatchNorm,
    Gelu,
    LayerNorm,
    LeakyRelu,
    MeanSquaredError,
    Model,
    Relu,
    Sequential,
    Sigmoid,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Tanh,
    lecun_uniform,
    random_normal,
)
from searchlab.replicas import Replicas
from searchlab.testing import check_gradients, check_model

RATES = {"dropout": (0.0, 0.3, 0.6)}
DATA = Spiral(points=10).training()


def build_mlp(**fixed):
    return lambda replicas, features, classes, **per_replica: MLP(replicas, features, classes, **fixed, **per_replica)


def wide_data(rows=40, features=17, classes=5):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, features)).astype(np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


@pytest.mark.parametrize("activation", [Relu, Sigmoid, Tanh])
@pytest.mark.parametrize("layers", [1, 3])
def test_mlp(activation, layers):
    check_model(build_mlp(hidden=6, layers=layers, activation=activation), DATA, per_replica=RATES)


@pytest.mark.parametrize("hidden", [(), (7,), (6, 4)])
def test_mlp_with_a_width_for_each_layer(hidden):
    check_model(build_mlp(hidden=hidden), DATA, per_replica=RATES if hidden else None)
    model = MLP(Replicas([0]), 2, 3, hidden=hidden)
    shapes = [parameter.value.shape[1:] for name, parameter in model.named_parameters() if name.endswith("W")]
    assert shapes == list(pairwise((2, *hidden, 3)))


def test_mlp_without_a_hidden_layer_is_softmax_regression():
    by_layers, by_widths = (MLP(Replicas([0]), 2, 3, **options) for options in ({"layers": 0}, {"hidden": ()}))
    assert [name for name, _ in by_layers.named_parameters()] == [name for name, _ in by_widths.named_parameters()]
    assert len(by_layers.named_parameters()) == 2


@pytest.mark.parametrize(
    "parts",
    [
        {"normalization": BatchNorm},
        {"normalization": LayerNorm},
        {"normalization": partial(BatchNorm, momentum=0.5), "activation": Gelu},
        {"activation": partial(LeakyRelu, slope=0.2), "initializer": lecun_uniform},
        {
            "activation": Tanh,
            "output": Tanh,
            "loss": MeanSquaredError,
            "initializer": partial(random_normal, scale=0.5),
        },
        {"loss": SigmoidCrossEntropy, "output": None},
        {"loss": partial(SoftmaxCrossEntropy, smoothing=0.1)},
    ],
    ids=lambda parts: "-".join(parts),
)
def test_mlp_of_different_parts(parts):
    check_model(build_mlp(hidden=(6, 5), **parts), DATA, per_replica=RATES)


def test_mlp_for_regression():
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    data = Examples(x, (x[:, :2] * 2.0).astype(np.float32), 2)
    check_model(build_mlp(hidden=6, loss=MeanSquaredError), data, per_replica=RATES)


@pytest.mark.parametrize("sizes", [{"hidden": 0}, {"hidden": (3, 0)}, {"layers": -1}, {"hidden": (3, 4), "layers": 2}])
def test_mlp_with_invalid_sizes_raises(sizes):
    with pytest.raises(UserMistake, match="MLP needs"):
        MLP(Replicas([0]), 2, 3, **sizes)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_mlp_on_wider_data_and_odd_batches(batch_size):
    check_model(build_mlp(hidden=9), wide_data(), per_replica=RATES, batch_size=batch_size)


class CorrectModel(Model):
    """A correct model: each wrong model below differs from it in one respect."""

    def __init__(self, replicas, features, classes):
        self.replicas = replicas
        self.layers = Sequential(Affine(replicas, features, 4), Tanh(replicas), Affine(replicas, 4, classes))
        self.loss = SoftmaxCrossEntropy(replicas)

    def forward(self, batch, carry=None, *, train):
        return self.loss.forward(self.layers.forward(batch.x, train=train), batch.y), None

    def backward(self):
        self.layers.backward_parameters(self.loss.backward())

    def predict(self, batch, carry=None):
        return self.layers.forward(batch.x, train=False), None


class OmitsALayersGradient(CorrectModel):
    def backward(self):
        self.layers.layers[-1].backward_parameters(self.loss.backward())


class SumsLoss(CorrectModel):
    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss * batch.y.shape[1], carry


class OneLossForAll(CorrectModel):
    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss.mean(keepdims=True), carry


class DrawsInPredict(CorrectModel):
    def predict(self, batch, carry=None):
        self.replicas.skip_draw()
        return super().predict(batch)


class PredictChangesWithCalls(CorrectModel):
    calls = 0

    def predict(self, batch, carry=None):
        self.calls += 1
        return super().predict(batch)[0] * np.float32(self.calls), None


class PredictsOneRow(CorrectModel):
    def predict(self, batch, carry=None):
        return super().predict(batch)[0][:, :1], None


class ReturnsFloat64(CorrectModel):
    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss.astype(np.float64), carry


class SpreadsDivergence(CorrectModel):
    """Adds nothing, times a sum over all replicas: harmless until one of them is NaN."""

    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss + np.float32(0.0) * loss.sum(), carry


class CentersOverReplicas(CorrectModel):
    def forward(self, batch, carry=None, *, train):
        scores = self.layers.forward(batch.x, train=train)
        return self.loss.forward(scores + scores.mean(axis=(0, 1), keepdims=True) * 1e-3, batch.y), None


class HidesArrays(CorrectModel):
    """A per-replica factor of the inputs is in a dictionary, where `select_replicas` does not look."""

    def __init__(self, replicas, features, classes):
        super().__init__(replicas, features, classes)
        self.hidden = {"factor": 1.0 + replicas.uniform(1, 1)}

    def forward(self, batch, carry=None, *, train):
        return super().forward(Batch(batch.x * self.hidden["factor"][: len(batch.x)], batch.y), train=train)


WRONG_MODELS = {
    OmitsALayersGradient: "finite differences",
    SumsLoss: "finite differences",
    OneLossForAll: "one number per replica|finite differences",
    DrawsInPredict: "predict draws",
    PredictChangesWithCalls: "predict called twice",
    PredictsOneRow: "predict gives scores",
    ReturnsFloat64: "the loss is float64",
    SpreadsDivergence: "while replica 1 diverges",
    CentersOverReplicas: "fused and alone|finite differences",
    HidesArrays: "survivors",
}


def test_the_correct_counterpart_of_the_wrong_models_passes():
    check_model(CorrectModel, DATA)


@pytest.mark.parametrize("model", WRONG_MODELS)
def test_contract_finds(model):
    with pytest.raises(AssertionError, match=WRONG_MODELS[model]):
        check_model(model, DATA)


def test_contract_needs_enough_rows():
    with pytest.raises(AssertionError, match="at least 4 batches"):
        check_model(CorrectModel, DATA, batch_size=20)


def test_check_gradients_works_without_a_data_set():
    generator = np.random.default_rng(0)
    batch = Batch(generator.standard_normal((2, 6, 3)), generator.integers(4, size=(2, 6)))
    check_gradients(lambda replicas: MLP(replicas, 3, 4, hidden=5, dropout=0.5), batch)
    check_gradients(
        lambda replicas, dropout: MLP(replicas, 3, 4, hidden=5, dropout=dropout),
        batch,
        per_replica={"dropout": (0.2, 0.6)},
    )
    with pytest.raises(AssertionError, match=r"gradient of layers\.layers\.0\.b .* replica \d"):
        check_gradients(lambda replicas: OmitsALayersGradient(replicas, 3, 4), batch)

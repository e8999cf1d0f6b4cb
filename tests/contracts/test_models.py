"""Every model passes its contract, and the contract catches the ways a model can be wrong."""

import numpy as np
import pytest

from models.mlp import Mlp
from searchlab.data import Batch, Examples, Spiral
from searchlab.nn import Affine, Chain, Model, Relu, Sigmoid, SoftmaxCrossEntropy, Tanh
from searchlab.testing import check_gradients, check_model

RATES = {"dropout": (0.0, 0.3, 0.6)}
TABLE = Spiral(points=10).training()


def mlp(**fixed):
    return lambda replicas, features, classes, **free: Mlp(replicas, features, classes, **fixed, **free)


def wide(rows=40, features=17, classes=5):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, features)).astype(np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


@pytest.mark.parametrize("activation", [Relu, Sigmoid, Tanh])
@pytest.mark.parametrize("layers", [1, 3])
def test_mlp(activation, layers):
    check_model(mlp(hidden=6, layers=layers, activation=activation), TABLE, per_replica=RATES)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_mlp_on_wider_data_and_odd_batches(batch_size):
    check_model(mlp(hidden=9), wide(), per_replica=RATES, batch_size=batch_size)


class Sound(Model):
    """The broken models below differ from it in one respect."""

    def __init__(self, replicas, features, classes):
        self.replicas = replicas
        self.layers = Chain(Affine(replicas, features, 4), Tanh(), Affine(replicas, 4, classes))
        self.loss = SoftmaxCrossEntropy()

    def forward(self, batch, carry=None, *, train):
        return self.loss.forward(self.layers.forward(batch.x, train=train), batch.y), None

    def backward(self):
        self.layers.backward_parameters(self.loss.backward())

    def predict(self, batch, carry=None):
        return self.layers.forward(batch.x, train=False), None


class ForgetsLayer(Sound):
    def backward(self):
        self.layers.layers[-1].backward_parameters(self.loss.backward())


class SumsLoss(Sound):
    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss * batch.y.shape[1], carry


class OneLossForAll(Sound):
    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss.mean(keepdims=True), carry


class DrawsInPredict(Sound):
    def predict(self, batch, carry=None):
        self.replicas.skip_draw()
        return super().predict(batch)


class RestlessPredict(Sound):
    calls = 0

    def predict(self, batch, carry=None):
        self.calls += 1
        return super().predict(batch)[0] * np.float32(self.calls), None


class PredictsOneRow(Sound):
    def predict(self, batch, carry=None):
        return super().predict(batch)[0][:, :1], None


class WidensLoss(Sound):
    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss.astype(np.float64), carry


class SpillsDivergence(Sound):
    """Adds nothing, times a sum over all replicas: harmless until one of them is NaN."""

    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        return loss + np.float32(0.0) * loss.sum(), carry


class CentresOverReplicas(Sound):
    def forward(self, batch, carry=None, *, train):
        scores = self.layers.forward(batch.x, train=train)
        return self.loss.forward(scores + scores.mean(axis=(0, 1), keepdims=True) * 1e-3, batch.y), None


class HidesFromKeep(Sound):
    """A per-replica factor on the inputs, in a dictionary where `keep` does not look."""

    def __init__(self, replicas, features, classes):
        super().__init__(replicas, features, classes)
        self.held = {"factor": 1.0 + replicas.uniform(1, 1)}

    def forward(self, batch, carry=None, *, train):
        return super().forward(Batch(batch.x * self.held["factor"][: len(batch.x)], batch.y), train=train)


BROKEN = {
    ForgetsLayer: "finite differences",
    SumsLoss: "finite differences",
    OneLossForAll: "one number per replica|finite differences",
    DrawsInPredict: "predict draws",
    RestlessPredict: "predict called twice",
    PredictsOneRow: "predict gives scores",
    WidensLoss: "the loss is float64",
    SpillsDivergence: "while replica 1 diverges",
    CentresOverReplicas: "fused and alone|finite differences",
    HidesFromKeep: "survivors",
}


def test_the_sound_twin_of_the_broken_models_passes():
    check_model(Sound, TABLE)


@pytest.mark.parametrize("model", BROKEN)
def test_contract_catches(model):
    with pytest.raises(AssertionError, match=BROKEN[model]):
        check_model(model, TABLE)


def test_contract_asks_for_enough_rows():
    with pytest.raises(AssertionError, match="at least 4 batches"):
        check_model(Sound, TABLE, batch_size=20)


def test_check_gradients_is_a_tool_of_its_own():
    generator = np.random.default_rng(0)
    batch = Batch(generator.standard_normal((2, 6, 3)), generator.integers(4, size=(2, 6)))
    check_gradients(lambda replicas: Mlp(replicas, 3, 4, hidden=5, dropout=0.5), batch)
    check_gradients(
        lambda replicas, dropout: Mlp(replicas, 3, 4, hidden=5, dropout=dropout),
        batch,
        per_replica={"dropout": (0.2, 0.6)},
    )
    with pytest.raises(AssertionError, match=r"gradient of layers\.layers\.0\.W .* replica \d"):
        check_gradients(lambda replicas: ForgetsLayer(replicas, 3, 4), batch)

"""Every recurrent layer passes its contract, and the contract catches the ways one can be wrong."""

import numpy as np
import pytest

import searchlab.nn as nn
from searchlab.nn import GRU, LSTM, RNN, Recurrent, lstm
from searchlab.replicas import Replicas
from searchlab.testing import check_recurrent

CASES = {kind: lambda kind=kind: check_recurrent(lambda replicas: kind(replicas, 3, 4), 3) for kind in (RNN, GRU, LSTM)}


@pytest.mark.parametrize("layer", CASES)
def test_contract(layer):
    CASES[layer]()


def test_every_exported_recurrent_layer_has_a_case():
    words = {word: getattr(nn, word) for word in nn.__all__}
    kinds = {word for word, kind in words.items() if isinstance(kind, type) and issubclass(kind, Recurrent)}
    assert kinds - {"Recurrent"} == {layer.__name__ for layer in CASES}


@pytest.mark.parametrize("layer", CASES)
def test_single_numbers_and_single_features(layer):
    check_recurrent(lambda replicas: layer(replicas, 1, 1), 1, windows=((1, 1), (3, 1)))


@pytest.mark.parametrize("moments", [1, 2, 3, 4])
def test_slopes_of_lstm_are_worked_out_some_moments_at_a_time(moments, monkeypatch):
    """Of five, so that the first part is often shorter than the others; alone, a replica has other parts than fused."""
    monkeypatch.setattr(lstm, "AT_ONCE", moments * 3 * 2 * 4 * 4)
    check_recurrent(lambda replicas: LSTM(replicas, 3, 4), 3, windows=((5, 2),))


def plain(x, layer, carry):
    """The layer of one replica as its paper writes it, moment by moment: the hidden states and the carry."""
    sigmoid = lambda z: 1.0 / (1.0 + np.exp(-z))  # noqa: E731
    Wx, Wh, b = (parameter.value[0] for parameter in (layer.Wx, layer.Wh, layer.b))
    h, *c = (state[0] for state in carry)
    H, states = layer.hidden, []
    for x_t in x[0]:
        z = x_t @ Wx + b
        if isinstance(layer, LSTM):
            o, i, f, g = np.split(z + h @ Wh, 4, axis=1)
            c = [sigmoid(f) * c[0] + sigmoid(i) * np.tanh(g)]
            h = sigmoid(o) * np.tanh(c[0])
        elif isinstance(layer, GRU):
            u, r = (sigmoid(part) for part in np.split(z[:, : 2 * H] + h @ Wh[:, : 2 * H], 2, axis=1))
            h = (1.0 - u) * h + u * np.tanh(z[:, 2 * H :] + (r * h) @ Wh[:, 2 * H :])
        else:
            h = np.tanh(z + h @ Wh)
        states.append(h)
    return np.stack(states), (h, *c)


@pytest.mark.parametrize("kind", CASES)
def test_values_are_those_of_the_paper(kind):
    generator, layer = np.random.default_rng(0), kind(Replicas([0], dtype=np.float64), 3, 4)
    layer.b.value += generator.standard_normal(layer.b.value.shape)
    carry = tuple(generator.standard_normal((1, 2, 4)) for _ in range(kind.states))
    x = generator.standard_normal((1, 5, 2, 3))
    h, end = layer.forward(x, carry, train=True)
    expected, last = plain(x, layer, carry)
    assert h[0] == pytest.approx(expected)
    for found, due in zip(end, last, strict=True):
        assert found[0] == pytest.approx(due)


@pytest.mark.parametrize("kind", CASES)
def test_work_arrays_are_used_again(kind):
    layer = kind(Replicas([0, 1]), 3, 4)
    x, dy = np.zeros((2, 5, 2, 3), np.float32), np.zeros((2, 5, 2, 4), np.float32)
    first = layer.forward(x, train=True)[0]
    layer.backward(dy)
    made = {name: id(array) for name, array in layer._made.items()}
    second = layer.forward(x, train=True)[0]
    layer.backward(dy)
    assert np.shares_memory(first, second)
    assert {name: id(array) for name, array in layer._made.items()} == made


class WrongSlope(RNN):
    def run_back(self, dy):
        dz = super().run_back(dy)
        dz *= 1.001
        return dz


class ForgetsCarry(RNN):
    def run(self, z, start):
        return super().run(z, tuple(np.zeros_like(state) for state in start))


class CarriesTheFirstState(RNN):
    def run(self, z, start):
        super().run(z, start)
        return (self._h[:, 0],)


class ChangesCarry(RNN):
    def run(self, z, start):
        start[0][...] *= 0.5
        return super().run(z, start)


class HandsOutItsWork(RNN):
    def _window(self, z, carry):
        h, _ = super()._window(z, carry)
        return h, (self._h[:, -1],)


class ChangesInput(RNN):
    def forward(self, x, carry=None, *, train):
        x *= 0.5
        return super().forward(x, carry, train=train)


class ChangesSlope(RNN):
    def run_back(self, dy):
        dy *= 0.5
        return super().run_back(dy)


class KeepsOldWeights(RNN):
    def transposed(self):
        self._turned = getattr(self, "_turned", self.Wh.value.swapaxes(1, 2).copy())
        return self._turned

    def keep_own(self, rows):
        super().keep_own(rows)
        self.__dict__.pop("_turned", None)


class ForgetsBiasOfRows(RNN):
    def forward_rows(self, table, ids, carry=None):
        b, self.b.value = self.b.value, np.zeros_like(self.b.value)
        told = super().forward_rows(table, ids, carry)
        self.b.value = b
        return told


class CountsRowsOnce(RNN):
    def backward_rows(self, dy):
        dz = self._learn(dy)
        drows = np.zeros((len(dz), self._x.shape[1], dz.shape[2]), dz.dtype)
        drows[np.arange(len(dz))[:, None], self._ids] = dz
        return self._learn_inputs(drows)


class TrainsOtherwise(RNN):
    def forward(self, x, carry=None, *, train):
        h, end = super().forward(x, carry, train=train)
        return (h if train else h * np.float32(0.5)), end


class MixesReplicas(RNN):
    def run_back(self, dy):
        dz = super().run_back(dy)
        dz += 1e-3 * dz.mean(axis=0)
        return dz


class SpillsNaN(RNN):
    def run(self, z, start):
        z += 0.0 * z.sum(axis=0)
        return super().run(z, start)


class RemembersNaN(RNN):
    """Adds nothing, times the work of the pass before."""

    def run(self, z, start):
        before = self._made.get("h")
        if before is not None and before.shape[1] == z.shape[1] + 1:
            z += 0.0 * before[:, 1:]
        return super().run(z, start)


class Widens(RNN):
    def backward(self, dy):
        return super().backward(dy).astype(np.float64)


class HidesFromKeep(RNN):
    def __init__(self, replicas, n_in, hidden):
        super().__init__(replicas, n_in, hidden)
        self.held = {"factor": replicas.normal(1, 1, 1)}

    def run(self, z, start):
        z *= self.held["factor"][: len(z)]
        return super().run(z, start)

    def run_back(self, dy):
        dz = super().run_back(dy)
        dz *= self.held["factor"][: len(dz)]
        return dz

    def learn_recurrent(self, before, dz):
        factor = self.held["factor"][: len(dz), 0]
        self.Wh.learn_product(before, dz / factor)


BROKEN = {
    WrongSlope: "finite differences",
    ForgetsCarry: "finite differences|two windows",
    CarriesTheFirstState: "two windows",
    ChangesCarry: "changed the carry",
    HandsOutItsWork: "a carry handed out",
    ChangesInput: "changed its input",
    ChangesSlope: "changed its dy",
    KeepsOldWeights: "after other windows|finite differences",
    ForgetsBiasOfRows: "by rows of a table",
    CountsRowsOnce: "by rows of a table",
    TrainsOtherwise: "in training and outside it",
    MixesReplicas: "finite differences|fused and alone",
    SpillsNaN: "with NaN in the input of replica 1",
    RemembersNaN: "after a pass with NaN",
    Widens: "the input's gradient is float64",
    HidesFromKeep: "survivors|finite differences",
}


@pytest.mark.parametrize("layer", BROKEN)
def test_contract_catches(layer):
    with pytest.raises(AssertionError, match=BROKEN[layer]):
        check_recurrent(lambda replicas: layer(replicas, 3, 4), 3)

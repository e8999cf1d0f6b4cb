"""Every recurrent layer passes its contract, and the contract finds the errors that one can have."""

import numpy as np
import pytest

import searchlab.nn as nn
from searchlab.nn import GRU, LSTM, RNN, RecurrentLayer, lstm
from searchlab.replicas import Replicas
from searchlab.testing import check_recurrent

CASES = (RNN, GRU, LSTM)


@pytest.mark.parametrize("layer", CASES)
def test_contract(layer):
    check_recurrent(lambda replicas: layer(replicas, 3, 4), 3)


def test_every_exported_recurrent_layer_has_a_case():
    exported = {getattr(nn, name) for name in nn.__all__}
    layers = {each for each in exported if isinstance(each, type) and issubclass(each, RecurrentLayer)}
    assert layers - {RecurrentLayer} == set(CASES)


@pytest.mark.parametrize("layer", CASES)
def test_single_numbers_and_single_features(layer):
    check_recurrent(lambda replicas: layer(replicas, 1, 1), 1, windows=((1, 1), (3, 1)))


@pytest.mark.parametrize("time_steps", [1, 2, 3, 4])
def test_lstm_with_several_chunks(time_steps, monkeypatch):
    """Of five time steps, so that the first chunk may be shorter; a replica alone has other chunks than fused."""
    monkeypatch.setattr(lstm, "CHUNK_GATE_VALUES", time_steps * 3 * 2 * 4 * 4)
    check_recurrent(lambda replicas: LSTM(replicas, 3, 4), 3, windows=((5, 2),))


def reference_forward(x, layer, carry):
    """Return the hidden states and the carry of one replica, computed step by step from the paper's equations."""
    sigmoid = lambda z: 1.0 / (1.0 + np.exp(-z))  # noqa: E731
    Wx, Wh, b = (parameter.value[0] for parameter in (layer.Wx, layer.Wh, layer.b))
    h, *c = (state[0] for state in carry)
    H, hidden_states = layer.hidden_size, []
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
        hidden_states.append(h)
    return np.stack(hidden_states), (h, *c)


@pytest.mark.parametrize("layer_class", CASES)
def test_values_are_those_of_the_paper(layer_class):
    generator, layer = np.random.default_rng(0), layer_class(Replicas([0], dtype=np.float64), 3, 4)
    layer.b.value += generator.standard_normal(layer.b.value.shape)
    carry = tuple(generator.standard_normal((1, 2, 4)) for _ in range(layer_class.num_states))
    x = generator.standard_normal((1, 5, 2, 3))
    h, end = layer.forward(x, carry, train=True)
    expected, expected_end = reference_forward(x, layer, carry)
    assert h[0] == pytest.approx(expected)
    for state, expected_state in zip(end, expected_end, strict=True):
        assert state[0] == pytest.approx(expected_state)


@pytest.mark.parametrize("layer_class", CASES)
def test_work_arrays_are_reused(layer_class):
    layer = layer_class(Replicas([0, 1]), 3, 4)
    x, dy = np.zeros((2, 5, 2, 3), np.float32), np.zeros((2, 5, 2, 4), np.float32)
    first = layer.forward(x, train=True)[0]
    layer.backward(dy)
    ids = {name: id(array) for name, array in layer._work_arrays.items()}
    second = layer.forward(x, train=True)[0]
    layer.backward(dy)
    assert np.shares_memory(first, second)
    assert {name: id(array) for name, array in layer._work_arrays.items()} == ids


class WrongGradient(RNN):
    def scan_backward(self, dy, d_end):
        dz = super().scan_backward(dy, d_end)
        dz *= 1.001
        return dz


class IgnoresCarry(RNN):
    def scan(self, z, start):
        return super().scan(z, tuple(np.zeros_like(state) for state in start))


class ReturnsTheFirstState(RNN):
    def scan(self, z, start):
        super().scan(z, start)
        return (self._h[:, 0],)


class ChangesCarry(RNN):
    def scan(self, z, start):
        start[0][...] *= 0.5
        return super().scan(z, start)


class ReturnsWorkArrayAsCarry(RNN):
    def _scan_window(self, z, carry):
        h, _ = super()._scan_window(z, carry)
        return h, (self._h[:, -1],)


class ChangesInput(RNN):
    def forward(self, x, carry=None, *, train, mask=None):
        x *= 0.5
        return super().forward(x, carry, train=train, mask=mask)


class ChangesDy(RNN):
    def scan_backward(self, dy, d_end):
        dy *= 0.5
        return super().scan_backward(dy, d_end)


class CachesTransposedWeights(RNN):
    def transposed_Wh(self):
        self._transposed = getattr(self, "_transposed", self.Wh.value.swapaxes(1, 2).copy())
        return self._transposed

    def _select_own(self, rows):
        super()._select_own(rows)
        self.__dict__.pop("_transposed", None)


class OmitsBiasInLookup(RNN):
    def forward_lookup(self, table, ids, carry=None):
        b, self.b.value = self.b.value, np.zeros_like(self.b.value)
        result = super().forward_lookup(table, ids, carry)
        self.b.value = b
        return result


class CountsRepeatedRowsOnce(RNN):
    def backward_lookup(self, dy):
        dz = self._scan_window_backward(dy, None)
        dprojected = np.zeros((len(dz), self._x.shape[1], dz.shape[2]), dz.dtype)
        dprojected[np.arange(len(dz))[:, None], self._ids] = dz
        return self._project_backward(dprojected)


class IgnoresTheEnd(LSTM):
    def scan_backward(self, dy, d_end):
        return super().scan_backward(dy, (*d_end[:1], np.zeros_like(d_end[1])) if d_end else None)


class ReturnsTheWrongStart(LSTM):
    def start_gradients(self):
        dh, dc = super().start_gradients()
        return dh, dc * 1.001


class ReadsPadding(RNN):
    def forward(self, x, carry=None, *, train, mask=None):
        return super().forward(x, carry, train=train)


class ChangesTheGradientOfTheCarry(RNN):
    def scan_backward(self, dy, d_end):
        if d_end is not None:
            d_end[0][...] *= 0.5
        return super().scan_backward(dy, d_end)


class DiffersInTraining(RNN):
    def forward(self, x, carry=None, *, train, mask=None):
        h, end = super().forward(x, carry, train=train, mask=mask)
        return (h if train else h * np.float32(0.5)), end


class MixesReplicas(RNN):
    def scan_backward(self, dy, d_end):
        dz = super().scan_backward(dy, d_end)
        dz += 1e-3 * dz.mean(axis=0)
        return dz


class SpreadsNaN(RNN):
    def scan(self, z, start):
        z += 0.0 * z.sum(axis=0)
        return super().scan(z, start)


class SpreadsOldNaN(RNN):
    """It adds 0 times the hidden states of the pass before."""

    def scan(self, z, start):
        before = self._work_arrays.get("h")
        if before is not None and before.shape[1] == z.shape[1] + 1:
            z += 0.0 * before[:, 1:]
        return super().scan(z, start)


class ReturnsFloat64Gradients(RNN):
    def backward(self, dy, d_end=None):
        return super().backward(dy, d_end).astype(np.float64)


class HidesArrays(RNN):
    """Its per-replica factors are in a dictionary, where `select_replicas` does not look."""

    def __init__(self, replicas, input_size, hidden_size):
        super().__init__(replicas, input_size, hidden_size)
        self.hidden = {"factor": replicas.normal(1, 1, 1)}

    def scan(self, z, start):
        z *= self.hidden["factor"][: len(z)]
        return super().scan(z, start)

    def scan_backward(self, dy, d_end):
        dz = super().scan_backward(dy, d_end)
        dz *= self.hidden["factor"][: len(dz)]
        return dz

    def start_gradients(self):
        return tuple(gradient / self.hidden["factor"][: len(gradient), 0] for gradient in super().start_gradients())

    def add_recurrent_gradient(self, h_before, dz):
        factor = self.hidden["factor"][: len(dz), 0]
        self.Wh.add_gradient_product(h_before, dz / factor)


WRONG_LAYERS = {
    WrongGradient: "finite differences",
    IgnoresCarry: "finite differences|two windows",
    ReturnsTheFirstState: "two windows|finite differences",
    ChangesCarry: "changed the carry",
    ReturnsWorkArrayAsCarry: "a carry that forward returned",
    ChangesInput: "changed its input",
    ChangesDy: "changed its dy",
    CachesTransposedWeights: "after other windows|finite differences",
    OmitsBiasInLookup: "by rows of a table",
    CountsRepeatedRowsOnce: "by rows of a table",
    IgnoresTheEnd: "with a gradient of the carry",
    ReturnsTheWrongStart: "array 1 of the carry before the window",
    ReadsPadding: "behind padding",
    ChangesTheGradientOfTheCarry: "changed dy or the gradient of the carry",
    DiffersInTraining: "with train=False and with train=True",
    MixesReplicas: "finite differences|fused and alone",
    SpreadsNaN: "with NaN in the input of replica 1",
    SpreadsOldNaN: "after a pass with NaN",
    ReturnsFloat64Gradients: "the input's gradient is float64",
    HidesArrays: "survivors|finite differences",
}


@pytest.mark.parametrize("layer", WRONG_LAYERS)
def test_contract_finds(layer):
    with pytest.raises(AssertionError, match=WRONG_LAYERS[layer]):
        check_recurrent(lambda replicas: layer(replicas, 3, 4), 3)

"""The recurrent language model passes its contract, and the contract catches the ways a carry can be wrong."""

import numpy as np
import pytest

from models.rnn_lm import CELLS, RnnLM
from searchlab.data import Batch, TokenStream, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn import Parameters
from searchlab.optim import Adam
from searchlab.replicas import Replicas
from searchlab.testing import check_model

WORDS = 7
RATES = {"dropout": (0.0, 0.3, 0.6)}


def stream(window, length=90, words=WORDS):
    ids = np.random.default_rng(0).integers(words, size=length)
    return TokenStream(ids, Vocabulary(tuple(f"w{n}" for n in range(words))), window)


def lm(**fixed):
    return lambda replicas, words, **free: RnnLM(replicas, words, hidden=4, embed=3, **fixed, **free)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("dropout", [RATES, None], ids=["dropout", "plain"])
def test_rnn_lm(cell, layers, tied, dropout):
    """Windows of 3 x 2 look each word up; those of 5 x 2 without dropout are longer than the vocabulary."""
    for window in (3, 5):
        build = lm(cell=cell, layers=layers, tied=tied)
        check_model(build, stream(window), per_replica=dropout, batch_size=2)


@pytest.mark.parametrize("cell", CELLS)
def test_rnn_lm_with_variational_dropout(cell):
    check_model(lm(cell=cell, layers=2, variational=True), stream(4), per_replica=RATES, batch_size=2)


def test_rnn_lm_of_more_words_than_the_slow_sum_serves():
    check_model(lm(), stream(3, words=200), per_replica=RATES, batch_size=2)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_rnn_lm_on_odd_batches(batch_size):
    check_model(lm(layers=2), stream(1), per_replica=RATES, batch_size=batch_size)


def test_tied_weights_are_one_parameter_of_the_hidden_size():
    tied, untied = (RnnLM(Replicas([0, 1]), WORDS, hidden=4, embed=3, tied=tied) for tied in (True, False))
    assert tied.output.W is tied.embedding.W
    assert tied.embedding.W.value.shape == (2, WORDS, 4)
    assert untied.embedding.W.value.shape == (2, WORDS, 3)
    assert "output.W" not in Parameters(tied.parameters()).named


def test_longer_windows_and_shorter_ones_take_turns():
    """Windows that look words up, windows that run over the table, and scores between two steps: no pass sees another.

    What a model says after other windows is what a new one with its weights says.
    """
    model = RnnLM(Replicas([0, 1]), WORDS, hidden=4, layers=2, embed=3)
    parameters, generator = Parameters(model.parameters()), np.random.default_rng(0)
    for T, train in [(3, True), (9, False), (9, True), (3, True), (5, True), (3, False), (3, True)]:
        ids = generator.integers(WORDS, size=(2, 2, T, 2))
        fresh = RnnLM(Replicas([0, 1]), WORDS, hidden=4, layers=2, embed=3)
        same = Parameters(fresh.parameters())
        same.values[...] = parameters.values
        losses = [one.forward(Batch(*ids), train=train)[0].copy() for one in (model, fresh)]
        assert (losses[0] == losses[1]).all()
        if train:
            for one, store in ((model, parameters), (fresh, same)):
                store.start_pass()
                one.backward()
            assert (parameters.grads == same.grads).all()
            parameters.values -= 0.5 * parameters.grads


@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_is_learned_by_heart(cell):
    ids = np.tile(np.arange(WORDS)[np.random.default_rng(0).permutation(WORDS)], 3)[:, None][None]
    model = RnnLM(replicas := Replicas([0]), WORDS, cell=cell, hidden=16, embed=8)
    parameters = Parameters(model.parameters())
    optimizer, batch = Adam(parameters, replicas, lr=0.03), Batch(ids[:, :-1], ids[:, 1:])
    for _ in range(60):
        loss, _ = model.forward(batch, train=True)
        parameters.start_pass()
        model.backward()
        optimizer.update()
    assert loss[0] < 0.1
    assert (model.predict(batch)[0].argmax(axis=-1) == batch.y)[:, 1:].all()


@pytest.mark.parametrize("sizes", [{"hidden": 0}, {"layers": 0}, {"embed": 0}, {"cell": "elman"}])
def test_rnn_lm_refuses_sizes_that_make_no_network(sizes):
    with pytest.raises(UserMistake, match="RnnLM"):
        RnnLM(Replicas([0]), WORDS, **sizes)


class ForgetsCarry(RnnLM):
    def _states(self, ids, carry, train):
        return super()._states(ids, None, train)


class CarriesAlong(RnnLM):
    """Its carry is one state further at each look."""

    def predict(self, batch, carry=None):
        scores, after = super().predict(batch, carry)
        if carry is not None:
            carry[0][0][...] = after[0][0]
        return scores, after


class CountsIgnored(RnnLM):
    def forward(self, batch, carry=None, *, train):
        return super().forward(Batch(batch.x, np.abs(batch.y)), carry, train=train)


class DividesByAll(RnnLM):
    """The mean over all targets, those that are ignored too."""

    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        self._share = (batch.y != -1).reshape(len(loss), -1).mean(axis=1).astype(loss.dtype)
        return loss * self._share, carry

    def backward(self):
        self.output._buffer *= self._share[:, None, None]
        super().backward()


class LearnsTheTieOnce(RnnLM):
    def __init__(self, replicas, words, **sizes):
        super().__init__(replicas, words, tied=True, **sizes)

    def backward(self):
        dx = self.cells[0].backward(self.output.backward())
        self.embedding.W.learning = False
        self.embedding.backward(dx)


BROKEN = {
    ForgetsCarry: "two batches, the carry handed on",
    CarriesAlong: "predict called twice with one carry",
    CountsIgnored: "asked in two parts",
    DividesByAll: "asked in two parts",
    LearnsTheTieOnce: "finite differences",
}


@pytest.mark.parametrize("model", BROKEN)
def test_contract_catches(model):
    with pytest.raises(AssertionError, match=BROKEN[model]):
        check_model(lambda replicas, words: model(replicas, words, hidden=4, embed=3), stream(3), batch_size=2)

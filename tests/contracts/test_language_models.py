"""The recurrent language model passes its contract, and the contract finds the errors that a carry can have."""

import numpy as np
import pytest

from models.rnn_lm import CELLS, RnnLM
from searchlab.data import Batch, TokenStream, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn import Parameters
from searchlab.optim import Adam
from searchlab.replicas import Replicas
from searchlab.testing import check_model

VOCABULARY_SIZE = 7
RATES = {"dropout": (0.0, 0.3, 0.6)}


def make_tokens(window, length=90, words=VOCABULARY_SIZE):
    ids = np.random.default_rng(0).integers(words, size=length)
    return TokenStream(ids, Vocabulary(tuple(f"w{n}" for n in range(words))), window)


def build_model(**fixed):
    return lambda replicas, words, **per_replica: RnnLM(replicas, words, hidden=4, embed=3, **fixed, **per_replica)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("dropout", [RATES, None], ids=["dropout", "plain"])
def test_rnn_lm(cell, layers, tied, dropout):
    """Windows of 3 x 2 embed each word; those of 5 x 2 without dropout have more inputs than words."""
    for window in (3, 5):
        build = build_model(cell=cell, layers=layers, tied=tied)
        check_model(build, make_tokens(window), per_replica=dropout, batch_size=2)


@pytest.mark.parametrize("cell", CELLS)
def test_rnn_lm_with_variational_dropout(cell):
    check_model(build_model(cell=cell, layers=2, variational=True), make_tokens(4), per_replica=RATES, batch_size=2)


def test_rnn_lm_with_a_large_vocabulary():
    check_model(build_model(), make_tokens(3, words=200), per_replica=RATES, batch_size=2)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_rnn_lm_on_odd_batches(batch_size):
    check_model(build_model(layers=2), make_tokens(1), per_replica=RATES, batch_size=batch_size)


def test_tied_weights_are_one_parameter_with_the_hidden_size():
    tied, untied = (RnnLM(Replicas([0, 1]), VOCABULARY_SIZE, hidden=4, embed=3, tied=tied) for tied in (True, False))
    assert tied.output.W is tied.embedding.W
    assert tied.embedding.W.value.shape == (2, VOCABULARY_SIZE, 4)
    assert untied.embedding.W.value.shape == (2, VOCABULARY_SIZE, 3)
    assert "output.W" not in Parameters(tied.named_parameters()).trainable


def test_windows_of_different_lengths_alternate():
    """Short windows embed each word, long ones use lookup, and some are only scored: no pass depends on another.

    A model that has processed other windows has the same losses and gradients as a new one with its weights.
    """
    model = RnnLM(Replicas([0, 1]), VOCABULARY_SIZE, hidden=4, layers=2, embed=3)
    parameters, generator = Parameters(model.named_parameters()), np.random.default_rng(0)
    for T, train in [(3, True), (9, False), (9, True), (3, True), (5, True), (3, False), (3, True)]:
        ids = generator.integers(VOCABULARY_SIZE, size=(2, 2, T, 2))
        new_model = RnnLM(Replicas([0, 1]), VOCABULARY_SIZE, hidden=4, layers=2, embed=3)
        new_parameters = Parameters(new_model.named_parameters())
        new_parameters.values[...] = parameters.values
        losses = [each.forward(Batch(*ids), train=train)[0].copy() for each in (model, new_model)]
        assert (losses[0] == losses[1]).all()
        if train:
            for each, its_parameters in ((model, parameters), (new_model, new_parameters)):
                its_parameters.reset_gradients()
                each.backward()
            assert (parameters.grads == new_parameters.grads).all()
            parameters.values -= 0.5 * parameters.grads


@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_is_memorized(cell):
    ids = np.tile(np.arange(VOCABULARY_SIZE)[np.random.default_rng(0).permutation(VOCABULARY_SIZE)], 3)[:, None][None]
    model = RnnLM(replicas := Replicas([0]), VOCABULARY_SIZE, cell=cell, hidden=16, embed=8)
    parameters = Parameters(model.named_parameters())
    optimizer, batch = Adam(parameters, replicas, lr=0.03), Batch(ids[:, :-1], ids[:, 1:])
    for _ in range(60):
        loss, _ = model.forward(batch, train=True)
        parameters.reset_gradients()
        model.backward()
        optimizer.update()
    assert loss[0] < 0.1
    assert (model.predict(batch)[0].argmax(axis=-1) == batch.y)[:, 1:].all()


@pytest.mark.parametrize("sizes", [{"hidden": 0}, {"layers": 0}, {"embed": 0}, {"cell": "elman"}])
def test_rnn_lm_with_invalid_arguments_raises(sizes):
    with pytest.raises(UserMistake, match="RnnLM"):
        RnnLM(Replicas([0]), VOCABULARY_SIZE, **sizes)


class IgnoresCarry(RnnLM):
    def _hidden_states(self, ids, carry, train):
        return super()._hidden_states(ids, None, train)


class ChangesCarry(RnnLM):
    """`predict` changes the carry that it is given."""

    def predict(self, batch, carry=None):
        scores, after = super().predict(batch, carry)
        if carry is not None:
            carry[0][0][...] = after[0][0]
        return scores, after


class CountsIgnoredTargets(RnnLM):
    def forward(self, batch, carry=None, *, train):
        return super().forward(Batch(batch.x, np.abs(batch.y)), carry, train=train)


class AveragesOverIgnoredTargets(RnnLM):
    """Its loss is the mean over all targets, including the ignored ones."""

    def forward(self, batch, carry=None, *, train):
        loss, carry = super().forward(batch, carry, train=train)
        self._counted_share = (batch.y != -1).reshape(len(loss), -1).mean(axis=1).astype(loss.dtype)
        return loss * self._counted_share, carry

    def backward(self):
        self.output._buffer *= self._counted_share[:, None, None]
        super().backward()


class DropsOneTiedGradient(RnnLM):
    def __init__(self, replicas, words, **sizes):
        super().__init__(replicas, words, tied=True, **sizes)

    def backward(self):
        dx = self.cells[0].backward(self.output.backward())
        self.embedding.W.has_gradient = False
        self.embedding.backward(dx)


WRONG_MODELS = {
    IgnoresCarry: "two batches with the carry",
    ChangesCarry: "predict called twice with one carry",
    CountsIgnoredTargets: "scored in two parts",
    AveragesOverIgnoredTargets: "scored in two parts",
    DropsOneTiedGradient: "finite differences",
}


@pytest.mark.parametrize("model", WRONG_MODELS)
def test_contract_finds(model):
    with pytest.raises(AssertionError, match=WRONG_MODELS[model]):
        check_model(lambda replicas, words: model(replicas, words, hidden=4, embed=3), make_tokens(3), batch_size=2)

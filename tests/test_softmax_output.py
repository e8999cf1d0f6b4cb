"""The two ends of a network over words: values by hand, ignored targets, tied weights, and gradients that add up."""

import numpy as np
import pytest

from searchlab.backend import FEW_ROWS
from searchlab.data.batch import IGNORED
from searchlab.nn import Embedding, Parameter, Parameters, SoftmaxOutput, softmax_output
from searchlab.replicas import Replicas
from searchlab.testing.gradients import agrees

SEEDS = (3, 14, 15)
H, V = 4, 6
LEADING = [(5,), (3, 2), (1, 1)]


def replicas(rows=SEEDS, dtype=np.float64):
    return Replicas(rows, dtype=dtype)


def problem(leading=(3, 2), count=V, seed=0):
    """h (R, ..., H), and targets of which every third of the first replica and all of the last are ignored."""
    generator = np.random.default_rng(seed)
    h = generator.standard_normal((3, *leading, H))
    targets = generator.integers(count, size=(3, *leading))
    targets[0].reshape(-1)[1::3] = IGNORED
    targets[2] = IGNORED
    return h, targets


def plain(h, W, b, targets):
    """The mean loss of one replica and its slopes by h, W and b, target by target."""
    asked = [at for at in np.ndindex(targets.shape) if targets[at] != IGNORED]
    loss, dh, dW, db = 0.0, np.zeros_like(h), np.zeros_like(W), np.zeros_like(b)
    for at in asked:
        scores = W @ h[at] + b[0]
        probability = np.exp(scores - scores.max())
        probability /= probability.sum()
        loss -= np.log(probability[targets[at]]) / len(asked)
        slope = probability.copy()
        slope[targets[at]] -= 1.0
        slope /= len(asked)
        dh[at] += slope @ W
        dW += np.outer(slope, h[at])
        db[0] += slope
    return loss, dh, dW, db


def output(count=V, dtype=np.float64, rows=SEEDS):
    layer = SoftmaxOutput(replicas(rows, dtype), H, count)
    parameters = Parameters(layer.parameters())
    parameters.values += np.random.default_rng(1).standard_normal((3, parameters.count))[: len(rows)].astype(dtype)
    return layer, parameters


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("at_once", [1, 2 * V, 7 * V, 2**17])
def test_losses_and_slopes_are_those_of_softmax_cross_entropy(leading, at_once, monkeypatch):
    monkeypatch.setattr(softmax_output, "AT_ONCE", at_once)  # a row, some rows, a replica and more, or all at once
    layer, _ = output()
    h, targets = problem(leading)
    for _ in range(2):  # the second pass finds the first one's work
        loss = layer.forward(h, targets, train=True)
        dh = layer.backward()
        for r in range(3):
            due = plain(h[r], layer.W.value[r], layer.b.value[r], targets[r])
            for found, expected in zip((loss[r], dh[r], layer.W.grad[r], layer.b.grad[r]), due, strict=True):
                assert found == pytest.approx(expected)
    assert loss[2] == 0.0
    assert not dh[2].any()
    assert layer.forward(h, targets, train=False) == pytest.approx(loss)
    assert (loss.shape, dh.shape) == ((3,), h.shape)


@pytest.mark.parametrize("leading", LEADING)
def test_gradients_agree_with_finite_differences(leading):
    layer, _ = output()
    h, targets = problem(leading)
    layer.forward(h, targets, train=True)
    dh = layer.backward().copy()
    found = {"h": (h, dh), "W": (layer.W.value, layer.W.grad.copy()), "b": (layer.b.value, layer.b.grad.copy())}
    for name, (value, gradient) in found.items():
        for train in (True, False):
            agrees(lambda train=train: layer.forward(h, targets, train=train), value, gradient, name)


def test_scores_are_the_logits():
    layer, _ = output()
    h, _ = problem()
    due = h @ layer.W.value.swapaxes(1, 2)[:, None] + layer.b.value[:, None]
    assert layer.scores(h) == pytest.approx(due)


def test_parts_are_of_some_replicas_or_of_some_rows(monkeypatch):
    scores = np.empty((5, 4, 10), np.float32)
    for at_once in (1, 10, 35, 40, 85, 10_000):
        monkeypatch.setattr(softmax_output, "AT_ONCE", at_once)
        seen = np.zeros((5, 4), int)
        for part in softmax_output._parts(scores):
            seen[part] += 1
            assert scores[part].size <= max(at_once, 10)
            assert scores[part].flags.c_contiguous
        assert (seen == 1).all()


@pytest.mark.parametrize("at_once", [1, 8 * V, 2**17])
def test_a_replica_alone_says_the_same(at_once, monkeypatch):
    monkeypatch.setattr(softmax_output, "AT_ONCE", at_once)
    h, targets = problem()
    h = h.astype(np.float32)
    together, store = output(dtype=np.float32)
    loss = together.forward(h, targets, train=True)
    dh = together.backward()
    for r in range(3):
        alone, own = output(dtype=np.float32)
        alone.keep(np.array([r]))
        own.keep(np.array([r]))
        one = slice(r, r + 1)
        assert alone.forward(h[one], targets[one], train=True).tobytes() == loss[one].tobytes()
        assert alone.backward().tobytes() == dh[one].tobytes()
        assert own.grads.tobytes() == store.grads[one].tobytes()


def test_float32_stays_and_what_is_given_is_left_alone():
    layer, parameters = output(dtype=np.float32)
    h, targets = problem()
    h = h.astype(np.float32)
    before = h.copy(), targets.copy()
    loss = layer.forward(h, targets, train=True)
    dh = layer.backward()
    assert {array.dtype for array in (loss, dh, parameters.grads, layer.scores(h))} == {np.dtype(np.float32)}
    assert (h == before[0]).all()
    assert (targets == before[1]).all()


def test_windows_of_changing_shape():
    layer, parameters = output()
    for leading in [(3, 2), (5, 4), (3, 2), (1, 1), (3, 2)]:
        h, targets = problem(leading)
        fresh, store = output()
        losses = [one.forward(h, targets, train=True) for one in (layer, fresh)]
        slopes = [one.backward() for one in (layer, fresh)]
        assert (losses[0] == losses[1]).all()
        assert (slopes[0] == slopes[1]).all()
        assert (parameters.grads == store.grads).all()
        assert (layer.scores(h) == fresh.scores(h)).all()


def test_the_scores_are_written_once():
    layer, _ = output()
    h, targets = problem()
    layer.forward(h, targets, train=True)
    buffer = layer._buffer
    layer.backward()
    layer.forward(h, targets, train=True)
    assert layer._buffer is buffer
    assert np.shares_memory(layer.scores(h), buffer)


def test_survivors_forget_the_scores_of_the_others():
    layer, parameters = output()
    h, targets = problem()
    loss = layer.forward(h, targets, train=True)
    rows = np.array([2, 0])
    layer.keep(rows)
    parameters.keep(rows)
    assert layer._buffer.size == 0
    assert (layer.forward(h[rows], targets[rows], train=True) == loss[rows]).all()


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_huge_scores_do_not_overflow(scale):
    layer, parameters = output(dtype=np.float32)
    layer.W.value[...] = scale * np.sign(layer.W.value)
    h, targets = problem()
    with np.errstate(under="ignore"):
        loss = layer.forward(h.astype(np.float32), targets, train=True)
        dh = layer.backward()
    assert np.isfinite(loss).all()
    assert np.isfinite(dh).all()
    assert np.isfinite(parameters.grads).all()


def test_nan_stays_in_its_lane():
    h, targets = problem()
    clean, store = output()
    clean.forward(h, targets, train=True)
    dh, grads = clean.backward(), store.grads.copy()
    sick, store = output()
    h = h.copy()
    h[1] = np.nan
    with np.errstate(all="ignore"):
        assert np.isnan(sick.forward(h, targets, train=True)).tolist() == [False, True, False]
        assert (sick.backward()[[0, 2]] == dh[[0, 2]]).all()
    assert (store.grads[[0, 2]] == grads[[0, 2]]).all()


@pytest.mark.parametrize("count", [V, FEW_ROWS + 3])
def test_an_embedding_hands_each_word_its_vector(count):
    layer = Embedding(replicas(), count, H)
    parameters = Parameters(layer.parameters())
    ids = np.random.default_rng(0).integers(count, size=(3, 4, 5))
    y = layer.forward(ids, train=True)
    assert y.shape == (3, 4, 5, H)
    for at in np.ndindex(3, 4, 5):
        assert (y[at] == layer.W.value[at[0], ids[at]]).all()
    dy = np.random.default_rng(1).standard_normal(y.shape)
    due = np.zeros_like(layer.W.value)
    np.add.at(due, (np.arange(3)[:, None, None], ids), dy)
    parameters.grads[...] = 7.0
    for _ in range(2):  # and the second pass replaces the first one's gradient
        parameters.start_pass()
        layer.backward(dy)
        assert layer.W.grad == pytest.approx(due)
    agrees(
        lambda: (layer.forward(ids, train=True) * dy).reshape(3, -1).sum(axis=1),
        layer.W.value,
        layer.W.grad.copy(),
        "W",
    )


def test_an_embedding_of_one_replica_or_of_survivors():
    ids = np.random.default_rng(0).integers(V, size=(3, 4, 5))
    layer = Embedding(replicas(dtype=np.float32), V, H)
    parameters = Parameters(layer.parameters())
    y, rows = layer.forward(ids, train=True), np.array([2, 0])
    alone = Embedding(replicas(SEEDS[1:2], np.float32), V, H)
    assert (alone.forward(ids[1:2], train=True) == y[1:2]).all()
    layer.keep(rows)
    parameters.keep(rows)
    assert (layer.forward(ids[rows], train=False) == y[rows]).all()
    assert y.dtype == np.float32


@pytest.mark.parametrize("count", [V, FEW_ROWS + 3])
@pytest.mark.parametrize("first", ["output", "embedding"])
def test_tied_weights_learn_the_sum(first, count):
    """Whichever of the two goes first in the backward pass."""
    both = replicas()
    embedding = Embedding(both, count, H)
    tied = SoftmaxOutput(both, H, count, tied=embedding.W)
    parameters = Parameters([*embedding.parameters(), *tied.parameters()])
    assert parameters.count == count * H + count
    apart = SoftmaxOutput(both, H, count)
    Parameters(apart.parameters())
    apart.W.value[...] = embedding.W.value
    h, targets = problem(count=count)
    ids = np.random.default_rng(2).integers(count, size=(3, 4, 2))
    dy = np.random.default_rng(3).standard_normal((3, 4, 2, H))
    due = np.zeros_like(embedding.W.value)
    np.add.at(due, (np.arange(3)[:, None, None], ids), dy)
    apart.forward(h, targets, train=True)
    apart.backward()
    due += apart.W.grad
    for _ in range(2):
        embedding.forward(ids, train=True)
        tied.forward(h, targets, train=True)
        parameters.start_pass()
        if first == "output":
            tied.backward()
        embedding.backward(dy)
        if first == "embedding":
            tied.backward()
        assert embedding.W.grad == pytest.approx(due)


@pytest.mark.parametrize("ways", [("learn", "rows"), ("rows", "learn"), ("rows", "rows"), ("product", "rows")])
@pytest.mark.parametrize("shared", [False, True])
def test_what_a_shared_parameter_learns_adds_up_within_a_pass(ways, shared):
    parameter = Parameter(np.zeros((2, 3, 2)))
    parameters = Parameters([("a", parameter), ("b", parameter)] if shared else [("a", parameter)])
    generator = np.random.default_rng(0)
    gradient = {
        "learn": generator.standard_normal((2, 3, 2)),
        "rows": np.zeros((2, 3, 2)),
        "product": np.zeros((2, 3, 2)),
    }
    rows, values = np.array([[0, 2, 0], [1, 1, 1]]), generator.standard_normal((2, 3, 2))
    np.add.at(gradient["rows"], (np.arange(2)[:, None], rows), values)
    a, b = generator.standard_normal((2, 3, 4)), generator.standard_normal((2, 4, 2))
    gradient["product"] = a @ b
    teach = {
        "learn": lambda: parameter.learn(gradient["learn"]),
        "rows": lambda: parameter.learn_rows(rows, values),
        "product": lambda: parameter.learn_product(a, b),
    }
    parameters.grads[...] = np.nan  # nothing of what was there before a pass counts
    for _ in range(2):
        parameters.start_pass()
        for way in ways:
            teach[way]()
        due = sum(gradient[way] for way in ways) if shared else gradient[ways[-1]]
        assert parameter.grad == pytest.approx(due)

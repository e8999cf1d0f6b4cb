"""SoftmaxOutput and Embedding: values computed by hand, ignored targets, tied weights, and accumulated gradients."""

import numpy as np
import pytest

from searchlab.backend import ONE_HOT_MAX_ROWS
from searchlab.data.batch import IGNORED
from searchlab.nn import Embedding, Parameter, Parameters, SoftmaxOutput, softmax_output
from searchlab.replicas import Replicas
from searchlab.testing.gradients import assert_gradient

SEEDS = (3, 14, 15)
H, V = 4, 6
LEADING = [(5,), (3, 2), (1, 1)]


def make_replicas(rows=SEEDS, dtype=np.float64):
    return Replicas(rows, dtype=dtype)


def make_batch(leading=(3, 2), count=V, seed=0):
    """Return h (R, ..., H), and targets: every third of the first replica and all of the last are ignored."""
    generator = np.random.default_rng(seed)
    h = generator.standard_normal((3, *leading, H))
    targets = generator.integers(count, size=(3, *leading))
    targets[0].reshape(-1)[1::3] = IGNORED
    targets[2] = IGNORED
    return h, targets


def reference_loss(h, W, b, targets):
    """Return the mean loss of one replica and its gradients by h, W and b, computed target by target."""
    counted = [at for at in np.ndindex(targets.shape) if targets[at] != IGNORED]
    loss, dh, dW, db = 0.0, np.zeros_like(h), np.zeros_like(W), np.zeros_like(b)
    for at in counted:
        scores = W @ h[at] + b[0]
        probability = np.exp(scores - scores.max())
        probability /= probability.sum()
        loss -= np.log(probability[targets[at]]) / len(counted)
        dscores = probability.copy()
        dscores[targets[at]] -= 1.0
        dscores /= len(counted)
        dh[at] += dscores @ W
        dW += np.outer(dscores, h[at])
        db[0] += dscores
    return loss, dh, dW, db


def make_output(count=V, dtype=np.float64, rows=SEEDS):
    layer = SoftmaxOutput(make_replicas(rows, dtype), H, count)
    parameters = Parameters(layer.named_parameters())
    parameters.values += np.random.default_rng(1).standard_normal((3, parameters.count))[: len(rows)].astype(dtype)
    return layer, parameters


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("chunk", [1, 2 * V, 7 * V, 2**17])
def test_losses_and_gradients_are_those_of_softmax_cross_entropy(leading, chunk, monkeypatch):
    monkeypatch.setattr(softmax_output, "CHUNK_SCORES", chunk)  # a row, some rows, over a replica, or all in one chunk
    layer, _ = make_output()
    h, targets = make_batch(leading)
    for _ in range(2):  # the second pass reuses the arrays of the first
        loss = layer.forward(h, targets, train=True)
        dh = layer.backward()
        for r in range(3):
            expected = reference_loss(h[r], layer.W.value[r], layer.b.value[r], targets[r])
            for actual, reference in zip((loss[r], dh[r], layer.W.grad[r], layer.b.grad[r]), expected, strict=True):
                assert actual == pytest.approx(reference)
    assert loss[2] == 0.0
    assert not dh[2].any()
    assert layer.forward(h, targets, train=False) == pytest.approx(loss)
    assert (loss.shape, dh.shape) == ((3,), h.shape)


@pytest.mark.parametrize("leading", LEADING)
def test_gradients_agree_with_finite_differences(leading):
    layer, _ = make_output()
    h, targets = make_batch(leading)
    layer.forward(h, targets, train=True)
    dh = layer.backward().copy()
    pairs = {"h": (h, dh), "W": (layer.W.value, layer.W.grad.copy()), "b": (layer.b.value, layer.b.grad.copy())}
    for name, (value, gradient) in pairs.items():
        for train in (True, False):
            assert_gradient(lambda train=train: layer.forward(h, targets, train=train), value, gradient, name)


def test_scores_are_the_logits():
    layer, _ = make_output()
    h, _ = make_batch()
    expected = h @ layer.W.value.swapaxes(1, 2)[:, None] + layer.b.value[:, None]
    assert layer.scores(h) == pytest.approx(expected)


def test_chunks_cover_the_scores_once_and_are_contiguous(monkeypatch):
    scores = np.empty((5, 4, 10), np.float32)
    for chunk in (1, 10, 35, 40, 85, 10_000):
        monkeypatch.setattr(softmax_output, "CHUNK_SCORES", chunk)
        counts = np.zeros((5, 4), int)
        for part in softmax_output._chunks(scores):
            counts[part] += 1
            assert scores[part].size <= max(chunk, 10)
            assert scores[part].flags.c_contiguous
        assert (counts == 1).all()


@pytest.mark.parametrize("chunk", [1, 8 * V, 2**17])
def test_fused_equals_alone(chunk, monkeypatch):
    monkeypatch.setattr(softmax_output, "CHUNK_SCORES", chunk)
    h, targets = make_batch()
    h = h.astype(np.float32)
    fused, fused_parameters = make_output(dtype=np.float32)
    loss = fused.forward(h, targets, train=True)
    dh = fused.backward()
    for r in range(3):
        alone, parameters = make_output(dtype=np.float32)
        alone.select_replicas(np.array([r]))
        parameters.select_replicas(np.array([r]))
        row = slice(r, r + 1)
        assert alone.forward(h[row], targets[row], train=True).tobytes() == loss[row].tobytes()
        assert alone.backward().tobytes() == dh[row].tobytes()
        assert parameters.grads.tobytes() == fused_parameters.grads[row].tobytes()


def test_float32_stays_float32_and_inputs_are_not_changed():
    layer, parameters = make_output(dtype=np.float32)
    h, targets = make_batch()
    h = h.astype(np.float32)
    copies = h.copy(), targets.copy()
    loss = layer.forward(h, targets, train=True)
    dh = layer.backward()
    assert {array.dtype for array in (loss, dh, parameters.grads, layer.scores(h))} == {np.dtype(np.float32)}
    assert (h == copies[0]).all()
    assert (targets == copies[1]).all()


def test_window_shapes_may_change():
    layer, parameters = make_output()
    for leading in [(3, 2), (5, 4), (3, 2), (1, 1), (3, 2)]:
        h, targets = make_batch(leading)
        new_layer, new_parameters = make_output()
        losses = [output.forward(h, targets, train=True) for output in (layer, new_layer)]
        gradients = [output.backward() for output in (layer, new_layer)]
        assert (losses[0] == losses[1]).all()
        assert (gradients[0] == gradients[1]).all()
        assert (parameters.grads == new_parameters.grads).all()
        assert (layer.scores(h) == new_layer.scores(h)).all()


def test_one_buffer_holds_scores_and_gradients():
    layer, _ = make_output()
    h, targets = make_batch()
    layer.forward(h, targets, train=True)
    buffer = layer._buffer
    layer.backward()
    layer.forward(h, targets, train=True)
    assert layer._buffer is buffer
    assert np.shares_memory(layer.scores(h), buffer)


def test_selecting_replicas_discards_the_buffer():
    layer, parameters = make_output()
    h, targets = make_batch()
    loss = layer.forward(h, targets, train=True)
    rows = np.array([2, 0])
    layer.select_replicas(rows)
    parameters.select_replicas(rows)
    assert layer._buffer.size == 0
    assert (layer.forward(h[rows], targets[rows], train=True) == loss[rows]).all()


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_huge_scores_do_not_overflow(scale):
    layer, parameters = make_output(dtype=np.float32)
    layer.W.value[...] = scale * np.sign(layer.W.value)
    h, targets = make_batch()
    with np.errstate(under="ignore"):
        loss = layer.forward(h.astype(np.float32), targets, train=True)
        dh = layer.backward()
    assert np.isfinite(loss).all()
    assert np.isfinite(dh).all()
    assert np.isfinite(parameters.grads).all()


def test_nan_stays_in_its_replica():
    h, targets = make_batch()
    layer, parameters = make_output()
    layer.forward(h, targets, train=True)
    dh, grads = layer.backward(), parameters.grads.copy()
    nan_layer, nan_parameters = make_output()
    h = h.copy()
    h[1] = np.nan
    with np.errstate(all="ignore"):
        assert np.isnan(nan_layer.forward(h, targets, train=True)).tolist() == [False, True, False]
        assert (nan_layer.backward()[[0, 2]] == dh[[0, 2]]).all()
    assert (nan_parameters.grads[[0, 2]] == grads[[0, 2]]).all()


@pytest.mark.parametrize("count", [V, ONE_HOT_MAX_ROWS + 3])
def test_embedding_returns_the_vector_of_each_id(count):
    layer = Embedding(make_replicas(), count, H)
    parameters = Parameters(layer.named_parameters())
    ids = np.random.default_rng(0).integers(count, size=(3, 4, 5))
    y = layer.forward(ids, train=True)
    assert y.shape == (3, 4, 5, H)
    for at in np.ndindex(3, 4, 5):
        assert (y[at] == layer.W.value[at[0], ids[at]]).all()
    dy = np.random.default_rng(1).standard_normal(y.shape)
    expected = np.zeros_like(layer.W.value)
    np.add.at(expected, (np.arange(3)[:, None, None], ids), dy)
    parameters.grads[...] = 7.0
    for _ in range(2):  # the second pass replaces the gradient of the first
        parameters.reset_gradients()
        layer.backward(dy)
        assert layer.W.grad == pytest.approx(expected)
    assert_gradient(
        lambda: (layer.forward(ids, train=True) * dy).reshape(3, -1).sum(axis=1),
        layer.W.value,
        layer.W.grad.copy(),
        "W",
    )


def test_embedding_of_one_replica_and_of_selected_replicas():
    ids = np.random.default_rng(0).integers(V, size=(3, 4, 5))
    layer = Embedding(make_replicas(dtype=np.float32), V, H)
    parameters = Parameters(layer.named_parameters())
    y, rows = layer.forward(ids, train=True), np.array([2, 0])
    alone = Embedding(make_replicas(SEEDS[1:2], np.float32), V, H)
    assert (alone.forward(ids[1:2], train=True) == y[1:2]).all()
    layer.select_replicas(rows)
    parameters.select_replicas(rows)
    assert (layer.forward(ids[rows], train=False) == y[rows]).all()
    assert y.dtype == np.float32


def test_tied_weights_decay_and_those_of_an_embedding_alone_do_not():
    replicas = make_replicas()
    alone, shared = Embedding(replicas, 5, H), Embedding(replicas, 5, H)
    output = SoftmaxOutput(replicas, H, 5, tied_weight=shared.W)
    for module, decays in ((alone, False), (output, True)):
        parameters = Parameters(module.named_parameters())
        parameters.reset_gradients()
        parameters.add_l2_gradient(replicas.full(value=0.5).reshape(-1))
        assert module.W.grad.any() == decays


@pytest.mark.parametrize("count", [V, ONE_HOT_MAX_ROWS + 3])
@pytest.mark.parametrize("first", ["output", "embedding"])
def test_tied_weights_accumulate_both_gradients(first, count):
    """The order of the two backward passes makes no difference."""
    replicas = make_replicas()
    embedding = Embedding(replicas, count, H)
    tied = SoftmaxOutput(replicas, H, count, tied_weight=embedding.W)
    parameters = Parameters([*embedding.named_parameters(), *tied.named_parameters()])
    assert parameters.count == count * H + count
    untied = SoftmaxOutput(replicas, H, count)
    Parameters(untied.named_parameters())
    untied.W.value[...] = embedding.W.value
    h, targets = make_batch(count=count)
    ids = np.random.default_rng(2).integers(count, size=(3, 4, 2))
    dy = np.random.default_rng(3).standard_normal((3, 4, 2, H))
    expected = np.zeros_like(embedding.W.value)
    np.add.at(expected, (np.arange(3)[:, None, None], ids), dy)
    untied.forward(h, targets, train=True)
    untied.backward()
    expected += untied.W.grad
    for _ in range(2):
        embedding.forward(ids, train=True)
        tied.forward(h, targets, train=True)
        parameters.reset_gradients()
        if first == "output":
            tied.backward()
        embedding.backward(dy)
        if first == "embedding":
            tied.backward()
        assert embedding.W.grad == pytest.approx(expected)


@pytest.mark.parametrize("kinds", [("array", "rows"), ("rows", "array"), ("rows", "rows"), ("product", "rows")])
@pytest.mark.parametrize("shared", [False, True])
def test_gradients_of_a_shared_parameter_accumulate_within_a_pass(kinds, shared):
    parameter = Parameter(np.zeros((2, 3, 2)))
    parameters = Parameters([("a", parameter), ("b", parameter)] if shared else [("a", parameter)])
    assert parameter.is_shared == shared
    generator = np.random.default_rng(0)
    gradient = {
        "array": generator.standard_normal((2, 3, 2)),
        "rows": np.zeros((2, 3, 2)),
        "product": np.zeros((2, 3, 2)),
    }
    rows, values = np.array([[0, 2, 0], [1, 1, 1]]), generator.standard_normal((2, 3, 2))
    np.add.at(gradient["rows"], (np.arange(2)[:, None], rows), values)
    a, b = generator.standard_normal((2, 3, 4)), generator.standard_normal((2, 4, 2))
    gradient["product"] = a @ b
    add_gradient = {
        "array": lambda: parameter.add_gradient(gradient["array"]),
        "rows": lambda: parameter.add_gradient_rows(rows, values),
        "product": lambda: parameter.add_gradient_product(a, b),
    }
    parameters.grads[...] = np.nan  # each pass replaces the gradients of the one before
    for _ in range(2):
        parameters.reset_gradients()
        for kind in kinds:
            add_gradient[kind]()
        expected = sum(gradient[kind] for kind in kinds) if shared else gradient[kinds[-1]]
        assert parameter.grad == pytest.approx(expected)

"""Attention against a loop over rows and time steps, with sources of unequal lengths, in float64."""

import numpy as np
import pytest

from searchlab.nn import Attention, Parameters
from searchlab.replicas import Replicas
from searchlab.testing.gradients import assert_gradient

R, T, S, B, H = 3, 4, 6, 5, 3
SCORES = ("dot", "scaled", "general", "additive")


def problem(score):
    replicas, generator = Replicas([1, 2, 3], dtype=np.float64), np.random.default_rng(0)
    layer = Attention(replicas, H, score=score)
    queries, states = generator.standard_normal((R, T, B, H)), generator.standard_normal((R, S, B, H))
    mask = np.arange(S)[:, None] < generator.integers(1, S + 1, size=(R, 1, B))
    return layer, queries, states, mask, generator.standard_normal(queries.shape)


def score_of(layer, h, s, r):
    if layer.score == "additive":
        return np.tanh(h @ layer.W.W.value[r] + s @ layer.U.W.value[r]) @ layer.v.value[r][:, 0]
    if layer.score == "general":
        return h @ layer.W.W.value[r] @ s
    return h @ s / (np.sqrt(H) if layer.score == "scaled" else 1.0)


@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize("score", SCORES)
def test_means_are_weighted_by_the_softmax_of_the_scores_over_real_places(score, is_masked):
    layer, queries, states, mask, _ = problem(score)
    means = layer.forward(queries, states, mask if is_masked else None)
    mask = mask if is_masked else np.ones_like(mask)
    for r, t, b in np.ndindex(R, T, B):
        real = np.flatnonzero(mask[r, :, b])
        exponentials = np.exp([score_of(layer, queries[r, t, b], states[r, s, b], r) for s in real])
        weights = exponentials / exponentials.sum()
        assert layer.weights[r, b, t, real] == pytest.approx(weights)
        assert not layer.weights[r, b, t, np.flatnonzero(~mask[r, :, b])].any()
        assert means[r, t, b] == pytest.approx(weights @ states[r, real, b])


@pytest.mark.parametrize("score", SCORES)
def test_gradients_agree_with_finite_differences(score):
    layer, queries, states, mask, dy = problem(score)
    named = layer.named_parameters()
    parameters = Parameters(named) if named else None

    def loss():
        return (layer.forward(queries, states, mask) * dy).reshape(R, -1).sum(axis=1)

    for _ in range(2):  # the second pass replaces the gradients of the first
        loss()
        dqueries, dstates = (gradient.copy() for gradient in layer.backward(dy))
    assert not dstates[~mask].any()
    gradients = {name: parameter.grad.copy() for name, parameter in parameters.trainable.items()} if named else {}
    assert_gradient(loss, queries, dqueries, "the gradient of the queries")
    assert_gradient(loss, states, dstates, "the gradient of the states")
    for name, gradient in gradients.items():
        assert_gradient(loss, parameters.trainable[name].value, gradient, f"the gradient of {name}")


def test_a_source_without_a_token_gives_finite_numbers():
    layer, queries, states, mask, _ = problem("dot")
    mask[1, :, 2] = False
    with np.errstate(invalid="ignore"):
        means = layer.forward(queries, states, mask)
    assert np.isfinite(np.delete(means[1], 2, axis=1)).all()


def test_nan_stays_in_its_replica():
    layer, queries, states, mask, _ = problem("general")
    expected = layer.forward(queries, states, mask).copy()
    states[1] = np.nan
    with np.errstate(all="ignore"):
        means = layer.forward(queries, states, mask)
    assert (means[[0, 2]] == expected[[0, 2]]).all()
    assert np.isnan(means[1]).all()

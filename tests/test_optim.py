"""Optimizers against their formulas, step by step; and the joint norm that gradients are clipped to."""

import numpy as np
import pytest

from searchlab.nn import Parameter, Parameters
from searchlab.optim import SGD, Adam, Momentum, clip_joint_norm
from searchlab.replicas import Replicas

STEPS = 5


def problem(optimizer, **rates):
    """An optimizer over W (2, 3, 2) and b (2, 1, 2) in float64, and the gradients (STEPS, 2, 8) to feed it."""
    replicas = Replicas([1, 2], dtype=np.float64)
    W, b = Parameter(replicas.normal(3, 2)), Parameter(replicas.normal(1, 2))
    parameters = Parameters([("W", W), ("b", b)])
    grads = np.random.default_rng(0).standard_normal((STEPS, *parameters.grads.shape))
    return optimizer(parameters, replicas, **rates), parameters, grads


def follow(optimizer, parameters, grads):
    for grad in grads:
        parameters.grads[...] = grad
        optimizer.update()
    return parameters.values


def test_sgd_follows_its_formula():
    optimizer, parameters, grads = problem(SGD, lr=[0.1, 0.01])
    expected = parameters.values.copy() - np.array([[0.1], [0.01]]) * grads.sum(axis=0)
    assert follow(optimizer, parameters, grads) == pytest.approx(expected)


def test_momentum_follows_its_formula():
    optimizer, parameters, grads = problem(Momentum, lr=[0.1, 0.01], momentum=[0.9, 0.5])
    W, v = parameters.values.copy(), 0.0
    for grad in grads:
        v = np.array([[0.9], [0.5]]) * v - np.array([[0.1], [0.01]]) * grad
        W += v
    assert follow(optimizer, parameters, grads) == pytest.approx(W)


def test_adam_follows_the_paper():
    optimizer, parameters, grads = problem(Adam, lr=[0.1, 0.01], beta1=[0.9, 0.5], beta2=0.99, epsilon=1e-3)
    lr, beta1, beta2, epsilon = np.array([[0.1], [0.01]]), np.array([[0.9], [0.5]]), 0.99, 1e-3
    W, m, v = parameters.values.copy(), 0.0, 0.0
    for t, grad in enumerate(grads, start=1):
        m = beta1 * m + (1.0 - beta1) * grad
        v = beta2 * v + (1.0 - beta2) * grad**2
        W -= lr * (m / (1.0 - beta1**t)) / (np.sqrt(v / (1.0 - beta2**t)) + epsilon)
    assert follow(optimizer, parameters, grads) == pytest.approx(W)


def test_parameters_are_views_of_one_array():
    optimizer, parameters, grads = problem(SGD, lr=1.0)
    before = {name: parameter.value.copy() for name, parameter in parameters.named.items()}
    follow(optimizer, parameters, grads[:1])
    for name, parameter in parameters.named.items():
        assert np.shares_memory(parameter.value, parameters.values)
        assert not (parameter.value == before[name]).any()
    assert parameters.count == 8


@pytest.mark.parametrize("optimizer", [Momentum, Adam])
def test_restore_refuses_what_another_optimizer_remembered(optimizer):
    other = problem({Momentum: Adam, Adam: Momentum}[optimizer])[0]
    with pytest.raises(ValueError, match="expected the slots"):
        problem(optimizer)[0].restore(other.state())


def test_parameters_refuse_what_another_model_saved():
    _, parameters, _ = problem(SGD)
    state = parameters.state()
    with pytest.raises(ValueError, match=r"expected the parameters \['W', 'b'\], got \['W'\]"):
        parameters.restore({"W": state["W"]})
    with pytest.raises(ValueError, match=r"W is \(2, 3, 2\) here and \(2, 4, 2\) in the saved state"):
        parameters.restore({"W": np.zeros((2, 4, 2)), "b": state["b"]})
    with pytest.raises(ValueError, match="has no parameters"):
        Parameters([])


def test_clipping_is_per_replica_and_joint():
    grads = np.array([[3.0, 4.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.4, 0.0]])
    clip_joint_norm(grads, np.array([1.0, 10.0, 1.0, 1.0]))
    expected = [[0.6, 0.8, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.4, 0.0]]
    assert grads == pytest.approx(np.array(expected), rel=1e-5)


def test_clipping_leaves_nan_in_its_lane():
    grads = np.ones((3, 4), dtype=np.float32)
    grads[1, 0] = np.nan
    with np.errstate(all="ignore"):
        clip_joint_norm(grads, np.ones(3, dtype=np.float32))
    assert np.isnan(grads[1]).all()
    assert grads[[0, 2]] == pytest.approx(np.full((2, 4), 0.5), rel=1e-5)

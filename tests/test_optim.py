"""Optimizers against their formulas, step by step; defaults, blocks, and the joint norm of clipping."""

import inspect
import tracemalloc

import numpy as np
import pytest

import searchlab.optim as optim
from searchlab.nn import Parameter, Parameters
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSprop, clip_joint_norm
from searchlab.optim import optimizer as blocks
from searchlab.replicas import Replicas

STEPS = 5
LR = [0.1, 0.01, 0.03]
KINDS = [SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW]


def problem(optimizer, *, dtype=np.float64, **rates):
    """An optimizer over W (3, 3, 2), which decays, and b (3, 1, 2), and the gradients (STEPS, 3, 8) to feed it."""
    replicas = Replicas([1, 2, 3], dtype=dtype)
    W, b = Parameter(replicas.normal(3, 2), decays=True), Parameter(replicas.normal(1, 2))
    parameters = Parameters([("W", W), ("b", b)])
    grads = np.random.default_rng(0).standard_normal((STEPS, *parameters.grads.shape)).astype(dtype)
    return optimizer(parameters, replicas, **rates), parameters, grads


def follow(optimizer, parameters, grads):
    for grad in grads:
        parameters.grads[...] = grad
        optimizer.update()
    return parameters.values


def sgd(W, grads, lr):
    for grad in grads:
        W = W - lr * grad
    return W


def momentum(W, grads, lr, momentum):
    v = 0.0
    for grad in grads:
        v = momentum * v - lr * grad
        W = W + v
    return W


def nesterov(W, grads, lr, momentum):
    v = 0.0
    for grad in grads:
        v = momentum * v - lr * grad
        W = W + momentum * v - lr * grad
    return W


def ada_grad(W, grads, lr, initial_accumulator, epsilon):
    s = initial_accumulator
    for grad in grads:
        s = s + grad**2
        W = W - lr * grad / np.sqrt(s + epsilon)
    return W


def rms_prop(W, grads, lr, rho, momentum, epsilon):
    s, v = 0.0, 0.0
    for grad in grads:
        s = rho * s + (1.0 - rho) * grad**2
        v = momentum * v + lr * grad / np.sqrt(s + epsilon)
        W = W - v
    return W


def adam(W, grads, lr, beta1, beta2, epsilon, weight_decay=0.0):
    m, v, decaying = 0.0, 0.0, np.array([1.0] * 6 + [0.0] * 2)
    for t, grad in enumerate(grads, start=1):
        m = beta1 * m + (1.0 - beta1) * grad
        v = beta2 * v + (1.0 - beta2) * grad**2
        step = (m / (1.0 - beta1**t)) / (np.sqrt(v / (1.0 - beta2**t)) + epsilon)
        W = W - lr * (step + weight_decay * decaying * W)
    return W


MOMENTS = {"lr": LR, "beta1": [0.9, 0.5, 0.0], "beta2": [0.99, 0.999, 0.9], "epsilon": [1e-3, 1e-7, 0.1]}
FORMULAS = {
    SGD: (sgd, {"lr": LR}),
    Momentum: (momentum, {"lr": LR, "momentum": [0.9, 0.5, 0.0]}),
    Nesterov: (nesterov, {"lr": LR, "momentum": [0.9, 0.5, 0.0]}),
    AdaGrad: (ada_grad, {"lr": LR, "initial_accumulator": [0.1, 0.0, 2.0], "epsilon": [1e-7, 0.1, 1e-3]}),
    RMSprop: (
        rms_prop,
        {"lr": LR, "rho": [0.9, 0.5, 0.99], "momentum": [0.0, 0.9, 0.5], "epsilon": [1e-7, 0.1, 1e-3]},
    ),
    Adam: (adam, MOMENTS),
    AdamW: (adam, MOMENTS | {"weight_decay": [0.004, 0.0, 2.0]}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_follows_its_formula(kind):
    formula, rates = FORMULAS[kind]
    optimizer, parameters, grads = problem(kind, **rates)
    columns = {name: np.array(values)[:, None] for name, values in rates.items()}
    expected = formula(parameters.values.copy(), grads, **columns)
    assert follow(optimizer, parameters, grads) == pytest.approx(expected, rel=1e-9)


DEFAULTS = {  # of keras.optimizers in Keras 3; momentum is 0 there, and 0.9 here where the class is named after it
    SGD: {"lr": 0.01},
    Momentum: {"lr": 0.01, "momentum": 0.9},
    Nesterov: {"lr": 0.01, "momentum": 0.9},
    AdaGrad: {"lr": 0.001, "initial_accumulator": 0.1, "epsilon": 1e-7},
    RMSprop: {"lr": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    Adam: {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
    AdamW: {"lr": 0.001, "weight_decay": 0.004, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_those_of_keras(kind):
    signature = inspect.signature(kind).parameters.values()
    assert {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY} == DEFAULTS[kind]
    formula, _ = FORMULAS[kind]
    optimizer, parameters, grads = problem(kind)
    expected = formula(parameters.values.copy(), grads, **DEFAULTS[kind])
    assert follow(optimizer, parameters, grads) == pytest.approx(expected, rel=1e-9)  # and they arrive


def test_these_are_all_optimizers():
    words = (getattr(optim, word) for word in optim.__all__)
    kinds = {word for word in words if inspect.isclass(word) and issubclass(word, Optimizer)}
    assert kinds - {Optimizer} == set(KINDS) == set(FORMULAS) == set(DEFAULTS)


def test_weight_decay_acts_on_decaying_parameters_alone():
    optimizer, parameters, _ = problem(AdamW, lr=LR, weight_decay=[0.5, 0.1, 0.0])
    W, b = (parameters.named[name].value.copy() for name in ("W", "b"))
    follow(optimizer, parameters, np.zeros((1, 3, 8)))  # no gradient: the decay is all that moves
    shrunk = 1.0 - np.array([0.1 * 0.5, 0.01 * 0.1, 0.0])
    assert parameters.named["W"].value == pytest.approx(W * shrunk[:, None, None])
    assert (parameters.named["b"].value == b).all()


def test_weight_decay_is_not_scaled_by_the_gradients_size():
    """Decoupled: with Adam's own step taken away, the decay is the same for large gradients and for small ones."""
    lost = []
    for scale in (1.0, 100.0):
        ends = []
        for kind, rates in ((AdamW, {"weight_decay": 0.5}), (Adam, {})):
            optimizer, parameters, grads = problem(kind, lr=LR, epsilon=1e-12, **rates)
            ends.append(follow(optimizer, parameters, grads[:1] * scale).copy())
        lost.append(ends[1] - ends[0])
    assert lost[0] == pytest.approx(lost[1])


def run(kind, rows=(0, 1, 2), *, keep_at=None):
    """The values (R, 8) after every step, in float32; at one of them, replicas 2 and 0 alone are kept."""
    rates = {name: [values[r] for r in rows] for name, values in FORMULAS[kind][1].items()}
    replicas = Replicas([1 + r for r in rows])
    W, b = Parameter(replicas.normal(3, 2), decays=True), Parameter(replicas.normal(1, 2))
    parameters = Parameters([("W", W), ("b", b)])
    optimizer, found = kind(parameters, replicas, **rates), []
    grads = np.random.default_rng(0).standard_normal((STEPS, 3, 8)).astype(np.float32)[:, list(rows)]
    for step, grad in enumerate(grads):
        if step == keep_at:
            optimizer.keep(np.array([2, 0]))  # and through it the parameters
        parameters.grads[...] = grad if keep_at is None or step < keep_at else grad[[2, 0]]
        optimizer.update()
        found.append(parameters.values.copy())
    return found, optimizer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 3, 8, 16, 20])
def test_blocks_change_no_bit(kind, block, monkeypatch):
    """Parts of one row, one row, two rows of three: the same numbers as in one piece, alone and for survivors."""
    whole, optimizer = run(kind)
    assert len(optimizer._blocks) == 1
    left, _ = run(kind, keep_at=2)
    monkeypatch.setattr(blocks, "BLOCK", block)
    cut, optimizer = run(kind)
    assert len(optimizer._blocks) == {1: 24, 3: 9, 8: 3, 16: 2, 20: 2}[block]
    assert [values.tobytes() for values in cut] == [values.tobytes() for values in whole]
    assert [values.tobytes() for values in run(kind, keep_at=2)[0]] == [values.tobytes() for values in left]
    alone, _ = run(kind, rows=(1,))
    assert [values.tobytes() for values in alone] == [values[1:2].tobytes() for values in whole]


def test_blocks_hold_every_number_once():
    for rows, columns, most in ((3, 8, 3), (5, 7, 14), (4, 1, 3), (1, 9, 100), (2, 6, 6)):
        taken = np.zeros((rows, columns), int)
        for piece in blocks._pieces(rows, columns, most):
            taken[piece] += 1
            assert 0 < taken[piece].size <= most
            assert taken[piece].base is taken
        assert (taken == 1).all()


def test_new_values_are_found_by_the_next_update():
    """Parameters may get new arrays without the optimizer being told: `keep` reaches its holders in any order."""
    optimizer, parameters, grads = problem(SGD, lr=1.0)
    follow(optimizer, parameters, grads)
    parameters.values, parameters.grads = parameters.values.copy(), parameters.grads.copy()
    parameters._bind()
    expected = parameters.values - grads[0]
    assert follow(optimizer, parameters, grads[:1]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_makes_no_array_as_large_as_all_parameters(kind, monkeypatch):
    """What blocks are for: whatever else a step needs is as small as a block."""
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    replicas = Replicas([1])
    parameters = Parameters([("W", Parameter(replicas.normal(100_000), decays=True))])
    optimizer = kind(parameters, replicas)
    parameters.grads[...] = 1.0
    optimizer.update()
    tracemalloc.start()
    try:
        optimizer.update()
        assert tracemalloc.get_traced_memory()[1] < 50_000  # bytes, of 400,000
    finally:
        tracemalloc.stop()


def test_parameters_are_views_of_one_array():
    optimizer, parameters, grads = problem(SGD, lr=1.0)
    before = {name: parameter.value.copy() for name, parameter in parameters.named.items()}
    follow(optimizer, parameters, grads[:1])
    for name, parameter in parameters.named.items():
        assert np.shares_memory(parameter.value, parameters.values)
        assert not (parameter.value == before[name]).any()
    assert parameters.count == 8


REMEMBER = [kind for kind in KINDS if kind is not SGD]


@pytest.mark.parametrize("kind", REMEMBER)
def test_restore_refuses_what_another_optimizer_remembered(kind):
    other = problem(Adam if kind in (Momentum, Nesterov) else Momentum)[0]
    with pytest.raises(ValueError, match="expected the slots"):
        problem(kind)[0].restore(other.state())


@pytest.mark.parametrize("kind", REMEMBER)
def test_restore_refuses_slots_of_another_model(kind):
    optimizer = problem(kind)[0]
    state = {name: slot[..., :1] if slot.ndim == 2 else slot for name, slot in optimizer.state().items()}
    with pytest.raises(ValueError, match=r"is \(3, 8\) here and \(3, 1\) in the saved state"):
        optimizer.restore(state)


def test_parameters_refuse_what_another_model_saved():
    _, parameters, _ = problem(SGD)
    state = parameters.state()
    with pytest.raises(ValueError, match=r"expected the parameters \['W', 'b'\], got \['W'\]"):
        parameters.restore({"W": state["W"]})
    with pytest.raises(ValueError, match=r"W is \(3, 3, 2\) here and \(3, 4, 2\) in the saved state"):
        parameters.restore({"W": np.zeros((3, 4, 2)), "b": state["b"]})
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

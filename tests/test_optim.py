"""Optimizers against their formulas, step by step; defaults, blocks, and the joint norm of clipping."""

import inspect
import re
import tracemalloc

import numpy as np
import pytest

import searchlab.optim as optim
from searchlab.errors import UserMistake
from searchlab.nn import Parameter, Parameters
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSprop, clip_joint_norm
from searchlab.optim import optimizer as optimizer_module
from searchlab.replicas import Replicas

STEPS = 5
LR = [0.1, 0.01, 0.03]
OPTIMIZERS = [SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW]


def build_problem(optimizer, *, dtype=np.float64, **rates):
    """Return an optimizer over W (3, 3, 2), which decays, and b (3, 1, 2), with gradients (STEPS, 3, 8)."""
    replicas = Replicas([1, 2, 3], dtype=dtype)
    W, b = Parameter(replicas.normal(3, 2), apply_weight_decay=True), Parameter(replicas.normal(1, 2))
    parameters = Parameters([("W", W), ("b", b)])
    grads = np.random.default_rng(0).standard_normal((STEPS, *parameters.grads.shape)).astype(dtype)
    return optimizer(parameters, replicas, **rates), parameters, grads


def take_steps(optimizer, parameters, grads):
    """Return the values (3, 8) after a step with each of the gradients."""
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
    m, v, decay_mask = 0.0, 0.0, np.array([1.0] * 6 + [0.0] * 2)
    for t, grad in enumerate(grads, start=1):
        m = beta1 * m + (1.0 - beta1) * grad
        v = beta2 * v + (1.0 - beta2) * grad**2
        step = (m / (1.0 - beta1**t)) / (np.sqrt(v / (1.0 - beta2**t)) + epsilon)
        W = W - lr * (step + weight_decay * decay_mask * W)
    return W


ADAM = {"lr": LR, "beta1": [0.9, 0.5, 0.0], "beta2": [0.99, 0.999, 0.9], "epsilon": [1e-3, 1e-7, 0.1]}
FORMULAS = {
    SGD: (sgd, {"lr": LR}),
    Momentum: (momentum, {"lr": LR, "momentum": [0.9, 0.5, 0.0]}),
    Nesterov: (nesterov, {"lr": LR, "momentum": [0.9, 0.5, 0.0]}),
    AdaGrad: (ada_grad, {"lr": LR, "initial_accumulator": [0.1, 0.0, 2.0], "epsilon": [1e-7, 0.1, 1e-3]}),
    RMSprop: (
        rms_prop,
        {"lr": LR, "rho": [0.9, 0.5, 0.99], "momentum": [0.0, 0.9, 0.5], "epsilon": [1e-7, 0.1, 1e-3]},
    ),
    Adam: (adam, ADAM),
    AdamW: (adam, ADAM | {"weight_decay": [0.004, 0.0, 2.0]}),
}


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_optimizer_agrees_with_its_formula(optimizer_class):
    formula, rates = FORMULAS[optimizer_class]
    optimizer, parameters, grads = build_problem(optimizer_class, **rates)
    columns = {name: np.array(values)[:, None] for name, values in rates.items()}
    expected = formula(parameters.values.copy(), grads, **columns)
    assert take_steps(optimizer, parameters, grads) == pytest.approx(expected, rel=1e-9)


DEFAULTS = {  # of keras.optimizers in Keras 3; momentum is 0 there, and 0.9 here in classes named after it
    SGD: {"lr": 0.01},
    Momentum: {"lr": 0.01, "momentum": 0.9},
    Nesterov: {"lr": 0.01, "momentum": 0.9},
    AdaGrad: {"lr": 0.001, "initial_accumulator": 0.1, "epsilon": 1e-7},
    RMSprop: {"lr": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    Adam: {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
    AdamW: {"lr": 0.001, "weight_decay": 0.004, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
}


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_defaults_are_those_of_keras(optimizer_class):
    signature = inspect.signature(optimizer_class).parameters.values()
    assert {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY} == DEFAULTS[optimizer_class]
    formula, _ = FORMULAS[optimizer_class]
    optimizer, parameters, grads = build_problem(optimizer_class)
    expected = formula(parameters.values.copy(), grads, **DEFAULTS[optimizer_class])
    assert take_steps(optimizer, parameters, grads) == pytest.approx(expected, rel=1e-9)  # the defaults are used


def test_every_exported_optimizer_is_tested():
    exported = (getattr(optim, name) for name in optim.__all__)
    classes = {each for each in exported if inspect.isclass(each) and issubclass(each, Optimizer)}
    assert classes - {Optimizer, optim.NoOptimizer} == set(OPTIMIZERS) == set(FORMULAS) == set(DEFAULTS)


def test_weight_decay_acts_on_its_parameters_alone():
    optimizer, parameters, _ = build_problem(AdamW, lr=LR, weight_decay=[0.5, 0.1, 0.0])
    W, b = (parameters.trainable[name].value.copy() for name in ("W", "b"))
    take_steps(optimizer, parameters, np.zeros((1, 3, 8)))  # no gradient: only the decay changes values
    shrunk = 1.0 - np.array([0.1 * 0.5, 0.01 * 0.1, 0.0])
    assert parameters.trainable["W"].value == pytest.approx(W * shrunk[:, None, None])
    assert (parameters.trainable["b"].value == b).all()


def test_weight_decay_is_not_scaled_by_the_gradients_size():
    """The decay is decoupled: without Adam's step it is the same for large gradients and for small ones."""
    decreases = []
    for scale in (1.0, 100.0):
        values = []
        for optimizer_class, rates in ((AdamW, {"weight_decay": 0.5}), (Adam, {})):
            optimizer, parameters, grads = build_problem(optimizer_class, lr=LR, epsilon=1e-12, **rates)
            values.append(take_steps(optimizer, parameters, grads[:1] * scale).copy())
        decreases.append(values[1] - values[0])
    assert decreases[0] == pytest.approx(decreases[1])


def run(optimizer_class, rows=(0, 1, 2), *, select_at=None):
    """Return the values (R, 8) after each step, in float32; before step `select_at`, replicas 2 and 0 are selected."""
    rates = {name: [values[r] for r in rows] for name, values in FORMULAS[optimizer_class][1].items()}
    replicas = Replicas([1 + r for r in rows])
    W, b = Parameter(replicas.normal(3, 2), apply_weight_decay=True), Parameter(replicas.normal(1, 2))
    parameters = Parameters([("W", W), ("b", b)])
    optimizer, values = optimizer_class(parameters, replicas, **rates), []
    grads = np.random.default_rng(0).standard_normal((STEPS, 3, 8)).astype(np.float32)[:, list(rows)]
    for step, grad in enumerate(grads):
        if step == select_at:
            optimizer.select_replicas(np.array([2, 0]))  # and its parameters with it
        parameters.grads[...] = grad if select_at is None or step < select_at else grad[[2, 0]]
        optimizer.update()
        values.append(parameters.values.copy())
    return values, optimizer


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize("block", [1, 3, 8, 16, 20])
def test_blocks_do_not_change_any_value(optimizer_class, block, monkeypatch):
    """Parts of one row, one row, two rows of three: the same numbers as in one block, alone and for survivors."""
    in_one_block, optimizer = run(optimizer_class)
    assert len(optimizer._blocks) == 1
    survivors, _ = run(optimizer_class, select_at=2)
    monkeypatch.setattr(optimizer_module, "BLOCK_VALUES", block)
    in_blocks, optimizer = run(optimizer_class)
    assert len(optimizer._blocks) == {1: 24, 3: 9, 8: 3, 16: 2, 20: 2}[block]
    assert np.stack(in_blocks).tobytes() == np.stack(in_one_block).tobytes()
    survivors_in_blocks, _ = run(optimizer_class, select_at=2)
    for values, expected in zip(survivors_in_blocks, survivors, strict=True):
        assert values.tobytes() == expected.tobytes()
    alone, _ = run(optimizer_class, rows=(1,))
    assert np.stack(alone).tobytes() == np.stack(in_one_block)[:, 1:2].tobytes()


def test_blocks_cover_every_number_once():
    for rows, columns, limit in ((3, 8, 3), (5, 7, 14), (4, 1, 3), (1, 9, 100), (2, 6, 6)):
        counts = np.zeros((rows, columns), int)
        for block in optimizer_module._block_slices(rows, columns, limit):
            counts[block] += 1
            assert 0 < counts[block].size <= limit
            assert counts[block].base is counts
        assert (counts == 1).all()


def test_the_next_update_uses_new_arrays_of_the_parameters():
    """Parameters may get new arrays without a call of the optimizer: `select_replicas` visits objects in any order."""
    optimizer, parameters, grads = build_problem(SGD, lr=1.0)
    take_steps(optimizer, parameters, grads)
    parameters.values, parameters.grads = parameters.values.copy(), parameters.grads.copy()
    parameters._bind_views()
    expected = parameters.values - grads[0]
    assert take_steps(optimizer, parameters, grads[:1]) == pytest.approx(expected)


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_a_step_allocates_no_more_than_blocks(optimizer_class, monkeypatch):
    """A step never makes a temporary array as large as all parameters."""
    monkeypatch.setattr(optimizer_module, "BLOCK_VALUES", 1000)
    replicas = Replicas([1])
    parameters = Parameters([("W", Parameter(replicas.normal(100_000), apply_weight_decay=True))])
    optimizer = optimizer_class(parameters, replicas)
    parameters.grads[...] = 1.0
    optimizer.update()
    tracemalloc.start()
    try:
        optimizer.update()
        assert tracemalloc.get_traced_memory()[1] < 50_000  # bytes, of 400,000
    finally:
        tracemalloc.stop()


def test_parameters_are_views_of_one_array():
    optimizer, parameters, grads = build_problem(SGD, lr=1.0)
    before = {name: parameter.value.copy() for name, parameter in parameters.trainable.items()}
    take_steps(optimizer, parameters, grads[:1])
    for name, parameter in parameters.trainable.items():
        assert np.shares_memory(parameter.value, parameters.values)
        assert not (parameter.value == before[name]).any()
    assert parameters.count == 8


WITH_SLOTS = [optimizer_class for optimizer_class in OPTIMIZERS if optimizer_class is not SGD]


@pytest.mark.parametrize("optimizer_class", WITH_SLOTS)
def test_restoring_the_slots_of_another_optimizer_raises(optimizer_class):
    other = build_problem(Adam if optimizer_class in (Momentum, Nesterov) else Momentum)[0]
    with pytest.raises(ValueError, match="expected the slots"):
        build_problem(optimizer_class)[0].restore(other.state())


@pytest.mark.parametrize("optimizer_class", WITH_SLOTS)
def test_restoring_the_slots_of_another_model_raises(optimizer_class):
    optimizer = build_problem(optimizer_class)[0]
    state = {name: slot[..., :1] if slot.ndim == 2 else slot for name, slot in optimizer.state().items()}
    with pytest.raises(ValueError, match=r"has shape \(3, 8\) here and \(3, 1\) in the saved state"):
        optimizer.restore(state)


def test_restoring_the_parameters_of_another_model_raises():
    _, parameters, _ = build_problem(SGD)
    state = parameters.state()
    with pytest.raises(ValueError, match=r"expected the parameters \['W', 'b'\]; got \['W'\]"):
        parameters.restore({"W": state["W"]})
    with pytest.raises(ValueError, match=r"W has shape \(3, 3, 2\) here and \(3, 4, 2\) in the saved state"):
        parameters.restore({"W": np.zeros((3, 4, 2)), "b": state["b"]})
    with pytest.raises(ValueError, match="has no parameters"):
        Parameters([])


def test_clipping_is_per_replica_and_joint():
    grads = np.array([[3.0, 4.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.4, 0.0]])
    clip_joint_norm(grads, np.array([1.0, 10.0, 1.0, 1.0]))
    expected = [[0.6, 0.8, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.4, 0.0]]
    assert grads == pytest.approx(np.array(expected), rel=1e-5)


def test_clipping_leaves_nan_in_its_replica():
    grads = np.ones((3, 4), dtype=np.float32)
    grads[1, 0] = np.nan
    with np.errstate(all="ignore"):
        clip_joint_norm(grads, np.ones(3, dtype=np.float32))
    assert np.isnan(grads[1]).all()
    assert grads[[0, 2]] == pytest.approx(np.full((2, 4), 0.5), rel=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "wrong", "message"),
    [
        *[(each, {"lr": -0.1}, "a finite lr of at least 0, got -0.1") for each in OPTIMIZERS],
        (SGD, {"lr": [0.1, np.nan, 0.1]}, "a finite lr of at least 0, got nan"),
        (SGD, {"lr": np.inf}, "a finite lr of at least 0, got inf"),
        (Momentum, {"momentum": 1.5}, "a finite momentum of at least 0 and below 1, got 1.5"),
        (Nesterov, {"momentum": -0.5}, "a finite momentum of at least 0 and below 1, got -0.5"),
        (RMSprop, {"rho": 1.0}, "a finite rho of at least 0 and below 1, got 1"),
        (RMSprop, {"momentum": 1.0}, "a finite momentum of at least 0 and below 1, got 1"),
        (Adam, {"beta1": 1.0}, "a finite beta1 of at least 0 and below 1, got 1"),
        (Adam, {"beta2": [0.9, 0.99, 1.0]}, "a finite beta2 of at least 0 and below 1, got 1"),
        (Adam, {"epsilon": -1e-8}, "a finite epsilon of at least 0, got -1e-08"),
        (AdaGrad, {"initial_accumulator": -0.1}, "a finite initial_accumulator of at least 0, got -0.1"),
        (AdamW, {"weight_decay": -0.1}, "a finite weight_decay of at least 0, got -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(optimizer, wrong, message):
    with pytest.raises(UserMistake, match=f"^{optimizer.__name__} needs {re.escape(message)}.$"):
        build_problem(optimizer, **wrong)

"""On a CUDA device: the same draws, the same training to rounding, the same keeping and resuming.

Every test runs twice: on CUDA, where there is a device, and anywhere on arrays that keep CuPy's rules without one.
"""

from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import CELLS, RnnLM
from searchlab import backend
from searchlab.backend import FEW_ROWS, add_rows, module_of, take_rows, to_device, to_host, xp_of
from searchlab.data import Batch, Blocked, Examples, KFold, TokenStream, Vocabulary
from searchlab.data.augmentation import GaussianNoise, Shift
from searchlab.metrics import Accuracy, RootMeanSquaredError
from searchlab.nn import (
    GRU,
    LSTM,
    RNN,
    Affine,
    BatchNorm,
    Bidirectional,
    Dropout,
    Embedding,
    Gelu,
    LeakyRelu,
    MeanSquaredError,
    Parameter,
    Parameters,
    Relu,
    Sequential,
    Sigmoid,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SoftmaxOutput,
    Tanh,
)
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop, clip_joint_norm
from searchlab.optim.schedules import Constant, CosineDecay, ExponentialDecay, Plateau, StepDecay
from searchlab.replicas import KEYS_AHEAD, Replicas, fold_seeds
from searchlab.training import Trainer
from tests import fake_cupy

SEEDS = [3, 14, 15]


@pytest.fixture(autouse=True, params=[pytest.param("cupy", marks=pytest.mark.gpu), "rules"])
def cuda(request, monkeypatch):
    """What stands behind the device "cuda": CuPy, or its rules alone."""
    if request.param == "rules":
        monkeypatch.setattr(backend, "_cupy", lambda: fake_cupy)


def replicas_on_both(dtype=np.float32):
    return [Replicas(SEEDS, device=device, dtype=dtype) for device in ("cpu", "cuda")]


def test_arrays_go_there_and_back():
    there = to_device(np.arange(3.0), "cuda")
    assert xp_of(there) is module_of("cuda")
    assert to_device(there, "cuda") is there
    assert to_host(there).tolist() == [0.0, 1.0, 2.0]


def test_both_devices_draw_the_same():
    host, device = replicas_on_both()
    rates = np.array([0.1, 0.5, 0.9], dtype=np.float32)
    for _ in range(KEYS_AHEAD + 2):
        mask = device.dropped(to_device(rates, "cuda"), (3, 7, 5))
        assert (to_host(mask) == host.dropped(rates, (3, 7, 5))).all()
    assert (to_host(device.words(9)) == host.words(9)).all()
    assert to_host(device.normal(4, 2)) == pytest.approx(host.normal(4, 2))
    assert to_host(device.uniform(4, scale=[1.0, 2.0, 3.0])) == pytest.approx(host.uniform(4, scale=[1.0, 2.0, 3.0]))
    assert (to_host(device.full(2, value=[1.0, 2.0, 3.0])) == host.full(2, value=[1.0, 2.0, 3.0])).all()
    counts = np.array([9, 9, 8])
    assert (device.permutations(counts, 8) == host.permutations(counts, 8)).all()


LAYERS = {
    "affine": lambda replicas: Affine(replicas, 6, 4),
    "relu": lambda replicas: Relu(replicas),
    "leaky relu": lambda replicas: LeakyRelu(replicas, slope=[0.0, 0.1, 0.3]),
    "gelu": lambda replicas: Gelu(replicas),
    "tanh": lambda replicas: Tanh(replicas),
    "sigmoid": lambda replicas: Sigmoid(replicas),
    "dropout": lambda replicas: Dropout(replicas, [0.0, 0.3, 0.7]),
    "batch norm": lambda replicas: BatchNorm(replicas, 6, momentum=[0.0, 0.5, 0.9]),
    "chain": lambda replicas: Sequential(Affine(replicas, 6, 5), BatchNorm(replicas, 5), Relu(replicas)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("leading", [(5,), (4, 5)])
def test_layers_agree(build, leading, dtype):
    x = np.random.default_rng(0).standard_normal((3, *leading, 6)).astype(dtype)
    results = []
    for replicas in replicas_on_both(dtype):
        layer = build(replicas)
        found = layer.parameters()
        if found:
            Parameters(found)  # gradients are written into views of one array
        y = layer.forward(to_device(x, replicas.device), train=True)
        dx = layer.backward(y * 0.5)
        learned = [parameter.grad if parameter.learned else parameter.value for _, parameter in found]
        scored = layer.forward(to_device(x, replicas.device), train=False)
        assert xp_of(y) is xp_of(dx) is xp_of(scored) is replicas.xp
        assert y.dtype == dx.dtype == scored.dtype == dtype
        results.append([to_host(array) for array in (y, dx, scored, *learned)])
    near = {"rel": 1e-9, "abs": 1e-12} if dtype == np.float64 else {"rel": 1e-4, "abs": 1e-5}
    for host, device in zip(*results, strict=True):
        assert device == pytest.approx(host, **near)


NEAR = {"rel": 1e-9, "abs": 1e-12}
RECURRENT = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def both_agree(results):
    """What the host and the device said, array by array."""
    for name, expected in results[0].items():
        assert results[1][name] == pytest.approx(expected, **NEAR), name


def gradients_of(layer):
    return {name: to_host(parameter.grad).copy() for name, parameter in layer.parameters()}


@pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
def test_recurrent_layers_agree(kind):
    generator, results = np.random.default_rng(0), []
    x, dy = generator.standard_normal((3, 4, 2, 6)), generator.standard_normal((3, 4, 2, 5))
    table, ids = generator.standard_normal((3, 7, 6)), generator.integers(7, size=(3, 4, 2))
    for replicas in replicas_on_both(np.float64):
        there = partial(to_device, device=replicas.device)
        layer = kind(replicas, 6, 5)
        Parameters(layer.parameters())
        h, carry = layer.forward(there(x), train=True)
        told = {"h": to_host(h).copy(), "dx": to_host(layer.backward(there(dy))), **gradients_of(layer)}
        assert xp_of(h) is replicas.xp
        h, carry = layer.forward(there(x), carry, train=True)
        told |= {"h on": to_host(h).copy(), "dx on": to_host(layer.backward(there(dy)))}
        h, carry = layer.forward_rows(there(table), there(ids), carry)
        told |= {"h of rows": to_host(h), "drows": to_host(layer.backward_rows(there(dy)))}
        told |= {f"{name} of rows": gradient for name, gradient in gradients_of(layer).items()}
        results.append(told | {f"carry {at}": to_host(state) for at, state in enumerate(carry)})
    both_agree(results)


def test_bidirectional_layers_agree():
    generator, results = np.random.default_rng(0), []
    x, dy = generator.standard_normal((3, 4, 2, 6)), generator.standard_normal((3, 4, 2, 9))
    for replicas in replicas_on_both(np.float64):
        layer = Bidirectional(LSTM(replicas, 6, 5), GRU(replicas, 6, 4))
        Parameters(layer.parameters())
        y = layer.forward(to_device(x, replicas.device), train=True)
        dx = layer.backward(to_device(dy, replicas.device))
        results.append({"y": to_host(y), "dx": to_host(dx), **gradients_of(layer)})
    both_agree(results)


@pytest.mark.parametrize("words", [6, FEW_ROWS, FEW_ROWS + 1])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_rows_of_tables_agree(words, kind):
    generator, results = np.random.default_rng(0), []
    store, values = generator.standard_normal((3, words * 5 + 2)), generator.standard_normal((3, 40, 5))
    rows = generator.integers(words, size=(3, 40)).astype(kind)
    for replicas in replicas_on_both(np.float64):
        held = to_device(store.copy(), replicas.device)
        table = held[:, 1 : 1 + words * 5].reshape(3, words, 5)
        taken = replicas.zeros(40, 5)
        take_rows(table, to_device(rows, replicas.device), taken)
        add_rows(table, to_device(rows, replicas.device), to_device(values, replicas.device))
        results.append({"taken": to_host(taken), "the store": to_host(held)})
    both_agree(results)
    assert (results[0]["the store"] != store).any()


@pytest.mark.parametrize("words", [6, FEW_ROWS + 1])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_the_two_ends_over_words_agree(tied, words):
    generator, results = np.random.default_rng(0), []
    ids, targets = generator.integers(words, size=(2, 3, 4, 2))
    targets[0, :2], targets[2] = -1, -1
    for replicas in replicas_on_both(np.float64):
        embedding = Embedding(replicas, words, 5)
        output = SoftmaxOutput(replicas, 5, words, tied=embedding.W if tied else None)
        parameters = Parameters([*embedding.parameters(), *output.parameters()])
        for _ in range(2):
            h = embedding.forward(to_device(ids, replicas.device), train=True)
            loss = output.forward(h, to_device(targets, replicas.device), train=True)
            parameters.start_pass()
            dh = output.backward()
            embedding.backward(dh)
        told = {"loss": to_host(loss), "dh": to_host(dh), "gradients": to_host(parameters.grads)}
        results.append(told | {"scores": to_host(output.scores(h))})
        assert xp_of(loss) is xp_of(dh) is replicas.xp
    both_agree(results)


@pytest.mark.parametrize("window", [3, 8], ids=["words looked up", "more inputs than words"])
@pytest.mark.parametrize("changes", [{}, {"tied": True}, {"dropout": [0.0, 0.3, 0.6], "variational": True}])
@pytest.mark.parametrize("cell", CELLS)
def test_language_models_agree(cell, changes, window):
    ids = np.random.default_rng(0).integers(11, size=300)
    table = TokenStream(ids, Vocabulary(tuple(f"w{n}" for n in range(11))), window)
    split, results = Blocked(3).split(table), []
    for replicas in replicas_on_both(np.float64):
        on = table.on(replicas.device)
        model = RnnLM(replicas, 11, cell=cell, layers=2, hidden=5, embed=4, **changes)
        parameters = Parameters(model.parameters())
        optimizer, carry, losses = SGD(parameters, replicas, lr=LR), None, []
        for batch, _ in zip(on.epoch(split, replicas, 2), range(4), strict=False):
            before = dict(fake_cupy.moved)
            loss, carry = model.forward(batch, carry, train=True)
            parameters.start_pass()
            model.backward()
            optimizer.update()
            moved = {way: fake_cupy.moved[way] - before.get(way, 0) for way in fake_cupy.moved}
            assert not moved.get("to the host"), "a step waits for the device"
            losses.append(loss)
        scored = [model.forward(Batch(each.x, each.y), train=False)[0] for each in on.scoring(split.held_out)]
        scores, carry = model.predict(batch, carry)
        told = {f"loss {step}": to_host(loss) for step, loss in enumerate(losses + scored)}
        results.append(told | {"parameters": to_host(parameters.values), "scores": to_host(scores)})
        assert xp_of(scores) is replicas.xp
    both_agree(results)


LOSSES = {
    "softmax": SoftmaxCrossEntropy,
    "smoothed": partial(SoftmaxCrossEntropy, smoothing=[0.0, 0.1, 0.3]),
    "squared": MeanSquaredError,
    "sigmoid": SigmoidCrossEntropy,
}


@pytest.mark.parametrize("outputs", [4, 100])
@pytest.mark.parametrize("leading", [(5,), (2, 5)])
@pytest.mark.parametrize("rows", [False, True], ids=["labels", "rows"])
@pytest.mark.parametrize("build", LOSSES.values(), ids=LOSSES)
def test_losses_agree(build, rows, leading, outputs):
    generator = np.random.default_rng(0)
    said = generator.standard_normal((3, *leading, outputs))
    wanted = generator.dirichlet(np.ones(outputs), (3, *leading))
    targets = wanted if rows else wanted.argmax(axis=-1)
    results = []
    for replicas in replicas_on_both(np.float64):
        loss = build(replicas)
        for _ in range(2):  # what is kept from the first step serves the second
            value = loss.forward(to_device(said, replicas.device), to_device(targets, replicas.device))
            slope = loss.backward()
        assert xp_of(value) is xp_of(slope) is replicas.xp
        results.append((to_host(value), to_host(slope)))
    (value, slope), (on_device, slope_on_device) = results
    assert on_device == pytest.approx(value, rel=1e-9)
    assert slope_on_device == pytest.approx(slope, rel=1e-9, abs=1e-12)


LR = [0.1, 0.05, 0.02]
OPTIMIZERS = {
    "sgd": partial(SGD, lr=LR),
    "momentum": partial(Momentum, lr=LR, momentum=[0.0, 0.5, 0.9]),
    "nesterov": partial(Nesterov, lr=LR, momentum=[0.0, 0.5, 0.9]),
    "adagrad": partial(AdaGrad, lr=LR, initial_accumulator=[0.1, 0.0, 1.0]),
    "rmsprop": partial(RMSprop, lr=LR, rho=[0.5, 0.9, 0.99], momentum=[0.0, 0.5, 0.9]),
    "adam": partial(Adam, lr=LR, beta1=[0.5, 0.9, 0.99]),
    "adamw": partial(AdamW, lr=LR, weight_decay=[0.0, 0.1, 0.5]),
}


@pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_agree(build, monkeypatch):
    monkeypatch.setattr("searchlab.optim.optimizer.BLOCK", 7)  # the host's step is cut in pieces, the device's never
    generator = np.random.default_rng(0)
    start, gradients = generator.standard_normal((3, 4, 5)), generator.standard_normal((6, 3, 25))
    results = []
    for replicas in replicas_on_both(np.float64):
        weights = Parameter(to_device(start, replicas.device), decays=True)
        parameters = Parameters([("W", weights), ("b", Parameter(replicas.zeros(1, 5)))])
        optimizer = build(parameters, replicas)
        for gradient in gradients:
            parameters.grads[...] = to_device(gradient, replicas.device)
            parameters.decay(replicas.vector([0.0, 0.1, 0.2]))
            clip_joint_norm(parameters.grads, replicas.vector([1.0, 5.0, 100.0]))
            optimizer.update()
        assert xp_of(parameters.values) is replicas.xp
        results.append(parameters.state() | optimizer.state())
    host, device = results
    for name in host:
        assert device[name] == pytest.approx(host[name], rel=1e-9, abs=1e-12), name


AUGMENTATIONS = {
    "noise": partial(GaussianNoise, scale=[0.0, 0.1, 0.5]),
    "shift": partial(Shift, pixels=[0, 1, 3]),
}


@pytest.mark.parametrize("build", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentations_agree(build):
    x = np.random.default_rng(0).standard_normal((3, 7, 5 * 3)).astype(np.float32)
    host, device = ((replicas, build(replicas, (5, 3))) for replicas in replicas_on_both())
    for _ in range(3):
        changed = device[1].change(to_device(x, "cuda"))
        assert changed.dtype == np.float32
        assert to_host(changed) == pytest.approx(host[1].change(x.copy()), rel=1e-5, abs=1e-5)
    assert (device[0].state()["draws"] == host[0].state()["draws"]).all()


def blobs(**changes):
    """A thousand points around ten centres: data that needs no file and no package."""
    generator = np.random.default_rng(0)
    labels = generator.integers(10, size=1000)
    points = generator.standard_normal((10, 64))[labels] + generator.standard_normal((1000, 64))
    return Examples(points.astype(np.float32), labels, outputs=10, image=(8, 8), **changes)


def numbers():
    """Two numbers to predict from inputs that lie far from zero; feature 5 is always the same."""
    x = blobs().x
    y = np.tanh(x[:, :2] @ np.array([[0.5, -0.2], [0.3, 0.4]], np.float32))
    spread = np.where(np.arange(64) == 5, 0.0, 7.0).astype(np.float32)
    return Examples(x * spread + 50.0, y, outputs=2, standardize=True)


def trainer(device, rows=range(10), optimizer=Adam, lr=None, table=None, metric=None, model=(), **changes):
    rows = np.array(rows)
    table = (blobs() if table is None else table).on(device)
    replicas = Replicas(np.array(fold_seeds(0, 5), np.uint64)[rows % 5], device=device)
    build = partial(MLP, hidden=16, dropout=np.linspace(0.0, 0.5, 10)[rows], **dict(model))
    rates = (np.geomspace(1e-3, 1e-2, 10) if lr is None else lr)[rows]
    clip_norm = np.geomspace(0.5, 5.0, 10)[rows]
    split = KFold(5).split(table)[rows % 5]
    update = partial(optimizer, lr=rates)
    options = {"batch_size": 64, "clip_norm": clip_norm, **changes}
    return Trainer(replicas, table, split, metric or Accuracy(), build, update, **options)


def both(**options):
    return [trainer(device, **options) for device in ("cpu", "cuda")]


def agree(host, device, epochs=2):
    """Train both and compare what they report and where they end."""
    for _ in range(epochs):
        expected, found = host.advance(), device.advance()
        assert found.loss == pytest.approx(expected.loss, rel=1e-3)
        assert found.score == pytest.approx(expected.score, abs=0.02)
        assert isinstance(found.loss, np.ndarray)
        assert found.failures == expected.failures
    assert {array.dtype for array in (device.optimizer.lr, *device.optimizer.slots().values())} == {np.dtype("f4")}
    assert to_host(device.optimizer.lr) == pytest.approx(host.optimizer.lr, rel=1e-5)


@pytest.mark.parametrize("optimizer", [SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW])
def test_training_agrees_with_the_host(optimizer):
    agree(*both(optimizer=optimizer))


SHARES = np.linspace(0.1, 1.0, 10)
OPTIONS = {
    "standardized": {"table": blobs(standardize=True)},
    "l2": {"l2": SHARES / 100},
    "constant": {"schedule": partial(Constant, warmup=SHARES)},
    "step decay": {"schedule": partial(StepDecay, every=SHARES, factor=SHARES)},
    "exponential": {"schedule": partial(ExponentialDecay, rate=SHARES)},
    "cosine": {"schedule": partial(CosineDecay, floor=SHARES, warmup=SHARES), "epochs": 2},
    "plateau": {"schedule": partial(Plateau, factor=SHARES, threshold=1.0)},
    "noise": {"augmentation": partial(GaussianNoise, scale=SHARES)},
    "shift": {"augmentation": partial(Shift, pixels=np.arange(10) % 4)},
    "batch norm": {"model": {"normalization": partial(BatchNorm, momentum=SHARES / 2), "layers": 2}},
    "gelu": {"model": {"activation": Gelu}},
    "leaky relu": {"model": {"activation": partial(LeakyRelu, slope=SHARES / 3)}},
    "smoothing": {"model": {"loss": partial(SoftmaxCrossEntropy, smoothing=SHARES / 2)}},
    "sigmoid": {"model": {"loss": SigmoidCrossEntropy}},
    "regression": {"table": numbers(), "metric": RootMeanSquaredError(), "model": {"loss": MeanSquaredError}},
}
EVERYTHING = {
    **OPTIONS["standardized"], **OPTIONS["l2"], **OPTIONS["plateau"], **OPTIONS["noise"], **OPTIONS["batch norm"],
}  # fmt: skip


@pytest.mark.parametrize("options", [*OPTIONS.values(), EVERYTHING], ids=[*OPTIONS, "everything"])
def test_training_with_this_agrees_with_the_host(options):
    agree(*both(**options))


def test_both_devices_scale_inputs_alike():
    host, device = (each.data.scaling for each in both(**OPTIONS["regression"]))
    for expected, found in zip(host, device, strict=True):
        assert found.dtype == np.float32
        assert to_host(found) == pytest.approx(expected, rel=1e-6)
    assert (to_host(device[1])[:, 5] == 1.0).all(), "a constant feature has scale 1"


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
def test_resumed_equals_unbroken_and_survivors_go_on(options):
    unbroken, resumed, kept = (trainer("cuda", **options) for _ in range(3))
    unbroken.advance()
    kept.advance()
    resumed.restore(1, unbroken.state())
    kept.keep(np.array([7, 2]))
    expected, again, left = unbroken.advance(), resumed.advance(), kept.advance()
    assert again.loss == pytest.approx(expected.loss, rel=1e-6)
    assert left.loss == pytest.approx(expected.loss[[7, 2]], rel=1e-3)
    assert all(isinstance(array, np.ndarray) for array in unbroken.state().values())


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
def test_a_state_of_one_device_goes_on_on_the_other(options):
    host, device = both(**options)
    host.advance()
    device.restore(1, host.state())
    assert device.advance().loss == pytest.approx(host.advance().loss, rel=1e-3)


def test_divergence_stays_in_its_lane():
    lr = np.where(np.arange(10) == 4, 1e6, 1e-2)
    wild = trainer("cuda", optimizer=SGD, lr=lr)
    wild.clip_norm = None
    for _ in range(3):
        failures = wild.advance().failures
    assert failures[4].startswith("diverged in epoch 3")
    assert failures[:4] + failures[5:] == (None,) * 9

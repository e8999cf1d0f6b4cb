"""On a CUDA device: the same draws, the same training to rounding, the same keeping and resuming.

Every test runs twice: on CUDA, where there is a device, and anywhere on arrays that keep CuPy's rules without one.
"""

from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import backend
from searchlab.backend import module_of, to_device, to_host, xp_of
from searchlab.data import Examples, KFold
from searchlab.data.augmentation import GaussianNoise, Shift
from searchlab.metrics import Accuracy, RootMeanSquaredError
from searchlab.nn import (
    Affine,
    BatchNorm,
    Chain,
    Dropout,
    Gelu,
    LeakyRelu,
    MeanSquaredError,
    Parameter,
    Parameters,
    Relu,
    Sigmoid,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Tanh,
)
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop, clip_joint_norm
from searchlab.replicas import KEYS_AHEAD, Replicas, fold_seeds
from searchlab.schedules import Constant, CosineDecay, ExponentialDecay, Plateau, StepDecay
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
    "chain": lambda replicas: Chain(Affine(replicas, 6, 5), BatchNorm(replicas, 5), Relu(replicas)),
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
    return Examples(x * spread + 50.0, y, outputs=2, standardise=True)


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
    "standardised": {"table": blobs(standardise=True)},
    "l2": {"l2": SHARES / 100},
    "constant": {"schedule": partial(Constant, warmup=SHARES)},
    "step decay": {"schedule": partial(StepDecay, every=SHARES, factor=SHARES)},
    "exponential": {"schedule": partial(ExponentialDecay, rate=SHARES)},
    "cosine": {"schedule": partial(CosineDecay, floor=SHARES, warmup=SHARES), "epochs": 2},
    "plateau": {"schedule": partial(Plateau, factor=SHARES, threshold=1.0)},
    "noise": {"augmentation": partial(GaussianNoise, scale=SHARES)},
    "shift": {"augmentation": partial(Shift, pixels=np.arange(10) % 4)},
    "batch norm": {"model": {"normalisation": partial(BatchNorm, momentum=SHARES / 2), "layers": 2}},
    "gelu": {"model": {"activation": Gelu}},
    "leaky relu": {"model": {"activation": partial(LeakyRelu, slope=SHARES / 3)}},
    "smoothing": {"model": {"loss": partial(SoftmaxCrossEntropy, smoothing=SHARES / 2)}},
    "sigmoid": {"model": {"loss": SigmoidCrossEntropy}},
    "regression": {"table": numbers(), "metric": RootMeanSquaredError(), "model": {"loss": MeanSquaredError}},
}
EVERYTHING = {
    **OPTIONS["standardised"], **OPTIONS["l2"], **OPTIONS["plateau"], **OPTIONS["noise"], **OPTIONS["batch norm"],
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

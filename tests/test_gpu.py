"""On a CUDA device: the same draws, the same training to rounding, the same keeping and resuming."""

from functools import partial

import numpy as np
import pytest

from models.mlp import Mlp
from searchlab.backend import module_of, to_device, to_host, xp_of
from searchlab.data import Examples, KFold
from searchlab.metrics import Accuracy
from searchlab.nn import Affine, Dropout, Relu, Sigmoid, SoftmaxCrossEntropy, Tanh
from searchlab.optim import SGD, Adam, Momentum
from searchlab.replicas import KEYS_AHEAD, Replicas, fold_seeds
from searchlab.training import Trainer

pytestmark = pytest.mark.gpu

SEEDS = [3, 14, 15]


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
    assert to_host(device.normal(4, 2)) == pytest.approx(host.normal(4, 2))
    assert to_host(device.uniform(4, scale=[1.0, 2.0, 3.0])) == pytest.approx(host.uniform(4, scale=[1.0, 2.0, 3.0]))
    counts = np.array([9, 9, 8])
    assert (device.permutations(counts, 8) == host.permutations(counts, 8)).all()


LAYERS = {
    "affine": lambda replicas: Affine(replicas, 6, 4),
    "relu": lambda replicas: Relu(),
    "tanh": lambda replicas: Tanh(),
    "sigmoid": lambda replicas: Sigmoid(),
    "dropout": lambda replicas: Dropout(replicas, [0.0, 0.3, 0.7]),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("leading", [(5,), (4, 5)])
def test_layers_agree(build, leading):
    x = np.random.default_rng(0).standard_normal((3, *leading, 6))
    results = []
    for replicas in replicas_on_both(np.float64):
        layer = build(replicas)
        y = layer.forward(to_device(x, replicas.device), train=True)
        dx = layer.backward(y * 0.5)
        grads = [parameter.grad for _, parameter in layer.parameters()]
        assert xp_of(y) is xp_of(dx) is replicas.xp
        results.append([to_host(array) for array in (y, dx, *grads)])
    for host, device in zip(*results, strict=True):
        assert device == pytest.approx(host, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("classes", [4, 100])
def test_losses_agree(classes):
    generator = np.random.default_rng(0)
    logits, labels = generator.standard_normal((3, 5, classes)), generator.integers(classes, size=(3, 5))
    host, device = SoftmaxCrossEntropy(), SoftmaxCrossEntropy()
    on_device = device.forward(to_device(logits, "cuda"), to_device(labels, "cuda"))
    assert to_host(on_device) == pytest.approx(host.forward(logits, labels))
    assert to_host(device.backward()) == pytest.approx(host.backward())


def blobs():
    """A thousand points around ten centres: data that needs no file and no package."""
    generator = np.random.default_rng(0)
    labels = generator.integers(10, size=1000)
    points = generator.standard_normal((10, 64))[labels] + generator.standard_normal((1000, 64))
    return Examples(points.astype(np.float32), labels, classes=10)


def trainer(device, rows=range(10), optimizer=Adam, lr=None):
    rows = np.array(rows)
    table = blobs().on(device)
    replicas = Replicas(np.array(fold_seeds(0, 5), np.uint64)[rows % 5], device=device)
    build = partial(Mlp, hidden=16, dropout=np.linspace(0.0, 0.5, 10)[rows])
    rates = (np.geomspace(1e-3, 1e-2, 10) if lr is None else lr)[rows]
    clip_norm = np.geomspace(0.5, 5.0, 10)[rows]
    split = KFold(5).split(len(table))[rows % 5]
    update = partial(optimizer, lr=rates)
    return Trainer(replicas, table, split, Accuracy(), build, update, batch_size=64, clip_norm=clip_norm)


@pytest.mark.parametrize("optimizer", [SGD, Momentum, Adam])
def test_training_agrees_with_the_host(optimizer):
    trainers = [trainer(device, optimizer=optimizer) for device in ("cpu", "cuda")]
    reports = [[each.advance() for _ in range(2)] for each in trainers]
    for host, device in zip(*reports, strict=True):
        assert device.loss == pytest.approx(host.loss, rel=1e-3)
        assert device.score == pytest.approx(host.score, abs=0.02)
        assert isinstance(device.loss, np.ndarray)


def test_resumed_equals_unbroken_and_survivors_go_on():
    unbroken, resumed, kept = trainer("cuda"), trainer("cuda"), trainer("cuda")
    unbroken.advance()
    kept.advance()
    resumed.restore(1, unbroken.state())
    kept.keep(np.array([7, 2]))
    expected, again, left = unbroken.advance(), resumed.advance(), kept.advance()
    assert again.loss == pytest.approx(expected.loss, rel=1e-6)
    assert left.loss == pytest.approx(expected.loss[[7, 2]], rel=1e-3)
    assert all(isinstance(array, np.ndarray) for array in unbroken.state().values())


def test_a_state_of_one_device_goes_on_on_the_other():
    host, device = trainer("cpu"), trainer("cuda")
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

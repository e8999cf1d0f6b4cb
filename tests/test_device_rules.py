"""Operations that a GPU rejects or waits for, found without one: see fake_cupy, and test_gpu for training with it."""

from functools import partial
from operator import iadd

import numpy as np
import pytest

from models.cooccurrence import Cooccurrence
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.word2vec import Cbow, SkipGram
from searchlab import (
    Adam,
    AdamW,
    Arrays,
    Blocked,
    Fit,
    Float,
    LossPerTarget,
    ParameterCount,
    Perplexity,
    Space,
    Trainer,
    backend,
)
from searchlab.data import Batch, TokenStream, Vocabulary, WordContexts
from searchlab.data.batch import IGNORED
from searchlab.engine import local
from searchlab.nn import GRU, LSTM, RNN, BatchNorm, Parameters
from searchlab.nn.generation import generate
from searchlab.optim.schedules import Plateau
from searchlab.replicas import Replicas
from searchlab.results.winner import select_winner
from searchlab.runs.events import EventBuffer
from searchlab.runs.workspace import Workspace
from tests import fake_cupy
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.test_gpu import EVERYTHING, OPTIONS, build_trainer


@pytest.fixture(autouse=True)
def use_fake_cupy(monkeypatch):
    """Let the device "cuda" be fake_cupy."""
    monkeypatch.setattr(backend, "_cupy", lambda: fake_cupy)


def device_ones(shape=(3,), dtype=np.float32):
    return fake_cupy.asarray(np.ones(shape, dtype))


HOST_ONES = np.ones(3, np.float32)
REJECTED = {
    "host array on the right": lambda: device_ones() + HOST_ONES,
    "host array on the left": lambda: HOST_ONES + device_ones(),
    "host array in place": lambda: iadd(HOST_ONES.copy(), device_ones()),
    "device array in place": lambda: iadd(device_ones(), HOST_ONES),
    "zero-dimensional host array": lambda: device_ones() * np.ones((), np.float32),
    "NumPy's ufunc": lambda: np.sqrt(device_ones()),
    "NumPy's function": lambda: np.concatenate([device_ones(), device_ones()]),
    "conversion": lambda: np.asarray(device_ones()),
    "writing into a host array": lambda: HOST_ONES.copy().__setitem__(slice(None), device_ones()),
    "writing a host array": lambda: device_ones().__setitem__(slice(None), HOST_ONES),
    "host rows": lambda: device_ones()[np.array([0, 1])],
    "host rows taken": lambda: device_ones().take(np.array([0, 1]), axis=0),
    "a mask": lambda: device_ones()[device_ones() > 0.0],
    "truth value": lambda: bool((device_ones() > 0.0).all()),
    "conversion to a number": lambda: float(device_ones().sum()),
    "item": lambda: device_ones().sum().item(),
    "iteration": lambda: sum(device_ones()),
    "index of a host array": lambda: HOST_ONES[device_ones((), np.int64)],
    "wider number on the right": lambda: device_ones() * np.float64(2.0),
    "wider number on the left": lambda: np.float64(2.0) * device_ones(),
    "wider zero-dimensional array": lambda: device_ones() + device_ones((), np.float64),
    "a list": lambda: fake_cupy.asarray([1.0]),
}


@pytest.mark.parametrize("operation", REJECTED.values(), ids=REJECTED)
def test_fake_cupy_rejects(operation):
    with pytest.raises(TypeError):
        operation()


def test_fake_cupy_accepts_what_cupy_does():
    array = device_ones((2, 3))
    array *= 2.0
    array += fake_cupy.asarray(HOST_ONES)
    flat = array.reshape(-1)
    flat[fake_cupy.asarray(np.array([0, 5]))] -= 1.0
    array[:, 1] = np.float32(7.0)
    assert fake_cupy.asnumpy(1.0 - array).tolist() == [[-1.0, -6.0, -2.0], [-2.0, -6.0, -1.0]]
    assert (array.dtype, len(array), fake_cupy.sqrt(array.sum(axis=1)).shape) == (np.float32, 2, (2,))


class TransferCounter:
    """Counts the transfers in the steps of a trainer."""

    def __init__(self, trainer):
        self.step, self.steps, self.transfers = trainer.step, 0, fake_cupy.Counter()
        trainer.step = self

    def __call__(self, *arguments):
        before = fake_cupy.transfers.copy()
        result = self.step(*arguments)
        self.transfers += fake_cupy.transfers - before
        self.steps += 1
        return result


@pytest.mark.parametrize("options", [{}, *OPTIONS.values(), EVERYTHING], ids=["plain", *OPTIONS, "everything"])
@pytest.mark.parametrize("batch_size", [40, 400])  # so few that one block of keys lasts two epochs
def test_no_step_waits_for_the_device_and_an_epoch_waits_twice(options, batch_size):
    trainer = build_trainer("cuda", **options, batch_size=batch_size)
    trainer.advance()
    counter, before = TransferCounter(trainer), fake_cupy.transfers["to_host"]
    trainer.advance()
    assert counter.steps == 800 // batch_size
    assert not counter.transfers
    assert fake_cupy.transfers["to_host"] - before == 2, "the loss and the score"


def test_a_language_model_measures_and_generates_the_same_on_both_devices():
    ids, results = np.random.default_rng(0).integers(11, size=(2, 9, 3)), []
    targets = np.where(np.arange(9)[:, None] < 6, (ids + 1) % 11, IGNORED)
    targets[1] = (ids[1] + 1) % 11
    for device in ("cpu", "cuda"):
        model = RnnLM(Replicas([1, 2], device=device), 11, hidden=5, embed=4, layers=2)
        batch = Batch(backend.to_device(ids, device), backend.to_device(targets, device))
        before = fake_cupy.transfers["to_host"]
        scores = Perplexity().measure(model, [batch, batch])
        assert fake_cupy.transfers["to_host"] == before, "the metric waits for the device"
        norms, text = model.gradient_norms_through_time(batch), generate(model, np.array([1, 2]), 9)
        results.append((backend.to_host(scores), norms, text))
    for on_host, on_device in zip(*results, strict=True):
        assert on_device == pytest.approx(on_host, rel=1e-5)


@pytest.mark.parametrize("layer_class", [RNN, GRU, LSTM])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_recurrent_layer_computes_the_same_on_both_devices(layer_class, dtype):
    generator, results = np.random.default_rng(0), []
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    x, dy = (generator.standard_normal((3, 4, 2, size)).astype(dtype) for size in (6, 5))
    ends = [generator.standard_normal((3, 2, 5)).astype(dtype) for _ in range(2)]
    mask = np.array([[False, True], [False, True], [True, True], [True, True]])  # (T, B): padding first
    for device in ("cpu", "cuda"):
        replicas, move = Replicas([1, 2, 3], dtype=dtype, device=device), partial(backend.to_device, device=device)
        layer = layer_class(replicas, 6, 5)
        parameters = Parameters(layer.named_parameters())
        carry, found = None, []
        for options in ({"mask": move(np.broadcast_to(mask, (3, 4, 2)).copy())}, {}):  # the second window continues
            parameters.reset_gradients()
            h, carry = layer.forward(move(x), carry, train=True, **options)
            dx = layer.backward(move(dy), tuple(move(end) for end in ends[: layer.num_states]))
            gradients = [each.grad for _, each in layer.named_parameters()]
            found += [each.copy() for each in (h, *carry, dx, *layer.start_gradients(), *gradients)]
        results.append([backend.to_host(array) for array in found])
    for on_host, on_device in zip(*results, strict=True):
        assert on_device == pytest.approx(on_host, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("layer_class", [GRU, LSTM])
def test_a_fused_recurrent_layer_on_a_device_equals_its_replicas_alone(layer_class):
    x = np.random.default_rng(0).standard_normal((3, 4, 2, 6)).astype(np.float32)

    def states(seeds, rows):
        layer = layer_class(Replicas(seeds, device="cuda"), 6, 5)
        return backend.to_host(layer.forward(fake_cupy.asarray(x[rows]), train=True)[0])

    fused = states([1, 2, 3], slice(None))
    for row in range(3):
        assert np.array_equal(fused[row : row + 1], states([row + 1], slice(row, row + 1)))


def run_sweep(folder, device):
    """Run a sweep in this process, and return its trials and the winner, tested on the test rows."""
    x = np.random.default_rng(0).standard_normal((120, 4)) + 3.0
    sweep = spiral_sweep(
        trials=4,
        data=Arrays(x.astype(np.float32), (x[:, 0] > x[:, 1]).astype(int)),
        model=Space(MLP, hidden=8, normalization=Space(BatchNorm, momentum=Float(0.5, 0.9)), dropout=Float(0.0, 0.3)),
        optimizer=Space(AdamW, lr=Float(1e-3, 0.1, log=True)),
        training=Space(Trainer, batch_size=10, epochs=4, schedule=Plateau),
    )
    sweep_folder = Workspace.at(folder).sweep("one")
    sweep_folder.path.mkdir(parents=True)
    job = make_job(sweep, "one", sweep_folder.study, sweep_folder.checkpoints, trials=4, fuse=2, device=device)
    trials = local.search(job, EventBuffer()).trials
    return trials, select_winner(job, trials, sweep_folder)


def test_a_sweep_gives_the_same_result_on_both_devices(tmp_path):
    (trials, winner), (device_trials, device_winner) = (
        run_sweep(tmp_path / device, device) for device in ("cpu", "cuda")
    )
    assert fake_cupy.transfers["to_device"]
    assert [trial.reason for trial in device_trials] == [None] * 4
    assert [trial.value for trial in device_trials] == pytest.approx([trial.value for trial in trials], abs=0.03)
    assert device_winner.test_score == pytest.approx(winner.test_score, abs=0.1)
    assert device_winner.artifact_score == pytest.approx(device_winner.test_score, abs=0.05)


@pytest.mark.parametrize("negatives", [4, None])
@pytest.mark.parametrize("model", [Cbow, SkipGram])
def test_word_vectors_are_the_same_on_both_devices(model, negatives):
    words, results = np.random.default_rng(0).integers(12, size=400), []
    data = WordContexts(TokenStream(words, Vocabulary(tuple("abcdefghijkl")), 1), 3)
    split = Blocked(3).split(data)
    for device in ("cpu", "cuda"):
        build = partial(model, dimensions=5, window=2, negatives=negatives, subsample=[0.02, 0.1, 1.0])
        optimizer = partial(Adam, lr=[0.01, 0.02, 0.05])
        metrics, table = (LossPerTarget(), ParameterCount()), data.to(device)
        options = {"batch_size": 20, "clip_norm": [0.05, 0.1, 100.0], "l2": [0.1, 0.0, 0.01]}
        trainer = Trainer(Replicas([1, 2, 3], device=device), table, split, metrics, build, optimizer, **options)
        first = trainer.advance()
        trainer.select_replicas(np.array([2, 0]))
        counter = TransferCounter(trainer)
        second = trainer.advance()
        assert not counter.transfers["to_host"], "a step waits for the device"
        scores = trainer.model.predict(next(iter(trainer.data.scoring_batches(trainer.split.held_out))))[0]
        results.append((first.loss, second.loss, first.score, second.score, backend.to_host(scores)))
    for on_host, on_device in zip(*results, strict=True):
        assert on_device == pytest.approx(on_host, rel=2e-3, abs=1e-5)


def test_fitted_word_vectors_are_the_same_on_both_devices():
    words, results = np.random.default_rng(0).integers(12, size=400), []
    data = WordContexts(TokenStream(words, Vocabulary(tuple("abcdefghijkl")), 1), 3)
    split = Blocked(3).split(data)
    for device in ("cpu", "cuda"):
        build = partial(Cooccurrence, dimensions=5, window=2)
        fit = Fit(Replicas([1, 2, 3], device=device), data.to(device), split, ParameterCount(), build)
        fit.advance()
        results.append(backend.to_host(fit.model.word_vectors()))
    assert results[1] == pytest.approx(results[0], rel=1e-4, abs=1e-6)

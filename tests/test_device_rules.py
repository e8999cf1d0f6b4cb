"""What a GPU would refuse or wait for, found without one: see fake_cupy, and test_gpu for training under its rules."""

from operator import iadd

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab import AdamW, Arrays, Float, Perplexity, Space, Trainer, backend
from searchlab.data import Batch
from searchlab.data.batch import IGNORED
from searchlab.engine import local
from searchlab.nn import BatchNorm
from searchlab.nn.generation import sample
from searchlab.optim.schedules import Plateau
from searchlab.replicas import Replicas
from searchlab.results.winner import select_winner
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.runs.workspace import Workspace
from tests import fake_cupy
from tests.sweeps import spiral_sweep
from tests.test_gpu import EVERYTHING, OPTIONS, trainer


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    """Behind the device "cuda" are CuPy's rules alone."""
    monkeypatch.setattr(backend, "_cupy", lambda: fake_cupy)


def there(shape=(3,), dtype=np.float32):
    return fake_cupy.asarray(np.ones(shape, dtype))


HOST = np.ones(3, np.float32)
REFUSED = {
    "host array on the right": lambda: there() + HOST,
    "host array on the left": lambda: HOST + there(),
    "host array in place": lambda: iadd(HOST.copy(), there()),
    "device array in place": lambda: iadd(there(), HOST),
    "host array of no dimension": lambda: there() * np.ones((), np.float32),
    "NumPy's ufunc": lambda: np.sqrt(there()),
    "NumPy's function": lambda: np.concatenate([there(), there()]),
    "conversion": lambda: np.asarray(there()),
    "writing into a host array": lambda: HOST.copy().__setitem__(slice(None), there()),
    "writing a host array": lambda: there().__setitem__(slice(None), HOST),
    "host rows": lambda: there()[np.array([0, 1])],
    "host rows taken": lambda: there().take(np.array([0, 1]), axis=0),
    "a mask": lambda: there()[there() > 0.0],
    "truth": lambda: bool((there() > 0.0).all()),
    "number": lambda: float(there().sum()),
    "item": lambda: there().sum().item(),
    "iteration": lambda: sum(there()),
    "position": lambda: HOST[there((), np.int64)],
    "wider number on the right": lambda: there() * np.float64(2.0),
    "wider number on the left": lambda: np.float64(2.0) * there(),
    "wider array of no dimension": lambda: there() + there((), np.float64),
    "a list": lambda: fake_cupy.asarray([1.0]),
}


@pytest.mark.parametrize("broken", REFUSED.values(), ids=REFUSED)
def test_the_rules_refuse(broken):
    with pytest.raises(TypeError):
        broken()


def test_the_rules_allow_what_cupy_does():
    a = there((2, 3))
    a *= 2.0
    a += fake_cupy.asarray(HOST)
    flat = a.reshape(-1)
    flat[fake_cupy.asarray(np.array([0, 5]))] -= 1.0
    a[:, 1] = np.float32(7.0)
    assert fake_cupy.asnumpy(1.0 - a).tolist() == [[-1.0, -6.0, -2.0], [-2.0, -6.0, -1.0]]
    assert (a.dtype, len(a), fake_cupy.sqrt(a.sum(axis=1)).shape) == (np.float32, 2, (2,))


class Watched:
    """What is moved while a trainer steps."""

    def __init__(self, trainer):
        self.step, self.steps, self.moved = trainer.step, 0, fake_cupy.Counter()
        trainer.step = self

    def __call__(self, *arguments):
        before = fake_cupy.moved.copy()
        answer = self.step(*arguments)
        self.moved += fake_cupy.moved - before
        self.steps += 1
        return answer


@pytest.mark.parametrize("options", [{}, *OPTIONS.values(), EVERYTHING], ids=["plain", *OPTIONS, "everything"])
@pytest.mark.parametrize("batch_size", [40, 400])  # in two epochs fewer draws than the keys of one upload
def test_no_step_waits_for_the_device_and_an_epoch_does_three_times(options, batch_size):
    one = trainer("cuda", **options, batch_size=batch_size)
    one.advance()
    watched, before = Watched(one), fake_cupy.moved["to the host"]
    one.advance()
    assert watched.steps == 800 // batch_size
    assert not watched.moved
    assert fake_cupy.moved["to the host"] - before == 3, "the loss, the score, and the loss of the first batch"


def test_a_language_model_is_judged_and_writes_alike_on_either_device():
    ids, told = np.random.default_rng(0).integers(11, size=(2, 9, 3)), []
    targets = np.where(np.arange(9)[:, None] < 6, (ids + 1) % 11, IGNORED)
    targets[1] = (ids[1] + 1) % 11
    for device in ("cpu", "cuda"):
        model = RnnLM(Replicas([1, 2], device=device), 11, hidden=5, embed=4, layers=2)
        batch = Batch(backend.to_device(ids, device), backend.to_device(targets, device))
        before = fake_cupy.moved["to the host"]
        scores = Perplexity().measure(model, [batch, batch])
        assert fake_cupy.moved["to the host"] == before, "the metric waits for the device"
        told.append((backend.to_host(scores), model.through_time(batch), sample(model, np.array([1, 2]), 9)))
    for on_host, on_device in zip(*told, strict=True):
        assert on_device == pytest.approx(on_host, rel=1e-5)


def ended(folder, device):
    """A sweep in this process: its trials, and the winner on its test rows."""
    x = np.random.default_rng(0).standard_normal((120, 4)) + 3.0
    sweep = spiral_sweep(
        trials=4,
        data=Arrays(x.astype(np.float32), (x[:, 0] > x[:, 1]).astype(int)),
        model=Space(MLP, hidden=8, normalization=Space(BatchNorm, momentum=Float(0.5, 0.9)), dropout=Float(0.0, 0.3)),
        optimizer=Space(AdamW, lr=Float(1e-3, 0.1, log=True)),
        training=Space(Trainer, batch_size=10, epochs=4, schedule=Plateau),
    )
    home = Workspace.at(folder).sweep("one")
    home.path.mkdir(parents=True)
    job = Job(sweep, "one", home.study, home.checkpoints, trials=4, fuse=2, device=device)
    trials = local.search(job, Buffer()).trials
    return trials, select_winner(sweep, trials, home, seed=0, device=device)


def test_a_sweep_ends_alike_on_either_device(tmp_path):
    (host, crowned), (device, crowned_there) = (ended(tmp_path / device, device) for device in ("cpu", "cuda"))
    assert fake_cupy.moved["to the device"]
    assert [trial.reason for trial in device] == [None] * 4
    assert [trial.value for trial in device] == pytest.approx([trial.value for trial in host], abs=0.03)
    assert crowned_there.test_score == pytest.approx(crowned.test_score, abs=0.1)
    assert crowned_there.artifact_score == pytest.approx(crowned_there.test_score, abs=0.05)

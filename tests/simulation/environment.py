"""What stands in for Ray, training, clocks, measurements and the disk of a simulated search."""

from __future__ import annotations

from types import SimpleNamespace

from searchlab.engine import checkpoints, group_run, remote_study, tune_hooks, tune_worker, worker
from searchlab.study import study, trial_store
from searchlab.study.storage.journal import OwnedJournal
from tests.simulation.processes import get
from tests.simulation.settings import FOLDS
from tests.simulation.training import StubMemory, StubTrainer, start_values


class DriverKilled(BaseException):
    """Raised where the study's process is killed, with the driver."""


class Environment:
    """The surroundings of a simulated search, which take every number from `draws`.

    Args:
        settings: The settings of the search.
        draws: The random numbers.
        pause: Called where another process may take its turn.

    Attributes:
        checkpoints: The blobs of checkpoints by name.
        lines_left: Lines that the study writes until it is killed; None where it is not killed.
        is_torn: Whether it was killed while it wrote, so that an event of it may be missing.
    """

    def __init__(self, settings, draws, pause):
        self._settings, self._draws, self._pause = settings, draws, pause
        self.checkpoints, self.lines_left, self.is_torn = {}, None, False
        self._now, self._tick = 1000.0, draws.choice([0.0005, 0.01, 0.1, 0.5])  # seconds

    def patch(self, monkeypatch):
        """Have the library use these surroundings."""
        context = SimpleNamespace(get_node_id=lambda: self._draws.choice(["node-1", "node-2"]))
        ray = SimpleNamespace(get=get, get_runtime_context=lambda: context)
        clock = SimpleNamespace(monotonic=self.clock, time=self.clock, sleep=lambda seconds: self._pause())
        for module in (remote_study, tune_worker, tune_hooks):
            monkeypatch.setattr(module, "ray", ray)
        for module in (remote_study, tune_worker, tune_hooks, checkpoints, trial_store):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(checkpoints, "open_blob_store", lambda location: self)
        monkeypatch.setattr(tune_hooks, "withhold_store_keys", lambda: None)
        monkeypatch.setattr(study, "FileLock", lambda *_, **__: SimpleNamespace(release=lambda: None))
        append = OwnedJournal.append_logs
        monkeypatch.setattr(OwnedJournal, "append_logs", lambda journal, logs: self._append(append, journal, logs))
        self._patch_training(monkeypatch)

    def clock(self):
        """Return the time in seconds, which each look at the clock moves on."""
        self._now += self._draws.random() * 2 * self._tick
        return self._now

    def write(self, name, content):
        self._pause()
        self.checkpoints[name] = content
        self._pause()

    def read(self, name):
        self._pause()
        return self.checkpoints.get(name)

    def delete(self, name):
        self._pause()
        self.checkpoints.pop(name, None)
        self._pause()

    def _patch_training(self, monkeypatch):
        settings = self._settings
        speed = SimpleNamespace(best_group_size=lambda leader, size: self._draws.randint(1, size))
        monkeypatch.setattr(group_run, "build_trainer", self._build_trainer)
        monkeypatch.setattr(group_run, "MIN_MERGE_SECONDS", 0.0 if settings.merges else 0.5)
        monkeypatch.setattr(worker, "MemoryModel", lambda *_: StubMemory(FOLDS, settings.fitting_trials))
        monkeypatch.setattr(worker, "SpeedModel", lambda *_: speed)
        monkeypatch.setattr(tune_worker, "cluster_worker_memory", lambda *_: 10**9)

    def _append(self, append, journal, logs):
        """Write to the study's journal, unless the study is killed before."""
        if self.lines_left == 0:
            self.is_torn = True
            raise DriverKilled
        append(journal, logs)
        if self.lines_left is not None:
            self.lines_left -= 1

    def _build_trainer(self, sweep, parameters, data, split, seed, device):
        starts = [start for values in parameters for start in start_values(values, split.folds)]
        rates = self._settings.diverging, self._settings.broken
        epochs = sweep.training.arguments["epochs"]
        return StubTrainer(starts, epochs, self._train_epoch, rates, len(sweep.metrics))

    def _train_epoch(self):
        """Return the seconds of an epoch, and the time at its end; raise MemoryError where no memory is left."""
        self._pause()
        if self._settings.exhausting and self._draws.randrange(self._settings.exhausting) == 0:
            raise MemoryError("no memory is left")
        return self._draws.choice([0.001, 0.001, 0.2]), self.clock()

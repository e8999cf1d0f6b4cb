"""The two engines give the same results: Ray Tune with real workers, and the local engine in this process."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass

import optuna
import pytest
import ray

from models.mlp import MLP
from searchlab import SGD, Choice, Float, Resources, Space, Trainer
from searchlab.backend import unavailable_reason
from searchlab.data import Examples
from searchlab.engine import local, ray_tune
from searchlab.errors import WorldFault
from searchlab.pruning.halving import Halving
from searchlab.runs.events import EpochFinished, EventBuffer, TrialFinished
from searchlab.study.reading import read_trials
from tests.conftest import ROOT
from tests.jobs import make_job
from tests.local_cluster import local_ray
from tests.sweeps import spiral_sweep

pytestmark = pytest.mark.slow


def spiral_job(folder, sweep=None, **changes):
    folder.mkdir(exist_ok=True)
    fields = {"trials": 6, "root": ROOT, **changes}
    return make_job(sweep or spiral_sweep(), "spiral", folder / "study.journal", folder / "checkpoints", **fields)


def facts(records):
    return [(t.number, t.state, t.parameters, t.value, t.curve.scores, t.curve.losses) for t in records]


@pytest.mark.parametrize("fuse", [1, 3])
def test_both_engines_give_the_same_trials_with_one_group_at_a_time(shared_ray, tmp_path, fuse):
    in_process = local.search(spiral_job(tmp_path / "local", fuse=fuse), local_events := EventBuffer()).trials
    on_ray = ray_tune.search(spiral_job(tmp_path / "tune", fuse=fuse), ray_events := EventBuffer()).trials
    assert facts(on_ray) == facts(in_process)
    assert [type(event) for event in ray_events.drain()] == [type(event) for event in local_events.drain()]
    assert not list((tmp_path / "tune" / "checkpoints").iterdir())


def test_two_workers_end_every_trial_once(shared_ray, tmp_path):
    records = ray_tune.search(spiral_job(tmp_path, trials=12, fuse=2, workers=2), events := EventBuffer()).trials
    assert [record.state for record in records] == ["COMPLETE"] * 12
    ends = [event.trial for event in events.drain() if isinstance(event, TrialFinished)]
    assert sorted(ends) == list(range(12))


def test_workers_end_with_a_sampler_that_has_no_more_points(shared_ray, tmp_path):
    sampler = optuna.samplers.GridSampler({"model.hidden": [5, 10], "training.clip_norm": [0.5, 1.0, 2.0]}, seed=0)
    space = {"model": Space(MLP, hidden=Choice(5, 10)), "optimizer": Space(SGD, lr=0.5)}
    training = Space(Trainer, batch_size=10, epochs=3, clip_norm=Choice(0.5, 1.0, 2.0))
    sweep = spiral_sweep(**space, training=training, sampler=sampler)
    found = ray_tune.search(spiral_job(tmp_path, sweep, trials=50, workers=2), EventBuffer())
    assert found.over == "the sampler has no more points"
    assert {record.state for record in found.trials} == {"COMPLETE"}
    assert len({tuple(record.parameters.values()) for record in found.trials}) == 6


def test_a_diverged_trial_fails_and_the_others_continue(shared_ray, tmp_path):
    sweep = spiral_sweep(optimizer=Space(SGD, lr=Float(1e-2, 1e8, log=True)))
    records = ray_tune.search(spiral_job(tmp_path, sweep, trials=10, fuse=5, workers=2), EventBuffer()).trials
    states = {record.state for record in records}
    assert states == {"COMPLETE", "FAIL"}
    assert all("diverged" in record.reason for record in records if record.state == "FAIL")


def test_a_reproducible_search_is_the_same_with_any_number_of_workers(shared_ray, tmp_path):
    def search(name, engine, workers):
        job = spiral_job(tmp_path / name, sweep, trials=20, workers=workers, generation=6)
        return facts(engine.search(job, EventBuffer()).trials)

    sweep = spiral_sweep(pruner=Halving(reduction_factor=2, first_rung=1, min_survivors=1), epochs=8)
    in_process = search("local", local, 1)
    assert {state for _, state, *_ in in_process} == {"COMPLETE", "PRUNED"}
    assert search("one", ray_tune, 1) == in_process
    assert search("two", ray_tune, 2) == in_process


def test_the_pruner_compares_the_trials_of_two_workers(shared_ray, tmp_path):
    sweep = spiral_sweep(pruner=Halving(race=None), epochs=12)
    records = ray_tune.search(spiral_job(tmp_path, sweep, trials=30, workers=2, fuse=3), events := EventBuffer()).trials
    states = [record.state for record in records]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert states.count("PRUNED") > 10
    for record in records:
        epochs = len(record.curve.scores)
        assert epochs == 12 if record.state == "COMPLETE" else epochs in (2, 6), (
            "stopped at a rung, and trained no epoch longer"
        )
        assert record.state == "COMPLETE" or "after epoch" in record.reason
    ends = [event.trial for event in events.drain() if isinstance(event, TrialFinished)]
    assert sorted(ends) == list(range(30))


@dataclass(frozen=True)
class MissingData:
    """Data that no process finds."""

    def training(self):
        raise WorldFault("spiral.csv is missing")

    testing = training


def test_a_world_fault_ends_the_search_and_leaves_the_trials_open(shared_ray, tmp_path):
    with pytest.raises(WorldFault, match=r"spiral\.csv is missing"):
        ray_tune.search(spiral_job(tmp_path, spiral_sweep(data=MissingData()), workers=2), EventBuffer())
    trials = ray_tune.search(spiral_job(tmp_path, workers=2), EventBuffer()).trials
    assert [record.state for record in trials] == ["COMPLETE"] * 6


@dataclass(frozen=True)
class SlowSpiral:
    """Spiral points with slow epochs, which record the ids of the processes that read them."""

    pids: str

    def training(self):
        with open(self.pids, "a") as file:
            file.write(f"{os.getpid()}\n")
        data = spiral_sweep().data.training()

        class SlowExamples(Examples):
            def training_batches(self, split, replicas, batch_size):
                time.sleep(0.25)
                return super().training_batches(split, replicas, batch_size)

            def to(self, device):
                return self

        return SlowExamples(data.x, data.y, data.outputs)

    testing = training


def test_a_killed_worker_is_restarted_and_its_group_continues_from_its_checkpoint(shared_ray, tmp_path):
    pids = tmp_path / "pids"
    sweep = spiral_sweep(
        data=SlowSpiral(str(pids)), training=Space(Trainer, batch_size=10, epochs=12, clip_norm=Float(0.5, 5.0))
    )

    def kill_worker_after_some_epochs():
        while not list((tmp_path / "checkpoints").glob("*.npz")):
            time.sleep(0.02)
        os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_worker_after_some_epochs)
    killer.start()
    records = ray_tune.search(spiral_job(tmp_path, sweep, trials=2, fuse=2), events := EventBuffer()).trials
    killer.join()
    assert [record.state for record in records] == ["COMPLETE"] * 2
    assert all(len(record.curve.scores) == 12 for record in records)
    assert len(set(pids.read_text().split())) == 2, "two processes have trained"
    logged = [(event.trial, event.epoch) for event in events.drain() if isinstance(event, EpochFinished)]
    assert sorted(logged) == sorted({(trial, epoch) for trial in (0, 1) for epoch in range(1, 13)})
    uninterrupted = local.search(spiral_job(tmp_path / "uninterrupted", sweep, trials=2, fuse=2), EventBuffer()).trials
    assert facts(records) == facts(uninterrupted)


@dataclass(frozen=True)
class DriverOnlyData:
    """Data that only the driver can read."""

    pid: int

    def training(self):
        if os.getpid() != self.pid:
            raise WorldFault("only the driver has the rows")
        return spiral_sweep().data.training()

    testing = training


def test_shipped_rows_are_read_by_the_driver_only_and_give_the_same_trials(shared_ray, tmp_path):
    sweep = spiral_sweep(data=DriverOnlyData(os.getpid()))
    with pytest.raises(WorldFault, match="only the driver has the rows"):
        ray_tune.search(spiral_job(tmp_path / "read", sweep, fuse=3), EventBuffer())
    shipped = ray_tune.search(spiral_job(tmp_path / "sent", sweep, fuse=3, ship_data=True), EventBuffer()).trials
    in_process = local.search(spiral_job(tmp_path / "local", sweep, fuse=3), EventBuffer()).trials
    assert facts(shipped) == facts(in_process)


def test_a_machine_too_small_for_a_group_is_a_fault_with_the_numbers(shared_ray, tmp_path):
    sweep = spiral_sweep(resources=Resources(cpus=64))
    with pytest.raises(WorldFault, match=r"64 CPU.* 2 CPU and .* GB"):
        ray_tune.search(spiral_job(tmp_path, sweep, workers=None), EventBuffer())


def test_groups_that_need_two_cores_train_one_at_a_time_on_two_cores(shared_ray, tmp_path):
    sweep = spiral_sweep(resources=Resources(cpus=2))
    records = ray_tune.search(spiral_job(tmp_path, sweep, workers=None), EventBuffer()).trials
    assert [record.state for record in records] == ["COMPLETE"] * 6


def test_an_unusable_gpu_ends_the_search_and_fails_no_trial(tmp_path):
    """Ray counts a GPU where the machine has none, as on a node without CuPy."""
    if unavailable_reason("cuda") is None:
        pytest.skip("this machine's GPU can be used")
    ray.shutdown()
    job = spiral_job(tmp_path, device="cuda", workers=None)
    with local_ray(num_cpus=2, num_gpus=1), pytest.raises(WorldFault, match="cannot train on cuda: CuPy"):
        ray_tune.search(job, EventBuffer())
    assert {record.state for record in read_trials(tmp_path / "study.journal", "spiral")} <= {"RUNNING"}

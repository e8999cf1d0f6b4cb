"""The two engines: Ray Tune with real workers, and this process, from the same study."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, replace

import pytest
import ray

from searchlab import Float, Resources, Space, Trainer
from searchlab.backend import unavailable_reason
from searchlab.cluster import connection
from searchlab.data import Examples
from searchlab.engine import local, ray_tune
from searchlab.errors import WorldFault
from searchlab.pruning.halving import Halving
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.study.reading import peek
from tests.conftest import ROOT
from tests.sweeps import spiral_sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """One local Ray for all tests of this file: the engine uses the one its process is connected to."""
    before = dict(os.environ)
    os.environ.update(connection.QUIET)
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=2**28, **connection.SILENT)
    yield
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def job(folder, sweep=None, **changes):
    folder.mkdir(exist_ok=True)
    made = Job(sweep or spiral_sweep(), "spiral", folder / "study.journal", folder / "checkpoints", trials=6, root=ROOT)
    return replace(made, **changes)


def facts(records):
    return [(t.number, t.state, t.parameters, t.value, t.curve.scores, t.curve.losses) for t in records]


@pytest.mark.parametrize("fuse", [1, 3])
def test_one_group_at_a_time_both_engines_give_the_same_trials(cluster, tmp_path, fuse):
    here = local.search(job(tmp_path / "local", fuse=fuse), told := Buffer()).trials
    there = ray_tune.search(job(tmp_path / "tune", fuse=fuse, workers=1), heard := Buffer()).trials
    assert facts(there) == facts(here)
    assert [method for method, _ in heard.drain()] == [method for method, _ in told.drain()]
    assert not list((tmp_path / "tune" / "checkpoints").iterdir())


def test_two_workers_end_every_trial_once(cluster, tmp_path):
    records = ray_tune.search(job(tmp_path, trials=12, fuse=2, workers=2), heard := Buffer()).trials
    assert [record.state for record in records] == ["COMPLETE"] * 12
    ends = [arguments["trial"] for method, arguments in heard.drain() if method == "finish"]
    assert sorted(ends) == list(range(12))


def test_a_diverged_trial_fails_and_the_others_go_on(cluster, tmp_path):
    from searchlab import SGD

    sweep = spiral_sweep(optimizer=Space(SGD, lr=Float(1e-2, 1e8, log=True)))
    records = ray_tune.search(job(tmp_path, sweep, trials=10, fuse=5, workers=2), Buffer()).trials
    states = {record.state for record in records}
    assert states == {"COMPLETE", "FAIL"}
    assert all("diverged" in record.reason for record in records if record.state == "FAIL")


def test_a_reproducible_search_is_the_same_with_any_number_of_workers(cluster, tmp_path):
    def found(name, engine, workers):
        asked = job(tmp_path / name, sweep, trials=20, workers=workers, generation=6, fuse="auto")
        return facts(engine.search(asked, Buffer()).trials)

    sweep = spiral_sweep(pruner=Halving(reduction=2, first=1, least=1), epochs=8)
    here = found("here", local, 1)
    assert {state for _, state, *_ in here} == {"COMPLETE", "PRUNED"}
    assert found("one", ray_tune, 1) == here
    assert found("two", ray_tune, 2) == here


def test_two_workers_prune_by_each_others_curves(cluster, tmp_path):
    sweep = spiral_sweep(pruner=Halving(race=None), epochs=12)
    records = ray_tune.search(job(tmp_path, sweep, trials=30, workers=2, fuse=3), heard := Buffer()).trials
    states = [record.state for record in records]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert states.count("PRUNED") > 10
    for record in records:
        epochs = len(record.curve.scores)
        assert epochs == 12 if record.state == "COMPLETE" else epochs in (2, 6), "stopped at a rung, no epoch later"
        assert record.state == "COMPLETE" or "after epoch" in record.reason
    ends = [arguments["trial"] for method, arguments in heard.drain() if method == "finish"]
    assert sorted(ends) == list(range(30))


@dataclass(frozen=True)
class Missing:
    """Data that no worker finds."""

    def training(self):
        raise WorldFault("spiral.csv is missing")

    testing = training


def test_a_fault_of_the_world_ends_the_search_and_leaves_the_trials_open(cluster, tmp_path):
    with pytest.raises(WorldFault, match=r"spiral\.csv is missing"):
        ray_tune.search(job(tmp_path, spiral_sweep(data=Missing()), workers=2), Buffer())
    good = ray_tune.search(job(tmp_path, workers=2), Buffer()).trials
    assert [record.state for record in good] == ["COMPLETE"] * 6


@dataclass(frozen=True)
class Slow:
    """Spirals whose every epoch takes a while, and which write down who trains."""

    pids: str

    def training(self):
        with open(self.pids, "a") as file:
            file.write(f"{os.getpid()}\n")
        table = spiral_sweep().data.training()

        class SlowExamples(Examples):
            def epoch(self, split, replicas, batch_size):
                time.sleep(0.25)
                return super().epoch(split, replicas, batch_size)

            def on(self, device):
                return self

        return SlowExamples(table.x, table.y, table.outputs)

    testing = training


def test_a_killed_worker_is_replaced_and_its_group_goes_on_from_its_checkpoint(cluster, tmp_path):
    pids = tmp_path / "pids"
    sweep = spiral_sweep(
        data=Slow(str(pids)), training=Space(Trainer, batch_size=10, epochs=12, clip_norm=Float(0.5, 5.0))
    )

    def kill_the_worker_after_some_epochs():
        while not list((tmp_path / "checkpoints").glob("*.npz")):
            time.sleep(0.02)
        os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_the_worker_after_some_epochs)
    killer.start()
    records = ray_tune.search(job(tmp_path, sweep, trials=2, fuse=2, workers=1), heard := Buffer()).trials
    killer.join()
    assert [record.state for record in records] == ["COMPLETE"] * 2
    assert all(len(record.curve.scores) == 12 for record in records)
    assert len(set(pids.read_text().split())) == 2, "two processes have trained"
    logged = [(a["trial"], a["epoch"]) for method, a in heard.drain() if method == "log"]
    assert sorted(logged) == sorted({(trial, epoch) for trial in (0, 1) for epoch in range(1, 13)})
    unbroken = local.search(job(tmp_path / "unbroken", sweep, trials=2, fuse=2), Buffer()).trials
    assert facts(records) == facts(unbroken)


@dataclass(frozen=True)
class OnlyHere:
    """Data that no process but the driver can read."""

    pid: int

    def training(self):
        if os.getpid() != self.pid:
            raise WorldFault("the rows are on the driver's disk alone")
        return spiral_sweep().data.training()

    testing = training


def test_rows_that_travel_are_read_by_the_driver_alone_and_train_the_same(cluster, tmp_path):
    sweep = spiral_sweep(data=OnlyHere(os.getpid()))
    with pytest.raises(WorldFault, match="on the driver's disk alone"):
        ray_tune.search(job(tmp_path / "read", sweep, workers=1, fuse=3), Buffer())
    there = ray_tune.search(job(tmp_path / "sent", sweep, workers=1, fuse=3, ship_data=True), Buffer()).trials
    here = local.search(job(tmp_path / "here", sweep, fuse=3), Buffer()).trials
    assert facts(there) == facts(here)


def test_what_not_one_group_fits_into_is_refused_with_the_numbers(cluster, tmp_path):
    sweep = spiral_sweep(resources=Resources(cpus=64))
    with pytest.raises(WorldFault, match=r"it takes 64 CPU for a group on cpu, and there is 2 CPU and .* GB"):
        ray_tune.search(job(tmp_path, sweep, workers=None), Buffer())


def test_a_group_that_takes_two_cores_trains_one_at_a_time_on_two(cluster, tmp_path):
    sweep = spiral_sweep(resources=Resources(cpus=2))
    records = ray_tune.search(job(tmp_path, sweep, workers=None), Buffer()).trials
    assert [record.state for record in records] == ["COMPLETE"] * 6


def test_a_node_whose_gpu_cannot_be_used_ends_the_search_and_fails_no_trial(tmp_path):
    """Ray counts one where the machine has none: as a node without CuPy would look."""
    if unavailable_reason("cuda") is None:
        pytest.skip("this machine's GPU can be used")
    ray.shutdown()
    before = dict(os.environ)
    os.environ.update(connection.QUIET)
    ray.init(
        address="local", num_cpus=2, num_gpus=1, include_dashboard=False, object_store_memory=2**28,
        **connection.SILENT,
    )  # fmt: skip
    try:
        with pytest.raises(WorldFault, match=r"cannot train on cuda: CuPy"):
            ray_tune.search(job(tmp_path, spiral_sweep(), device="cuda", workers=None), Buffer())
        assert {record.state for record in peek(tmp_path / "study.journal", "spiral")} <= {"RUNNING"}
    finally:
        ray.shutdown()
        os.environ.clear()
        os.environ.update(before)

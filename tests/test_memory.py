"""Memory: what a group takes is measured before it is built, and a group that does not fit trains in parts."""

from __future__ import annotations

import tracemalloc
from contextlib import ExitStack

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Choice, Float, Holdout, Int, Mnist, Momentum, Relu, Sigmoid, Space, Trainer, machine
from searchlab.engine import local, memory_limits
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.engine.payload import payload_for_study
from searchlab.engine.study_actor import StudyActor
from searchlab.engine.worker import Worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.estimate.memory_range import measure_memory_range
from searchlab.fusion import memory
from searchlab.fusion.corner_points import corner_point
from searchlab.fusion.groups import Group, build_trainer
from searchlab.fusion.memory import MemoryModel
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EventBuffer, Message
from searchlab.space.byte_size import format_bytes
from searchlab.space.resources import Resources
from searchlab.study.study import Study
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.workers import RecordingStudy, make_worker

LR = {"optimizer": "Adam", "optimizer.Adam.lr": 0.01}


def wide_sweep(hidden, optimizer=Adam, batch_size=30, **changes):
    """Return a sweep with one point: a network of this width."""
    model = Space(MLP, hidden=hidden, dropout=0.2)
    training = Space(Trainer, batch_size=batch_size, epochs=3, clip_norm=1.0)
    return spiral_sweep(model=model, optimizer=Space(optimizer), training=training, **changes)


def actual_peak_bytes(sweep, replicas):
    """Return the peak bytes of training this many replicas for two epochs, with a checkpoint after each."""
    data = sweep.data.training()
    split = sweep.validation.split(data)
    tracemalloc.start()
    trainer = build_trainer(sweep, [{}], data, split[np.arange(replicas) % split.folds], 0, "cpu")
    for _ in range(2):
        trainer.advance()
        kept = {name: array.copy() for name, array in trainer.state().items()}
        del kept
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "sweep",
    [
        wide_sweep(10, SGD),
        wide_sweep(100),
        wide_sweep((300, 200), Momentum),
        wide_sweep((700, 700), batch_size=30),
        wide_sweep(400, validation=Holdout(0.3)),
    ],
    ids=["10", "100", "300-200", "700-700", "one fold"],
)
def test_need_measured_on_few_replicas_holds_for_many(sweep):
    need = MemoryModel(sweep, sweep.data.training()).measure({})
    for replicas in (1, 5, 20):
        assert 0.65 < need.total_bytes(replicas) / actual_peak_bytes(sweep, replicas) < 1.35


def test_structure_is_measured_once(monkeypatch):
    built = []  # parameters of each trainer
    monkeypatch.setattr(
        memory, "build_trainer", lambda *arguments: built.append(arguments[1]) or build_trainer(*arguments)
    )
    sweep = spiral_sweep()
    model = MemoryModel(sweep, sweep.data.training())
    trials = [{"model.hidden": 10, "model.dropout": rate, "training.clip_norm": 1.0} | LR for rate in (0.1, 0.3, 0.2)]
    assert model.max_trials(trials, 10**9) == 3
    assert len(built) == 1, "one replica is enough where much memory is left"
    assert model.measure(trials[1]) == model.measure(trials[2]) == model.measure(trials[0])
    assert len(built) == 2
    without_dropout = model.measure({**trials[0], "model.dropout": 0.0})
    assert without_dropout.replica_bytes < model.measure(trials[0]).replica_bytes


def test_copies_of_an_optimizer_step_are_counted_on_a_gpu():
    """A measurement on the host does not see them: only there the step works on small blocks."""
    sweep = wide_sweep(10_000)  # so large that Python objects are negligible
    cpu, cuda = (MemoryModel(sweep, sweep.data.training(), device).measure({}) for device in ("cpu", "cuda"))
    assert cuda.replica_bytes - cpu.replica_bytes == pytest.approx(2 * 4 * cpu.parameter_count, rel=0.1)


def test_kernels_are_loaded_outside_of_a_measurement(monkeypatch):
    """The import of Numba takes four times as long where tracemalloc counts, and its code is not a replica's."""
    traced, cold, loaded = [], iter([True, False]), iter([1, 2, 2, 2])  # the second measurement is a repetition
    monkeypatch.setattr(memory, "kernels_are_cold", lambda: next(cold))
    monkeypatch.setattr(memory, "loaded_kernels", lambda: next(loaded))

    def build(*arguments):
        traced.append(tracemalloc.is_tracing())
        return build_trainer(*arguments)

    monkeypatch.setattr(memory, "build_trainer", build)
    sweep = wide_sweep(10)
    MemoryModel(sweep, sweep.data.training()).upper_bound({})
    assert traced == [False, True, True]


def test_measuring_does_not_stop_a_running_tracemalloc():
    sweep = wide_sweep(10_000)  # so large that Python objects are negligible
    model = MemoryModel(sweep, sweep.data.training())
    tracemalloc.start()
    try:
        first = model.measure({})
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    assert MemoryModel(sweep, sweep.data.training()).measure({}).replica_bytes == pytest.approx(
        first.replica_bytes, rel=0.2
    )
    assert not tracemalloc.is_tracing()


def job(folder, sweep=None, *, limit=None, trials=6, fuse=6):
    return make_job(sweep or spiral_sweep(), "m", folder / "j", folder / "checkpoints", trials, fuse=fuse, memory=limit)


def limit_for(sweep, parameters, trials):
    """Return a limit in bytes into which this many trials fit, and not one more."""
    model = MemoryModel(sweep, sweep.data.training())
    need = model.measure(parameters)
    return model.data_bytes + need.total_bytes(trials * model.folds) + need.replica_bytes // 2


def messages(buffer):
    return [event.text for event in buffer.drain() if isinstance(event, Message)]


def test_too_large_group_trains_in_parts_with_the_same_results(tmp_path, monkeypatch):
    sweep = spiral_sweep()
    unlimited, limited = EventBuffer(), EventBuffer()
    (tmp_path / "a").mkdir()
    whole = local.search(job(tmp_path / "a", trials=12), unlimited).trials
    largest = max((record.parameters for record in whole), key=lambda p: p["model.hidden"])
    sizes = []
    train = Worker._train
    monkeypatch.setattr(
        Worker, "_train", lambda self, part, **how: sizes.append(len(part.trials)) or train(self, part, **how)
    )
    (tmp_path / "b").mkdir()
    parts = local.search(job(tmp_path / "b", trials=12, limit=limit_for(sweep, largest, 2)), limited).trials
    assert sum(sizes) == 12
    assert max(sizes) < 6
    for one, other in zip(whole, parts, strict=True):
        assert (one.parameters, one.value, one.curve.scores) == (other.parameters, other.value, other.curve.scores)
    assert messages(unlimited) == []
    notes = messages(limited)
    assert len(notes) == len(set(notes))
    assert 1 <= len(notes) <= 2, "once for each structure"
    assert "of a group of 6 trials" in notes[0]


POINT = {"model.hidden": 10, "model.dropout": 0.2, "training.clip_norm": 1.0} | LR
GROUP = Group("g", tuple(range(5)), tuple(POINT | {"optimizer.Adam.lr": 0.01 * n} for n in range(1, 6)), seed=7)


def test_checkpoint_of_a_dead_worker_is_continued_first(tmp_path):
    """Its checkpoint holds trials 2 and 3 after an epoch; 0 and 1 have ended."""
    sweep, checkpoints = spiral_sweep(), CheckpointStore(tmp_path)
    worker = make_worker(sweep, study := RecordingStudy(), checkpoints, memory=limit_for(sweep, POINT, 2))
    split = sweep.validation.split(worker.data)
    trainer = build_trainer(sweep, GROUP.subset([2, 3]).parameters, worker.data, split, 7, "cpu")
    checkpoints.save("g", Checkpoint((2, 3), (((2, 3), trainer.advance()),), trainer.state()))
    worker.train(GROUP.subset([2, 3, 4]))
    assert study.epochs[:2] == [(1, (2, 3)), (2, (2, 3))], "the saved epoch is reported again, and the next one"
    assert study.done == [2, 3, 4]
    assert not list(tmp_path.iterdir())


def test_the_rest_of_a_group_is_given_out_again_after_a_crash(tmp_path):
    actor = StudyActor(payload_for_study(job(tmp_path, fuse=3)))
    actor.open()
    group = actor.next_group("a")
    actor.fail([group.trials[1]], "why")
    retried = actor.next_group("a")
    assert retried.trials == (group.trials[0], group.trials[2])
    assert retried.parameters == (group.parameters[0], group.parameters[2])
    actor.close()


def test_trial_that_does_not_fit_fails_and_the_search_continues(tmp_path):
    model = Space(MLP, hidden=Choice(10, 2000))
    sweep = spiral_sweep(model=model, optimizer=Space(SGD, lr=Float(0.1, 1.0)), trials=8)
    records = local.search(job(tmp_path, sweep, limit=10**6, trials=8, fuse=1), EventBuffer()).trials
    for record in records:
        assert record.state == ("COMPLETE" if record.parameters["model.hidden"] == 10 else "FAIL")
    reasons = {record.reason for record in records if record.state == "FAIL"}
    (reason,) = reasons
    assert reason.startswith("infeasible: one trial of hidden=2000 needs ")
    assert "(2 folds x " in reason
    assert reason.endswith("and a worker has 1 MB")


def test_error_while_measuring_is_the_reason_of_the_failed_trial(tmp_path):
    sweep = spiral_sweep(model=Space(MLP, hidden=(5, 5), layers=2))
    (record,) = local.search(job(tmp_path, sweep, limit=10**9, trials=1), EventBuffer()).trials
    assert record.state == "FAIL"
    assert record.reason.startswith("MLP ")


def test_message_about_a_structure_is_sent_once(tmp_path):
    with ExitStack() as stack:
        study = Study(job(tmp_path), events := EventBuffer())
        stack.callback(study.close)
        for topic in ("hidden=5", "hidden=9", "hidden=5"):
            study.notify(topic, f"{topic} is large")
        assert messages(events) == ["hidden=5 is large", "hidden=9 is large"]


def test_sweep_of_which_nothing_fits_is_rejected_before_anything_is_written(tmp_path):
    sweep = spiral_sweep(model=Space(MLP, hidden=Choice(3000, 2000)), optimizer=Choice(Space(Adam), Space(SGD)))
    with pytest.raises(UserMistake, match=r"one trial of hidden=2000, optimizer=SGD needs .* a worker has 500 kB"):
        sweep.run(home=tmp_path / "home", memory=0.0005)
    assert not (tmp_path / "home").exists()
    with pytest.raises(UserMistake, match=r"memory .*above 0.* got 0"):
        sweep.run(home=tmp_path / "home", memory=0)


def test_corner_points_follow_choices_and_conditions():
    sweep = spiral_sweep(
        model=Space(
            MLP, hidden=Choice(8, 64, 16), layers=Int(1, 3), activation=Choice(Sigmoid, Relu), dropout=Float(0.0, 0.4)
        ),
        optimizer=Choice(Space(SGD), Space(Adam, lr=Float(0.1, 0.2))),
    )
    model = MemoryModel(sweep, sweep.data.training())
    largest = corner_point(sweep, largest=True, cost=lambda point: model.measure(point).replica_bytes)
    smallest = corner_point(sweep, largest=False, cost=lambda point: model.measure(point).replica_bytes)
    assert (largest["model.hidden"], largest["model.layers"], largest["optimizer"]) == (64, 3, "Adam")
    assert (smallest["model.hidden"], smallest["model.layers"], smallest["optimizer"]) == (8, 1, "SGD")
    assert "optimizer.Adam.lr" in largest
    assert "optimizer.Adam.lr" not in smallest


def test_memory_range_has_both_ends_and_the_trials_that_fit():
    memory_range = measure_memory_range(spiral_sweep(model=Space(MLP, hidden=Int(5, 2000)), optimizer=Space(SGD)))
    assert (memory_range.smallest.parameter_count, memory_range.largest.parameter_count) == (5 * 6 + 3, 2000 * 6 + 3)
    assert memory_range.summary.startswith("memory: ")
    assert "33 to 12,003 parameters; the largest is hidden=2000" in memory_range.summary
    assert "trials of the largest structure fit" in memory_range.summary
    assert memory_range.to_json()["max_trials"] > 10


def test_memory_range_is_not_known_where_data_need_a_download(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: pytest.fail("downloaded"))
    memory_range = measure_memory_range(spiral_sweep(data=Mnist()))
    assert "memory: not known" in memory_range.summary
    assert "downloads" in memory_range.summary
    assert memory_range.to_json()["largest"] is None
    monkeypatch.undo()
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))

    def unreachable(*_, **__):
        raise OSError("asked")

    monkeypatch.setattr("pooch.retrieve", unreachable)
    with pytest.raises(WorldFault, match="asked"):
        Mnist().training()


def test_available_memory_of_machine_and_container(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.available_memory() is None
    assert memory_limits.memory_per_worker("cpu", 2) is None
    (tmp_path / "meminfo").write_text("MemTotal:  2000 kB\nMemAvailable:    1000 kB\n")
    assert machine.available_memory() == 1024 * 1000
    assert memory_limits.memory_per_worker("cpu", 2) == int(0.8 * 1024 * 500)
    (tmp_path / "memory.max").write_text("900000\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    assert machine.available_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory() == 1024 * 1000


def test_worker_memory_is_an_option_or_a_share_or_left_to_the_cluster(monkeypatch):
    monkeypatch.setattr(memory_limits, "available_memory", lambda: 1000)
    monkeypatch.setattr(memory_limits, "free_memory", lambda: 100)
    monkeypatch.setattr(memory_limits, "total_memory", lambda: 120)
    monkeypatch.setattr(memory_limits, "available_device", lambda device: device)

    def worker_memory(resources=None, **options):
        return memory_limits.worker_memory(RunConfig(workers=4, **options), resources or Resources())

    assert worker_memory(memory=1.5) == 1_500_000_000
    assert worker_memory() == 200
    assert worker_memory(device="cuda") == 80
    assert worker_memory(Resources(gpus=0.25), device="cuda") == 24
    assert worker_memory(Resources(memory="2GB"), address="auto") == 2_000_000_000
    assert worker_memory(address="auto") is None
    assert worker_memory(device="either") is None


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (12_345, "12.3 kB"), (620e6, "620 MB"), (999_700, "1 MB"), (3.1e9, "3.1 GB")]
)
def test_format_bytes(count, text):
    assert format_bytes(count) == text

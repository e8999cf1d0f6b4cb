"""Workers: groups are trained to their end, continued from checkpoints, and errors are reported to the study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import Float, Space, Trainer
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import build_trainer
from tests.sweeps import spiral_sweep
from tests.workers import KilledStudy, RecordingStudy, make_checkpoint, make_group, make_worker, train_group


def test_fused_trials_report_what_each_reports_alone(tmp_path):
    together = train_group(tmp_path, RecordingStudy(), [0.5, 1.0, 1e6])
    assert together.done == [0, 1]
    assert "diverged" in together.failed[2]
    for number, rate in enumerate([0.5, 1.0]):
        alone = train_group(tmp_path, RecordingStudy(), [rate], numbers=(number,))
        assert alone.reports[number] == together.reports[number]


def test_a_stopped_trial_does_not_change_the_others(tmp_path):
    stopped = train_group(tmp_path, RecordingStudy(stop={0: 2}), [0.5, 1.0])
    assert sorted(stopped.reports[0]) == [1, 2, 3], "the decision takes effect after the following epoch"
    assert stopped.reports[1] == train_group(tmp_path, RecordingStudy(), [0.5, 1.0]).reports[1]


@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_group_continued_from_its_checkpoint_ends_as_if_uninterrupted(tmp_path, killed_at):
    uninterrupted = train_group(tmp_path / "a", RecordingStudy(), [0.5, 1.0, 1e6])
    with pytest.raises(KeyboardInterrupt):
        train_group(tmp_path / "b", KilledStudy(killed_at), [0.5, 1.0, 1e6], min_interval=0.0)
    saved = CheckpointStore(tmp_path / "b").load("0")
    assert saved is not None
    assert saved.epoch in range(1, killed_at)
    resumed = train_group(tmp_path / "b", RecordingStudy(), [0.5, 1.0, 1e6])
    assert resumed.reports == uninterrupted.reports
    assert (resumed.done, resumed.failed) == (uninterrupted.done, uninterrupted.failed)
    assert CheckpointStore(tmp_path / "b").load("0") is None, "a group that has ended leaves no checkpoint"


def test_a_checkpoint_holds_no_trial_that_the_study_has_stopped(tmp_path, monkeypatch):
    """After a kill the study does not decide again about the epochs of a checkpoint."""
    saved, save = [], CheckpointStore.save
    monkeypatch.setattr(CheckpointStore, "is_due", lambda self: True)
    monkeypatch.setattr(
        CheckpointStore, "save", lambda self, name, it: saved.append((it.epoch, it.trials)) or save(self, name, it)
    )
    study = train_group(tmp_path, RecordingStudy(stop={0: 2, 1: 3}), [0.5, 1.0])
    assert study.epochs[-1] == (3, (1,)), "the study stops the last trial"
    assert saved == [(1, (0, 1)), (2, (1,))]
    assert CheckpointStore(tmp_path).load("0") is None


def test_all_epochs_of_a_checkpoint_are_reported_in_one_call(tmp_path):
    sweep, group = spiral_sweep(epochs=5), make_group(0.5, 1.0)
    data = sweep.data.training()
    trainer = build_trainer(sweep, group.parameters, data, sweep.validation.split(data), group.seed, "cpu")
    reports = tuple((group.trials, trainer.advance()) for _ in range(3))
    CheckpointStore(tmp_path).save("0", Checkpoint(group.trials, reports, trainer.state()))
    study = train_group(tmp_path, RecordingStudy(), [0.5, 1.0])
    assert study.restore_calls == 1
    assert study.reports == train_group(tmp_path, RecordingStudy(), [0.5, 1.0]).reports


def test_a_trial_that_ended_since_the_checkpoint_is_left_out(tmp_path):
    uninterrupted = train_group(tmp_path / "a", RecordingStudy(), [0.5, 1.0])
    with pytest.raises(KeyboardInterrupt):
        train_group(tmp_path / "b", KilledStudy(4), [0.5, 1.0], min_interval=0.0)
    resumed = train_group(tmp_path / "b", RecordingStudy(), [1.0], numbers=(1,))
    assert resumed.done == [1]
    assert resumed.reports[1] == uninterrupted.reports[1]


def test_a_paused_group_is_saved_and_continued(tmp_path):
    paused = train_group(tmp_path, RecordingStudy(pause=2), [0.5, 1.0])
    assert paused.done == []
    assert CheckpointStore(tmp_path).load("0").trials == (0, 1)
    resumed = train_group(tmp_path, RecordingStudy(), [0.5, 1.0])
    assert resumed.done == [0, 1]


def test_an_exception_in_the_users_network_fails_its_trials_only(tmp_path):
    class FailingMLP(MLP):
        def backward(self):
            raise RuntimeError("no gradient today\nsecond line")

    sweep = spiral_sweep(model=Space(FailingMLP, dropout=Float(0.0, 0.3)))
    study = train_group(tmp_path, RecordingStudy(), [0.5, 1.0], sweep=sweep)
    line = FailingMLP.backward.__code__.co_firstlineno + 1
    place = f"tests/test_worker.py, line {line}, in backward"
    assert study.failed == dict.fromkeys((0, 1), f"RuntimeError: no gradient today ({place})")
    assert "second line" in study.tracebacks[0]


def test_a_world_fault_stops_the_worker_and_fails_no_trial(tmp_path):
    @dataclass(frozen=True)
    class MissingData:
        def training(self):
            raise WorldFault("the disk is gone")

        testing = training

    study = RecordingStudy()
    with pytest.raises(WorldFault, match="disk"):
        train_group(tmp_path, study, [0.5], sweep=spiral_sweep(data=MissingData()))
    assert not study.failed


def test_a_device_that_cannot_be_used_is_a_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr("searchlab.engine.worker.unavailable_reason", lambda device: "there is none")
    with pytest.raises(UserMistake, match="there is none"):
        make_worker(spiral_sweep(), RecordingStudy(), CheckpointStore(tmp_path)).data  # noqa: B018


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path):
    checkpoints = CheckpointStore(tmp_path)
    checkpoints.save("g", make_checkpoint())
    loaded = checkpoints.load("g")
    assert (loaded.trials, loaded.epoch) == ((3,), 2)
    (trials, report), (_, saved) = loaded.reports[0], make_checkpoint().reports[0]
    assert (trials, report.failures, report.time) == ((3,), saved.failures, saved.time)
    np.testing.assert_array_equal(report.loss, saved.loss)
    np.testing.assert_array_equal(loaded.state["parameters/0.W"], np.ones((2, 3), np.float32))
    assert loaded.state["parameters/0.W"].dtype == np.float32


def test_a_checkpoint_can_be_reduced_to_some_of_its_trials():
    state = {"W": np.arange(24.0).reshape(6, 2, 2), "draws": np.arange(6)}  # three trials of two folds
    whole = Checkpoint((4, 7, 9), make_checkpoint().reports, state)
    selected = whole.select((9, 4, 11))
    assert selected.trials == (4, 9)
    assert selected.state["draws"].tolist() == [0, 1, 4, 5]
    assert (selected.state["W"] == state["W"][[0, 1, 4, 5]]).all()
    assert whole.select((1, 2)) is None


@pytest.mark.parametrize("size", [0, 10, 300])
def test_a_truncated_checkpoint_counts_as_none(tmp_path, size):
    checkpoints = CheckpointStore(tmp_path)
    checkpoints.save("g", make_checkpoint())
    path = tmp_path / "g.npz"
    path.write_bytes(path.read_bytes()[:size])
    assert checkpoints.load("g") is None


def test_checkpoints_take_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch):
    times = iter([0.0, 10.0, 14.0, 93.0, 95.0])
    monkeypatch.setattr("searchlab.engine.checkpoints.time.monotonic", lambda: next(times))
    checkpoints = CheckpointStore(tmp_path)
    checkpoints.save("g", make_checkpoint())  # took from 10 to 14: the next is due at 14 + 80
    assert not checkpoints.is_due()
    assert checkpoints.is_due()


def test_the_number_of_epochs_belongs_to_the_structure(tmp_path):
    sweep = spiral_sweep(training=Space(Trainer, batch_size=10, epochs=2, clip_norm=Float(0.5, 5.0)))
    assert sorted(train_group(tmp_path, RecordingStudy(), [0.5], sweep=sweep).reports[0]) == [1, 2]


def test_a_group_is_trained_even_when_memory_runs_out_while_it_is_measured(tmp_path, monkeypatch):
    def run_out(self, trials, limit):
        raise MemoryError("not enough to measure")

    monkeypatch.setattr("searchlab.fusion.memory.MemoryModel.max_trials", run_out)
    study, sweep = RecordingStudy(), spiral_sweep(epochs=2)
    make_worker(sweep, study, CheckpointStore(tmp_path), memory=10**9).train(make_group(0.5, 1.0))
    assert sorted(study.done) == [0, 1]

"""A worker: groups trained to their end, taken up from checkpoints, and what goes wrong told to the study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import Float, Space, Trainer
from searchlab.engine.checkpoints import Checkpoint, Checkpoints
from searchlab.engine.worker import Worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Group, build
from searchlab.runs.study_client import Decision
from searchlab.training import EpochReport
from tests.sweeps import spiral_sweep


class Notes:
    """A judge that writes down what it is told and stops trials as it is told to."""

    def __init__(self, stop=(), pause=None):
        self.reports, self.done, self.failed, self.stop, self.pause = {}, [], {}, dict(stop), pause
        self.recalls = 0  # calls, of however many epochs

    def running(self, numbers):
        """Those of these that have not ended."""
        return [n for n in numbers if n not in self.done and n not in self.failed]

    def report(self, numbers, report, at_once=True):
        folds = len(report.score) // len(numbers)
        for position, number in enumerate(numbers):
            rows = slice(position * folds, (position + 1) * folds)
            self.reports.setdefault(number, {})[report.epoch] = (
                report.loss[rows].tolist(),
                report.score[rows].tolist(),
            )
            if any(report.failures[rows]):
                self.failed[number] = next(filter(None, report.failures[rows]))
            if self.stop.get(number) == report.epoch:
                self.done.append(number)
        verdict = Decision(tuple(self.running(numbers)), pause=self.pause == report.epoch)
        return lambda: verdict

    def recall(self, reports):
        self.recalls += 1
        for numbers, report in reports:
            self.report(numbers, report)

    def finish(self, numbers, report):
        self.done += self.report(numbers, report)().stay

    def fail(self, numbers, reason):
        self.failed |= {number: reason for number in self.running(numbers)}


def parameters(lr, dropout=0.2):
    return {
        "model.hidden": 10, "model.dropout": dropout, "optimizer": "SGD", "optimizer.SGD.lr": lr,
        "training.clip_norm": 2.0,
    }  # fmt: skip


def group(*rates):
    return Group("0", tuple(range(len(rates))), tuple(parameters(rate) for rate in rates), seed=7)


def work(folder, judge, rates, sweep=None, numbers=None, **settings):
    checkpoints = Checkpoints(folder, **settings)
    worker = Worker(sweep or spiral_sweep(epochs=5), judge, checkpoints)
    one = group(*rates)
    worker.train(one if numbers is None else Group("0", numbers, tuple(parameters(r) for r in rates), seed=7))
    return judge


def test_fused_trials_report_what_each_reports_alone(tmp_path):
    together = work(tmp_path, Notes(), [0.5, 1.0, 1e6])
    assert together.done == [0, 1]
    assert "diverged" in together.failed[2]
    for number, rate in enumerate([0.5, 1.0]):
        alone = work(tmp_path, Notes(), [rate], numbers=(number,))
        assert alone.reports[number] == together.reports[number]


def test_a_stopped_trial_leaves_the_others_as_they_would_have_been(tmp_path):
    stopped = work(tmp_path, Notes(stop={0: 2}), [0.5, 1.0])
    assert sorted(stopped.reports[0]) == [1, 2, 3], "the answer is taken up after the epoch that follows"
    assert stopped.reports[1] == work(tmp_path, Notes(), [0.5, 1.0]).reports[1]


class Dying(Notes):
    """A judge whose process is killed when it hears of this epoch for the first time."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def report(self, numbers, report, at_once=True):
        survivors = super().report(numbers, report)
        if report.epoch == self.epoch:
            raise KeyboardInterrupt
        return survivors


@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_group_taken_up_from_its_checkpoint_ends_as_if_unbroken(tmp_path, killed_at):
    unbroken = work(tmp_path / "unbroken", Notes(), [0.5, 1.0, 1e6])
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "broken", Dying(killed_at), [0.5, 1.0, 1e6], least_seconds=0.0)
    saved = Checkpoints(tmp_path / "broken").load("0")
    assert saved is not None
    assert saved.epoch in range(1, killed_at)
    resumed = work(tmp_path / "broken", Notes(), [0.5, 1.0, 1e6])
    assert (resumed.reports, resumed.done, resumed.failed) == (unbroken.reports, unbroken.done, unbroken.failed)
    assert Checkpoints(tmp_path / "broken").load("0") is None, "a group that has ended leaves nothing"


def test_all_epochs_of_a_checkpoint_are_told_by_one_call(tmp_path):
    sweep, one = spiral_sweep(epochs=5), group(0.5, 1.0)
    table = sweep.data.training()
    trainer = build(sweep, one.parameters, table, sweep.validation.split(table), one.seed, "cpu")
    reports = tuple((one.trials, trainer.advance()) for _ in range(3))
    Checkpoints(tmp_path).save("0", Checkpoint(one.trials, reports, trainer.state()))
    judge = work(tmp_path, Notes(), [0.5, 1.0])
    assert judge.recalls == 1
    assert judge.reports == work(tmp_path, Notes(), [0.5, 1.0]).reports


def test_a_trial_that_ended_since_the_checkpoint_is_left_out_and_the_other_goes_on(tmp_path):
    unbroken = work(tmp_path / "unbroken", Notes(), [0.5, 1.0])
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "broken", Dying(4), [0.5, 1.0], least_seconds=0.0)
    resumed = work(tmp_path / "broken", Notes(), [1.0], numbers=(1,))
    assert resumed.done == [1]
    assert resumed.reports[1] == unbroken.reports[1]


def test_the_users_own_exception_fails_the_trials_and_not_the_worker(tmp_path):
    class Broken(MLP):
        def backward(self):
            raise RuntimeError("no gradient today\nsecond line")

    judge = work(tmp_path, Notes(), [0.5, 1.0], sweep=spiral_sweep(model=Space(Broken, dropout=Float(0.0, 0.3))))
    assert judge.failed == dict.fromkeys((0, 1), "RuntimeError: no gradient today")


def test_a_fault_of_the_world_stops_the_worker_and_fails_no_trial(tmp_path):
    @dataclass(frozen=True)
    class Gone:
        def training(self):
            raise WorldFault("the disk is gone")

        testing = training

    judge = Notes()
    with pytest.raises(WorldFault, match="disk"):
        work(tmp_path, judge, [0.5], sweep=spiral_sweep(data=Gone()))
    assert not judge.failed


def test_a_device_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("searchlab.engine.worker.unavailable_reason", lambda device: "there is none")
    with pytest.raises(UserMistake, match="there is none"):
        Worker(spiral_sweep(), Notes(), Checkpoints(tmp_path)).table  # noqa: B018


def checkpoint():
    report = EpochReport(2, np.array([1.0, np.nan]), np.array([0.5, 0.25]), (None, "why"), 0.1, 5.0)
    return Checkpoint((3,), (((3,), report),), {"parameters/0.W": np.ones((2, 3), np.float32)})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("g", checkpoint())
    back = checkpoints.load("g")
    assert back.trials == (3,)
    assert back.epoch == 2
    (trials, report), (_, before) = back.reports[0], checkpoint().reports[0]
    assert (trials, report.failures, report.time) == ((3,), before.failures, before.time)
    np.testing.assert_array_equal(report.loss, before.loss)
    np.testing.assert_array_equal(back.state["parameters/0.W"], np.ones((2, 3), np.float32))
    assert back.state["parameters/0.W"].dtype == np.float32


def test_a_checkpoint_gives_the_rows_of_some_of_its_trials():
    state = {"W": np.arange(24.0).reshape(6, 2, 2), "draws": np.arange(6)}  # three trials of two folds
    whole = Checkpoint((4, 7, 9), checkpoint().reports, state)
    left = whole.of((9, 4, 11))
    assert left.trials == (4, 9)
    assert left.state["draws"].tolist() == [0, 1, 4, 5]
    assert (left.state["W"] == state["W"][[0, 1, 4, 5]]).all()
    assert whole.of((1, 2)) is None


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_checkpoint_cut_short_is_none(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("g", checkpoint())
    path = tmp_path / "g.npz"
    path.write_bytes(path.read_bytes()[:keep])
    assert checkpoints.load("g") is None


def test_checkpoints_cost_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch):
    now = iter([0.0, 10.0, 14.0, 93.0, 95.0])
    monkeypatch.setattr("searchlab.engine.checkpoints.time.monotonic", lambda: next(now))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("g", checkpoint())  # took from 10 to 14: the next is due at 14 + 80
    assert not checkpoints.due()
    assert checkpoints.due()


def test_epochs_are_structure_and_end_the_group(tmp_path):
    sweep = spiral_sweep(training=Space(Trainer, batch_size=10, epochs=2, clip_norm=Float(0.5, 5.0)))
    assert sorted(work(tmp_path, Notes(), [0.5], sweep=sweep).reports[0]) == [1, 2]


def test_a_group_that_cannot_be_measured_for_want_of_memory_is_trained_all_the_same(tmp_path, monkeypatch):
    def no_memory(self, trials, limit):
        raise MemoryError("no room to measure in")

    monkeypatch.setattr("searchlab.fusion.memory.Needs.most", no_memory)
    judge = Notes()
    Worker(spiral_sweep(epochs=2), judge, Checkpoints(tmp_path), memory=10**9).train(group(0.5, 1.0))
    assert sorted(judge.done) == [0, 1]

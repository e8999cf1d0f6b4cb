"""Speed: how many trials of a structure train fastest side by side, measured on a few steps."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Perplexity, Space, Sweep, Text, Trainer
from searchlab.fusion import speed
from searchlab.fusion.corner_points import corner_point
from searchlab.fusion.groups import build_trainer
from searchlab.fusion.speed import (
    ASSUMED_GROUP_SIZE,
    MAX_GROUP_TRIALS,
    MEASURING_SHARE,
    MIN_TIMED_STEPS,
    SHARES_OF_TRIAL,
    SpeedModel,
    SpeedProfile,
    interpolate_seconds,
)
from tests.sweeps import spiral_sweep

LONG = 1000  # epochs of a trial so long that measuring it costs little


def model_of(sweep, **changes):
    return SpeedModel(sweep, sweep.data.training(), **changes)


class Machine:
    """A machine on which a step takes scripted seconds by trials side by side, and building a trainer `building`."""

    def __init__(self, monkeypatch, seconds, building=0.0):
        self.now, self.timed = 0.0, []

        def time_steps(trainer, count):
            trials = trainer.replicas.count // 2  # of two folds
            self.timed.append(trials)
            self.now += (count + 1) * seconds(trials)
            return [seconds(trials)] * count

        original = SpeedModel.build_trainer

        def build_trainer(*arguments):
            self.now += building
            return original(*arguments)

        monkeypatch.setattr(speed, "time_steps", time_steps)
        monkeypatch.setattr(speed, "device_clock", lambda device: lambda: self.now)
        monkeypatch.setattr(SpeedModel, "build_trainer", build_trainer)


def test_best_group_size_is_the_smallest_within_5_percent_of_the_best_rate():
    assert SpeedProfile({1: 1.0, 2: 1.0, 4: 1.0}, 1, 1).best_group_size == 4
    assert SpeedProfile({1: 1.0, 2: 1.2, 4: 2.3}, 1, 1).best_group_size == 2  # rates 1, 1.67, 1.74
    assert SpeedProfile({1: 1.0, 2: 1.2, 4: 2.2}, 1, 1).best_group_size == 4  # 1.82
    assert SpeedProfile({1: 1.0, 2: 2.5}, 1, 1).best_group_size == 1


def test_seconds_per_step_are_interpolated_and_extrapolated_in_proportion():
    profile = SpeedProfile({1: 1.0, 2: 1.5, 4: 2.0}, 1, 1)
    assert [profile.seconds_per_step(trials) for trials in (1, 3, 4, 8)] == [1.0, 1.75, 2.0, 4.0]
    assert math.isnan(interpolate_seconds({}, 1))


def test_more_trials_are_timed_only_while_doubling_gains_a_tenth(monkeypatch):
    point = corner_point(spiral_sweep(), largest=False)
    machine = Machine(monkeypatch, lambda trials: {1: 1.0, 2: 1.6, 4: 3.0}[trials])  # rates 1, 1.25, 1.33
    assert model_of(spiral_sweep(epochs=LONG)).profile(point).best_group_size == 4
    assert machine.timed == [1, 2, 4]
    machine = Machine(monkeypatch, lambda trials: float(trials))
    assert model_of(spiral_sweep(epochs=LONG)).profile(point).best_group_size == 1
    assert machine.timed == [1, 2]


@pytest.mark.parametrize(("max_trials", "timed"), [(1, [1]), (6, [1, 2, 4, 6]), (100, [1, 2, 4, 8, 16])])
def test_no_more_trials_are_timed_than_requested_or_than_sixteen(monkeypatch, max_trials, timed):
    machine = Machine(monkeypatch, lambda trials: 1.0)
    profile = model_of(spiral_sweep(epochs=LONG)).profile(corner_point(spiral_sweep(), largest=False), max_trials)
    assert machine.timed == timed
    assert profile.best_group_size == min(max_trials, MAX_GROUP_TRIALS)


def test_nothing_is_timed_for_groups_of_one_trial(monkeypatch):
    machine = Machine(monkeypatch, lambda trials: 1.0)
    assert model_of(spiral_sweep(epochs=LONG)).best_group_size(corner_point(spiral_sweep(), largest=False), 1) == 1
    assert machine.timed == []


def test_structure_is_timed_once_and_further_sizes_when_they_are_requested(monkeypatch):
    machine, model = Machine(monkeypatch, lambda trials: 1.0), model_of(spiral_sweep(epochs=LONG))
    point = corner_point(spiral_sweep(), largest=True)
    other = point | {"training.clip_norm": 1.0}  # of the same structure, and equally expensive
    assert model.profile(point, 2).best_group_size == 2
    assert model.profile(other, 2).best_group_size == 2
    assert model.profile(point, 8).best_group_size == 8
    assert machine.timed == [1, 2, 4, 8]
    assert model.profile(point, 2).step_seconds == {1: 1.0, 2: 1.0}
    model.profile(point | {"model.dropout": 0.0}, 1)  # dropout that is switched off takes no time
    assert machine.timed == [1, 2, 4, 8, 1]


def test_trial_of_few_steps_is_not_timed(monkeypatch):
    point = corner_point(spiral_sweep(), largest=False)
    machine = Machine(monkeypatch, lambda trials: 1.0)
    profile = model_of(spiral_sweep(epochs=3)).profile(point)
    assert machine.timed == []
    assert profile.steps_per_epoch * profile.epochs * MEASURING_SHARE < SHARES_OF_TRIAL
    assert profile.best_group_size == ASSUMED_GROUP_SIZE
    assert model_of(spiral_sweep(epochs=3)).best_group_size(point, 5) == 5


def test_short_trials_pay_for_measuring_group_by_group(monkeypatch):
    """Building takes as long as 40 steps, and a trial has 400: its groups pay for it one after the other."""
    sweep = spiral_sweep(epochs=100)
    machine = Machine(monkeypatch, lambda trials: 1.0, building=40.0)
    model, point, groups = model_of(sweep), corner_point(sweep, largest=False), 0
    steps = model.profile(point).steps_per_epoch * 100
    first_measurement = 40 + MIN_TIMED_STEPS + 1  # seconds
    while machine.timed[-1] < MAX_GROUP_TRIALS:
        groups += 1
        size = model.profile(point).best_group_size
        assert size == (ASSUMED_GROUP_SIZE if machine.timed[-1] < MAX_GROUP_TRIALS else MAX_GROUP_TRIALS)
        assert machine.now <= 1.5 * first_measurement + MEASURING_SHARE * steps * (groups + 1) + 40
        assert groups < 100
    assert groups > 10


def test_measuring_does_not_change_later_training():
    sweep, data = spiral_sweep(), spiral_sweep().data.training()
    point, split = corner_point(sweep, largest=True), sweep.validation.split(data)

    def scores():
        return build_trainer(sweep, [point] * 2, data, split, 0, "cpu").advance().score.tolist()

    before = scores()
    profile = SpeedModel(sweep, data, measuring_share=math.inf).profile(point, 4)
    assert set(profile.step_seconds) >= {1, 2}
    assert all(seconds > 0.0 for seconds in profile.step_seconds.values())
    assert scores() == before


def test_timed_batches_are_those_of_a_shortened_epoch():
    sweep = spiral_sweep()
    trainer = model_of(sweep).build_trainer(corner_point(sweep, largest=True), 3)
    batches = trainer.data.training_batches(trainer.split, trainer.replicas, trainer.batch_size)
    timed = list(islice(speed._endless_batches(trainer, 2), 8))
    assert {batch.x.shape for batch in timed} == {next(iter(batches)).x.shape}
    rows_of_fold = {tuple(row) for row in trainer.data.x[trainer.split.train.index[0]].tolist()}  # of the first fold
    timed_rows = {tuple(row) for batch in timed for row in batch.x[0].tolist()}
    assert timed_rows < rows_of_fold
    assert len(timed_rows) <= 3 * trainer.batch_size + trainer.batch_size  # few rows, which are shuffled repeatedly
    assert {int(label) for batch in timed for label in np.ravel(batch.y[0])} == {0, 1, 2}  # from the whole table


def test_token_stream_is_timed_with_carried_state(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the log " * 40)
    sweep = Sweep(
        name="words",
        data=Text(str(path), window=5),
        validation=Blocked(2),
        metric=Perplexity(),
        model=Space(RnnLM, cell="lstm", layers=1, hidden=4, embed=4),
        optimizer=Space(SGD, lr=0.1),
        training=Space(Trainer, batch_size=2, epochs=1),
        trials=1,
    )
    model = model_of(sweep, measuring_share=math.inf)
    profile = model.profile({}, 2)
    assert set(profile.step_seconds) == {1, 2}
    trainer = model.build_trainer({}, 2)
    assert profile.steps_per_epoch == trainer.data.steps_per_epoch(trainer.split, 2)
    assert {batch.x.shape for batch in islice(speed._endless_batches(trainer, 3), 3)} == {(4, 5, 2)}
    assert speed.time_scoring(trainer, 10) > 0.0

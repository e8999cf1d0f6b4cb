"""Speed: how many trials of a structure train fused best, found by few steps that leave no trace."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from models.rnn_lm import RnnLM
from searchlab import SGD, Blocked, Perplexity, Space, Sweep, Text, Trainer
from searchlab.fusion import speed
from searchlab.fusion.corner_points import extreme
from searchlab.fusion.groups import build
from searchlab.fusion.speed import ASSUMED, FEWEST, LARGEST, PARTS, SHARE, Speed, Speeds, between
from tests.sweeps import spiral_sweep

LONG = 1000  # epochs: a trial so long that measuring it costs little


def speeds_of(sweep, **changes):
    return Speeds(sweep, sweep.data.training(), **changes)


class Machine:
    """Steps that take scripted seconds by trials side by side, and building one that takes `building`."""

    def __init__(self, monkeypatch, seconds, building=0.0):
        self.now, self.tried = 0.0, []

        def step_seconds(trainer, count):
            trials = trainer.replicas.count // 2  # of two folds
            self.tried.append(trials)
            self.now += (count + 1) * seconds(trials)
            return [seconds(trials)] * count

        real = Speeds.trainer

        def trainer(*arguments):
            self.now += building
            return real(*arguments)

        monkeypatch.setattr(speed, "step_seconds", step_seconds)
        monkeypatch.setattr(speed, "clock_of", lambda device: lambda: self.now)
        monkeypatch.setattr(Speeds, "trainer", trainer)


def test_the_best_is_the_smallest_within_a_twentieth_of_the_best_rate():
    assert Speed({1: 1.0, 2: 1.0, 4: 1.0}, 1, 1).best == 4
    assert Speed({1: 1.0, 2: 1.2, 4: 2.3}, 1, 1).best == 2  # rates 1, 1.67, 1.74
    assert Speed({1: 1.0, 2: 1.2, 4: 2.2}, 1, 1).best == 4  # 1.82
    assert Speed({1: 1.0, 2: 2.5}, 1, 1).best == 1


def test_a_step_lies_between_those_timed_and_goes_on_in_proportion():
    timed = Speed({1: 1.0, 2: 1.5, 4: 2.0}, 1, 1)
    assert [timed.step(trials) for trials in (1, 3, 4, 8)] == [1.0, 1.75, 2.0, 4.0]
    assert math.isnan(between({}, 1))


def test_more_are_tried_only_while_doubling_gains_a_tenth(monkeypatch):
    machine = Machine(monkeypatch, lambda trials: {1: 1.0, 2: 1.6, 4: 3.0}[trials])  # rates 1, 1.25, 1.33
    found = speeds_of(spiral_sweep(epochs=LONG)).of(extreme(spiral_sweep(), largest=False))
    assert machine.tried == [1, 2, 4]
    assert found.best == 4
    machine = Machine(monkeypatch, lambda trials: float(trials))
    assert speeds_of(spiral_sweep(epochs=LONG)).of(extreme(spiral_sweep(), largest=False)).best == 1
    assert machine.tried == [1, 2]


@pytest.mark.parametrize(("most", "tried"), [(1, [1]), (6, [1, 2, 4, 6]), (100, [1, 2, 4, 8, 16])])
def test_no_more_than_asked_for_and_never_more_than_sixteen(monkeypatch, most, tried):
    machine = Machine(monkeypatch, lambda trials: 1.0)
    found = speeds_of(spiral_sweep(epochs=LONG)).of(extreme(spiral_sweep(), largest=False), most)
    assert machine.tried == tried
    assert found.best == min(most, LARGEST)


def test_one_trial_alone_needs_no_measuring(monkeypatch):
    machine = Machine(monkeypatch, lambda trials: 1.0)
    assert speeds_of(spiral_sweep(epochs=LONG)).best(extreme(spiral_sweep(), largest=False), 1) == 1
    assert machine.tried == []


def test_a_structure_is_measured_once_and_more_of_it_when_more_are_asked_for(monkeypatch):
    machine, found = Machine(monkeypatch, lambda trials: 1.0), speeds_of(spiral_sweep(epochs=LONG))
    point = extreme(spiral_sweep(), largest=True)
    other = point | {"training.clip_norm": 1.0}  # may differ in a group, and is as dear
    assert [found.of(point, 2).best, found.of(other, 2).best, found.of(point, 8).best] == [2, 2, 8]
    assert machine.tried == [1, 2, 4, 8]
    assert found.of(point, 2).steps == {1: 1.0, 2: 1.0}
    found.of(point | {"model.dropout": 0.0}, 1)  # what is switched off takes no time
    assert machine.tried == [1, 2, 4, 8, 1]


def test_a_trial_of_few_steps_is_not_timed(monkeypatch):
    machine = Machine(monkeypatch, lambda trials: 1.0)
    found = speeds_of(spiral_sweep(epochs=3)).of(extreme(spiral_sweep(), largest=False))
    assert machine.tried == []
    assert found.steps_per_epoch * found.epochs * SHARE < PARTS
    assert found.best == ASSUMED
    assert speeds_of(spiral_sweep(epochs=3)).best(extreme(spiral_sweep(), largest=False), 5) == 5


def test_short_trials_earn_their_measuring_group_by_group(monkeypatch):
    """Building costs 40 steps, and a trial has 400: its groups pay for it one after the other."""
    sweep = spiral_sweep(epochs=100)
    machine = Machine(monkeypatch, lambda trials: 1.0, building=40.0)
    found, point, asked = speeds_of(sweep), extreme(sweep, largest=False), 0
    steps = found.of(point).steps_per_epoch * 100
    while machine.tried[-1] < LARGEST:
        asked += 1
        best = found.of(point).best
        assert best == (ASSUMED if machine.tried[-1] < LARGEST else LARGEST)
        assert machine.now <= 1.5 * (40 + FEWEST + 1) + SHARE * steps * (asked + 1) + 40  # what the first took, and 3 %
        assert asked < 100
    assert asked > 10


def test_measuring_leaves_no_trace_in_what_is_trained_then():
    sweep, table = spiral_sweep(), spiral_sweep().data.training()
    point, split = extreme(sweep, largest=True), sweep.validation.split(table)

    def scores():
        return build(sweep, [point] * 2, table, split, 0, "cpu").advance().score.tolist()

    before = scores()
    found = Speeds(sweep, table, share=math.inf).of(point, 4)
    assert set(found.steps) >= {1, 2}
    assert all(seconds > 0.0 for seconds in found.steps.values())
    assert scores() == before


def test_timed_batches_are_those_of_an_epoch_cut_short():
    sweep = spiral_sweep()
    trainer = speeds_of(sweep).trainer(extreme(sweep, largest=True), 3)
    shape = next(iter(trainer.data.epoch(trainer.split, trainer.replicas, trainer.batch_size))).x.shape
    timed = list(islice(speed._batches(trainer, 2), 8))
    assert {batch.x.shape for batch in timed} == {shape}
    own = {tuple(row) for row in trainer.data.x[trainer.split.train.index[0]].tolist()}  # of the first fold
    rows = {tuple(row) for batch in timed for row in batch.x[0].tolist()}
    assert rows < own
    assert len(rows) <= 3 * trainer.batch_size + trainer.batch_size  # a part of them is shuffled, again and again
    assert {int(label) for batch in timed for label in np.ravel(batch.y[0])} == {0, 1, 2}  # from all over the table


def test_a_stream_is_timed_with_its_state_carried(tmp_path):
    path = tmp_path / "tale.txt"
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
    found = speeds_of(sweep, share=math.inf)
    timed = found.of({}, 2)
    assert set(timed.steps) == {1, 2}
    trainer = found.trainer({}, 2)
    assert timed.steps_per_epoch == trainer.data.steps(trainer.split, 2)
    assert {batch.x.shape for batch in islice(speed._batches(trainer, 3), 3)} == {(4, 5, 2)}
    assert speed.scoring_seconds(trainer, 10) > 0.0

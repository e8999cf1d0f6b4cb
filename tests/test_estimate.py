"""What a sweep will take: measured by processes of their own, gone through in thought, told by `searchlab plan`."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from models.mlp import MLP
from searchlab import SGD, Choice, Float, Grid, Halving, Int, NoPruning, Space, Trainer
from searchlab.cli import _answer
from searchlab.errors import UserMistake
from searchlab.estimate import structures
from searchlab.estimate.estimate import estimate, seconds
from searchlab.estimate.simulation import DRAW, EPOCH, TRIAL, Kind, SimulationConfig, simulate
from searchlab.estimate.structures import FEW, LONG, Structures, turns
from searchlab.estimate.timing import Answer, Timing, measured
from searchlab.fusion.corner_points import extreme
from searchlab.fusion.memory import Need
from searchlab.fusion.speed import Speed
from searchlab.space.budget import Budget
from tests.sweeps import spiral_sweep
from tests.test_cli import write

FLAT = Kind(lambda trials: 1.0, together=8, epochs=9)  # as long for eight trials as for one
DEAR = Kind(lambda trials: float(trials), together=1, epochs=9)


def cast(kind=DEAR, trials=40, **changes):
    given = {"workers": 1, "folds": 3, "crowded": False, **changes}
    return SimulationConfig([kind] * trials, given.pop("trials", trials), **given)


def test_a_search_without_pruning_takes_every_epoch():
    found = simulate(cast(trials=5), NoPruning())
    assert (found.epochs, found.stopped) == (45, 0)
    assert found.seconds == pytest.approx(5 * (DRAW + TRIAL + 9 * (1.0 + EPOCH)))


def test_two_workers_take_half_and_none_is_left_out():
    alone, both = (simulate(cast(workers=workers), NoPruning()) for workers in (1, 2))
    assert both.epochs == alone.epochs == 360
    assert both.seconds == pytest.approx(alone.seconds / 2.0, rel=0.02)


def test_the_study_draws_for_one_worker_at_a_time():
    idle = Kind(lambda trials: 0.0, together=1, epochs=1)
    assert simulate(cast(idle, workers=50), NoPruning()).seconds >= 40 * DRAW


def test_halving_saves_epochs_by_rank_alone_and_the_same_each_time():
    once, again = simulate(cast(trials=200), Halving()), simulate(cast(trials=200), Halving())
    assert once == again
    assert 0.2 < once.epochs / 1800 < 0.6
    assert once.stopped > 100
    assert once.seconds < 0.6 * simulate(cast(trials=200), NoPruning()).seconds


def test_trials_that_train_as_fast_together_save_time_once_the_search_has_started_up():
    fused = simulate(cast(FLAT, trials=100), NoPruning())
    assert fused.seconds < simulate(cast(FLAT, trials=100, fuse=1), NoPruning()).seconds / 6.0
    late = simulate(cast(FLAT, trials=100, start_up=50), NoPruning())
    assert late.seconds > 50 * 9.0 > 3 * fused.seconds


def test_groups_of_a_grid_end_with_their_structure():
    together = simulate(cast(FLAT, trials=12, ends=[12] * 12), NoPruning())
    apart = simulate(cast(FLAT, trials=12, ends=[3] * 3 + [6] * 3 + [9] * 3 + [12] * 3), NoPruning())
    assert together.seconds < 2.1 * 9.0 < 3.9 * 9.0 < apart.seconds  # groups of 8 and 4, and of 3


def test_some_trials_stand_for_more_and_the_first_for_fewer():
    some, more = (simulate(SimulationConfig([DEAR] * 40, trials, 1, 3), NoPruning()) for trials in (40, 4000))
    assert more.epochs == 100 * some.epochs
    assert simulate(SimulationConfig([DEAR] * 40, 7, 1, 3), NoPruning()).epochs == 63


def test_what_waits_for_others_takes_longer_where_they_are_at_work():
    idle = Kind(lambda trials: 0.0, together=1, epochs=1)
    rest, busy = (simulate(cast(idle, slowed=slowed), NoPruning()).seconds for slowed in (1.0, 3.0))
    assert busy == pytest.approx(3.0 * rest)
    assert simulate(cast(idle, crowded=True), NoPruning()).seconds > 1.2 * rest


def test_a_budget_ends_it():
    found = simulate(cast(budget=Budget(epochs=30)), NoPruning())
    assert 30 <= found.epochs <= 31
    assert simulate(cast(budget=Budget(seconds=20.0)), NoPruning()).seconds == pytest.approx(20.0, abs=2.0)


def test_random_points_are_of_the_space_and_keep_to_the_constraint():
    sweep = spiral_sweep(
        model=Space(MLP, hidden=Int(5, 20, step=5), dropout=Float(0.0, 0.3).when(hidden=20)),
        constraint=lambda candidate: candidate["model.hidden"] - 15 if "optimizer.SGD.lr" in candidate else -1.0,
    )
    points = turns(sweep, 10).points
    assert len(points) == FEW
    for point in points:
        sweep.settle(point)
        assert point["model.hidden"] in (5, 10, 15, 20)
        assert ("model.dropout" in point) == (point["model.hidden"] == 20)
        assert point["optimizer"] == "Adam" or point["model.hidden"] <= 15
        assert 0.5 <= point["training.clip_norm"] <= 5.0
    assert {point["optimizer"] for point in points} == {"SGD", "Adam"}
    with pytest.raises(UserMistake, match="keeps to the constraint"):
        turns(replace(sweep, constraint=lambda candidate: 1.0), 10)


def test_of_a_grid_the_points_are_its_own_and_of_a_large_one_whole_blocks():
    rates = Choice(*(0.1 * number for number in range(1, 11)))
    small = spiral_sweep(
        model=Space(MLP, hidden=Choice(5, 10)), optimizer=Space(SGD, lr=rates),
        training=Space(Trainer, batch_size=10, epochs=3), sampler=Grid(), trials=None,
    )  # fmt: skip
    found = turns(small, 20)
    assert (found.points, found.ends) == (small.plan().points, [10] * 10 + [20] * 10)
    assert turns(small, 13).ends == [10] * 10 + [13] * 3
    large = replace(small, model=Space(MLP, hidden=Int(1, 100)))
    found = turns(large, 1000)
    assert LONG <= len(found.points) < 1000
    assert found.alike == 10
    assert all(found.ends[at] - at <= 10 for at in range(len(found.points)))


def test_measured_by_processes_at_once_in_the_order_of_the_points():
    sweep = spiral_sweep()
    points = [extreme(sweep, largest=large) | {"optimizer": "SGD", "optimizer.SGD.lr": 0.1} for large in (False, True)]
    points.append({"nothing": 1})
    answer = measured(sweep, points, most=2, workers=2)
    small, large, broken = answer.found
    assert small.need.parameters < large.need.parameters
    assert small.speed.steps.keys() == large.speed.steps.keys() >= {1}
    assert small.epoch(1) > small.speed.steps_per_epoch * small.speed.step(1) > 0.0
    assert broken.startswith("KeyError")
    assert answer.slowed >= 1.0
    assert measured(sweep, [points[0]] * 3, most=1, workers=1, seconds=0.0).found[1:] == [None, None]


def scripted(found):
    """Measures nothing: gives these timings in the order of the points."""

    def measure(sweep, points, **asked):
        return Answer([found(point) for point in points], slowed=1.0)

    return measure


def timing(step, parameters=100, best=4):
    steps = {size: step for size in (1, 2, 4, 8) if size <= best}
    return Timing(Speed(steps, 10, 3), {1: 0.5}, Need(parameters, 1000, 50))


def test_what_is_not_measured_goes_by_those_nearest_to_it(monkeypatch):
    sweep = spiral_sweep()
    known = {(5, "SGD"): timing(1.0), (20, "SGD"): timing(3.0), (5, "Adam"): timing(7.0)}
    monkeypatch.setattr(
        structures, "measured", scripted(lambda point: known.get((point["model.hidden"], point["optimizer"])))
    )
    found = Structures(sweep, turns(sweep, 10), most=4, workers=1, device="cpu", memory=None)
    by_name = {one.name: one for one in found.all}
    assert sum(one.share for one in found.all) == pytest.approx(1.0)
    assert by_name["hidden=20, optimizer=SGD"].step == 3.0
    assert by_name["hidden=20, optimizer=SGD"].measured
    near = by_name["hidden=10, optimizer=SGD"]
    assert (near.step, near.measured) == (2.0, False)  # one argument from either
    assert near.kind.epoch(4) == 20.0 + 2.0  # ten steps, and scoring in proportion
    assert near.seconds == 3 * 22.0 / 4
    assert by_name["hidden=20, optimizer=Adam"].step == 5.0  # as near to SGD of 20 as to Adam of 5


def test_memory_bounds_a_group_and_what_cannot_train_says_why(monkeypatch):
    sweep = spiral_sweep()

    def found(point):
        return "no such layer" if point["model.hidden"] == 5 else timing(1.0, best=8)

    monkeypatch.setattr(structures, "measured", scripted(found))

    def of(memory):
        return Structures(sweep, turns(sweep, 10), most=8, workers=1, device="cpu", memory=memory).all

    data = structures.Needs(sweep, sweep.data.training()).data
    assert {one.kind.together for one in of(None) if one.kind} == {8}
    assert {one.kind.together for one in of(data + 50 + 3 * 2000) if one.kind} == {3}  # two folds of 1000 bytes each
    assert {one.unavailable_reason for one in of(None) if not one.kind} == {"no such layer"}
    assert all("needs" in one.unavailable_reason for one in of(data + 10) if not one.name.startswith("hidden=5,"))
    monkeypatch.setattr(structures, "measured", scripted(lambda point: "no such layer"))
    with pytest.raises(UserMistake, match="can be trained: no such layer"):
        of(None)


def test_the_forecast_of_a_sweep_that_prunes():
    found = estimate(spiral_sweep(trials=30, epochs=20, pruner=Halving()), workers=2)
    assert found.whole.epochs == 600
    assert found.search.epochs < 400
    assert 0.0 < found.search.seconds < found.whole.seconds
    assert pytest.approx(sum(one.share for one in found.structures)) == 1.0
    assert "without pruning" in found.told
    assert "2 processes at once" in found.machine
    plain = json.loads(json.dumps(found.plain()))
    assert plain["seconds"]["search"] == found.search.seconds
    assert len(plain["structures"]) == 8
    assert all(one["measured"] and one["trial_seconds"] > 0.0 for one in plain["structures"])


def test_what_run_refuses_is_refused():
    with pytest.raises(UserMistake, match="fewer workers"):
        estimate(spiral_sweep(), memory=1e-6)
    with pytest.raises(UserMistake, match="--workers"):
        estimate(spiral_sweep(), workers=0)
    with pytest.raises(UserMistake, match="trials is at least 1"):
        estimate(spiral_sweep(), trials=0)


@pytest.mark.parametrize(("number", "told"), [(0.31, "0.3 s"), (35.4, "35 s"), (700, "12 min"), (12300, "3.4 h")])
def test_seconds_for_people(number, told):
    assert seconds(number) == told
    assert math.isfinite(number)


def test_plan_tells_people_a_table_and_programs_json(tmp_path, capfd):
    sweep = write(
        tmp_path,
        """
from models.mlp import MLP
from searchlab import *

def narrow(hidden):
    return hidden

sweep = Sweep(name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(), sampler=Grid(),
              model=Space(MLP, hidden=Choice(3, 400)), optimizer=Space(SGD, lr=Choice(0.1, 1.0)),
              training=Space(Trainer, epochs=9), pruner=NoPruning())
""",
    )
    assert _answer(["plan", str(sweep), "--set", "training.batch_size=7", "--epochs", "4", "--json"]) == 0
    out, err = capfd.readouterr()
    told = json.loads(out.splitlines()[-1])
    assert told["epochs"] == 16
    assert [one["structure"] for one in told["structures"]] == ["hidden=3", "hidden=400"]
    assert [one["share"] for one in told["structures"]] == [0.5, 0.5]
    assert told["structures"][0]["step_seconds"] < told["structures"][1]["step_seconds"]
    assert "hidden=400" in err
    assert "of searching on" in err
    assert not list(tmp_path.glob(".searchlab"))
    assert _answer(["plan", str(sweep), "--memory", "0.000001"]) == 2
    assert "needs" in capfd.readouterr().err

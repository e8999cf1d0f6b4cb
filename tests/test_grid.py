"""The grid: every combination once, in conditional spaces too, each under its number whatever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from optuna.samplers import PartialFixedSampler, RandomSampler, TPESampler

from models.mlp import MLP
from searchlab import SGD, TPE, Adam, Choice, Float, Grid, Int, Momentum, Random, Relu, Space, Tanh, Trainer
from searchlab.errors import UserMistake
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.space.grid import combinations
from searchlab.space.samplers import Sampler
from searchlab.space.structure import structural
from searchlab.study import trial_proposer
from searchlab.study.reading import peek
from searchlab.study.samplers import optuna_sampler
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.sweeps import spiral_sweep

MODEL = Space(MLP, hidden=Choice(5, 9), dropout=Choice(0.0, 0.2))
OPTIMIZER = Choice(
    Space(SGD, lr=Choice(0.1, 1.0)),
    Space(Momentum, lr=Choice(0.01, 0.1), momentum=Float(0.5, 0.9, step=0.2)),
    Space(Adam),
)
TRAINING = Space(Trainer, batch_size=Int(10, 20, step=10), epochs=2)


def grid(**changes):
    """2 x 2 models, 2 + 2 x 3 + 1 optimizers, 2 batch sizes."""
    parts = {"model": MODEL, "optimizer": OPTIMIZER, "training": TRAINING, "sampler": Grid(), "trials": None}
    return spiral_sweep(**parts | changes)


def points(sweep):
    return list(sweep.plan().points)


def frozen(parameters):
    return tuple(sorted(parameters.items()))


def test_every_combination_is_there_once_and_conditions_hold():
    found = points(grid())
    optimizers = [{"optimizer": "SGD", "optimizer.SGD.lr": lr} for lr in (0.1, 1.0)]
    optimizers += [
        {"optimizer": "Momentum", "optimizer.Momentum.lr": lr, "optimizer.Momentum.momentum": momentum}
        for lr, momentum in product((0.01, 0.1), (0.5, 0.7, 0.9))
    ]
    optimizers += [{"optimizer": "Adam"}]
    wanted = [
        {"model.hidden": h, "model.dropout": d, **optimizer, "training.batch_size": b}
        for h, d, optimizer, b in product((5, 9), (0.0, 0.2), optimizers, (10, 20))
    ]
    assert len(found) == len(wanted) == 72
    assert {frozen(point) for point in found} == {frozen(point) for point in wanted}


def test_equal_structures_lie_side_by_side():
    plan, sweep = grid().plan(), grid()
    keys = [frozen(structural(sweep, point)) for point in plan.points]
    changes = sum(a != b for a, b in pairwise(keys))
    assert plan.structures == changes + 1 == len(set(keys)) == 2 * 3 * 2
    for number, key in enumerate(keys):
        after = next((n for n in range(number, len(keys)) if keys[n] != key), len(keys))
        assert plan.alike(number) == after - number
    assert plan.alike(len(keys)) == 0


def test_the_order_is_that_of_options_and_not_of_arguments():
    """A sweep goes on by number after a kill, and the order of lines in its file is not part of its fingerprint."""
    first = points(grid())[0]
    assert first["model.hidden"] == 5
    assert first["optimizer"] == "SGD"
    model = {"hidden": Choice(5, 9), "layers": Choice(2, 1), "dropout": Choice(0.0, 0.2)}
    sweep, turned = grid(model=Space(MLP, **model)), grid(model=Space(MLP, **dict(reversed(model.items()))))
    assert turned.fingerprint() == sweep.fingerprint()
    assert points(turned) == points(sweep)


def test_conditions_between_siblings_hold_too():
    sweep = grid(
        model=Space(MLP, layers=Int(1, 2), activation=Choice(Relu, Tanh), dropout=Choice(0.1, 0.2).when(layers=2)),
        optimizer=Space(SGD),
        training=Space(Trainer),
    )
    found = {frozen(point) for point in points(sweep)}
    one = [{"model.layers": 1, "model.activation": a} for a in ("Relu", "Tanh")]
    two = [{**point, "model.layers": 2, "model.dropout": d} for point in one for d in (0.1, 0.2)]
    assert found == {frozen(point) for point in one + two}
    assert len(points(sweep)) == 6


def test_a_condition_may_lie_as_deep_as_it_likes():
    """Asked by whoever draws, and drawn by nothing but answers."""

    def draw(ask):
        first = ask("a", Choice(1, 2, 3))
        if first == 2:
            return ask("b", Choice("x", "y")) == "y" and ask("c", Int(0, 1)) == 1 and ask("d", Choice(True, False))
        return ask("c", Int(0, 1))

    found = [tuple((path, value) for path, _, value in point) for point in combinations(draw)]
    assert found == [
        (("a", 1), ("c", 0)),
        (("a", 1), ("c", 1)),
        (("a", 2), ("b", "x")),
        (("a", 2), ("b", "y"), ("c", 0)),
        (("a", 2), ("b", "y"), ("c", 1), ("d", True)),
        (("a", 2), ("b", "y"), ("c", 1), ("d", False)),
        (("a", 3), ("c", 0)),
        (("a", 3), ("c", 1)),
    ]


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Float(0.1, 0.5, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),  # as they are written, not 0.30000000000000004
        (Float(0, 1, step=0.5), [0.0, 0.5, 1.0]),
        (Int(1, 4), [1, 2, 3, 4]),
        (Int(1, 4, log=True), [1, 2, 3, 4]),
        (Int(2, 8, step=3), [2, 5, 8]),
        (Choice(None, "a", True, 1.5), [None, "a", True, 1.5]),
    ],
)
def test_the_values_of_an_argument(domain, values):
    found = [point[0].value for point in combinations(lambda ask: ask("x", domain))]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_with_nothing_open_there_is_one_combination():
    sweep = grid(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer))
    assert points(sweep) == [{}]
    assert sweep.asked() == 1


def test_a_range_without_step_is_told_with_its_path():
    sweep = grid(optimizer=Choice(Space(Adam), Space(SGD, lr=Float(0.1, 1.0))))
    with pytest.raises(UserMistake, match=r"^Grid\(\) tries every value, and optimizer\.SGD\.lr is a range without"):
        sweep.asked()
    assert sweep.with_values({"optimizer.SGD.lr": 0.5}).asked() == 2 * 2 * 2 * 2, "what is fixed is no range"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"model": Space(MLP, hidden=Int(1, 1000)), "training": Space(Trainer, batch_size=Int(1, 1000))},
            r"^the grid has 9,000,000 combinations, and Grid\(\) goes up to 100,000",
        ),
        ({"model": Space(MLP, hidden=Int(1, 10**9), layers=Int(1, 10**9))}, "has more than 100,000 combinations"),
        ({"optimizer": Space(SGD, lr=Float(0.0, 1.0, step=1e-12))}, "has more than 100,000 combinations"),
    ],
)
def test_a_grid_beyond_measure_is_refused_at_once(changes, told):
    begun = time.monotonic()
    with pytest.raises(UserMistake, match=told):
        grid(**changes).asked()
    assert time.monotonic() - begun < 20


def test_168_combinations_take_no_time():
    sweep = grid(
        model=Space(MLP),
        optimizer=Choice(*(Space(kind, lr=Choice(*np.linspace(0.1, 0.7, 7).tolist())) for kind in (SGD, Adam))),
        training=Space(Trainer, batch_size=Int(1, 12)),
    )
    begun = time.perf_counter()
    assert sweep.asked() == 168
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize(("own", "asked", "budget"), [(None, None, 72), (10, None, 10), (10, 72, 72), (None, 3, 3)])
def test_a_budget_is_what_is_asked_for_or_all_there_is(own, asked, budget):
    assert grid(trials=own).asked(asked) == budget


def test_more_than_the_grid_has_is_refused():
    with pytest.raises(UserMistake, match=r"^the grid has 72 combinations; trials=73 asks for more\.$"):
        grid(trials=73).asked()
    with pytest.raises(UserMistake, match="trials=200 asks for more"):
        grid().asked(200)


@pytest.mark.parametrize("sampler", [TPE(), Random()])
def test_other_samplers_have_no_plan(sampler):
    sweep = spiral_sweep(sampler=sampler)
    assert (sweep.plan(), sweep.asked(), sweep.asked(1000)) == (None, 6, 1000)


@pytest.fixture
def job(tmp_path):
    return Job(grid(), "grid", tmp_path / "study.journal", tmp_path / "checkpoints", trials=72)


@pytest.fixture(params=["journal", "sqlite"])
def stored(request, job, tmp_path):
    """A short job, in either kind of storage."""
    short = replace(job, trials=12)
    return short if request.param == "journal" else replace(short, storage=f"sqlite:///{tmp_path / 'study.db'}")


def done(study, group):
    study.finish(group.trials, EpochReport(1, np.ones(k := 2 * len(group.trials)), np.ones(k), (None,) * k, 0.1, 1.0))


def ask_all(study):
    groups = []
    while group := ask(study):
        groups.append(group)
        done(study, group)
    return groups


def ask(study):
    """A group with all it has room for, as a worker has it that finds more to be faster however many there are."""
    group = study.ask()
    return study.grow(group, 1 + group.room) if group and group.room else group


def test_the_study_hands_out_the_plan_in_groups_of_one_structure(job):
    study = Study(replace(job, workers=2), Buffer())
    groups = ask_all(study)
    study.close()
    drawn = [dict(point) for group in groups for point in group.parameters]
    assert drawn == points(grid())
    assert [number for group in groups for number in group.trials] == list(range(72))
    for group in groups:
        assert len({frozen(structural(job.sweep, point)) for point in group.parameters}) == 1
    sizes = [len(group.trials) for group in groups]
    # model.hidden and the batch size are structure; dropout, lr and momentum are not: 2 x 2, 2 x 2 x 3 and 2 x 1 alike
    assert sizes[:4] == [4, 4, 12, 12]
    assert [record.parameters for record in peek(job.storage, job.name)] == drawn


def test_a_group_that_grows_when_others_have_taken_its_points_mixes_no_structures(job):
    study = Study(replace(job, workers=2), Buffer())
    leader, other, third = study.ask(), study.ask(), study.ask()
    assert (leader.trials, other.trials, third.trials) == ((0,), (1,), (2,))
    grown = study.grow(leader, 4)
    assert grown.trials == (0, 3), "four points are alike, and two are at work elsewhere"
    assert study.grow(other, 4).trials == (1,)
    study.close()


def test_a_fixed_group_size_mixes_no_structures_either(job):
    study = Study(replace(job, fuse=3), Buffer())
    sizes = [len(group.trials) for group in ask_all(study)]
    study.close()
    assert sizes[:4] == [3, 1, 3, 1]
    assert max(sizes) == 3


def test_the_first_are_tried_and_the_rest_when_the_study_is_extended(job):
    study = Study(replace(job, trials=5), Buffer())
    ask_all(study)
    assert not study.more()
    study.close()
    study = Study(job, Buffer())
    ask_all(study)
    study.close()
    assert [record.parameters for record in peek(job.storage, job.name)] == points(grid())


class Killed(BaseException):
    """What ends a process in the middle."""


@pytest.mark.parametrize("values", [1, 2, 4, 5, 6, 10, 11, 14])
def test_killed_while_drawing_a_study_goes_on_with_the_same_combinations(stored, values, monkeypatch):
    """Killed before the nth value of a group is stored: trials half drawn, drawn and not there yet are all met."""
    suggest, count = trial_proposer.suggest, iter(range(1, 1000))

    def until(*arguments):
        if next(count) == values:
            raise Killed
        return suggest(*arguments)

    monkeypatch.setattr(trial_proposer, "suggest", until)
    job, study = stored, Study(stored, Buffer())
    with pytest.raises(Killed):
        ask(study)
    study.close()
    monkeypatch.setattr(trial_proposer, "suggest", suggest)
    begun = peek(job.storage, job.name)
    assert len(begun) == (values + 4) // 5  # five values a trial
    assert begun[-1].parameters != points(grid())[len(begun) - 1]
    study = Study(job, Buffer())
    ask_all(study)
    study.close()
    records = peek(job.storage, job.name)
    assert [record.number for record in records] == list(range(12))
    assert [record.parameters for record in records] == points(grid())[:12]
    assert {record.state for record in records} == {"COMPLETE"}


KILLED = """
import os, signal, sys
from pathlib import Path
from searchlab.study import trial_proposer
from tests.test_grid import Buffer, Job, Study, ask, done, grid
suggest, count = trial_proposer.suggest, iter(range(1000))
def until(*arguments):
    if next(count) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return suggest(*arguments)
trial_proposer.suggest = until
home = Path(sys.argv[1])
study = Study(Job(grid(), "grid", home / "study.journal", home / "checkpoints", trials=72), Buffer())
while group := ask(study):
    done(study, group)
"""


def test_sigkill_in_the_middle_of_a_grid_loses_and_repeats_no_combination(tmp_path):
    for value in (30, 49):  # in the middle of the second group, then of another
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(value)]
        assert subprocess.run(command, cwd=ROOT, timeout=120).returncode == -signal.SIGKILL
    job = Job(grid(), "grid", tmp_path / "study.journal", tmp_path / "checkpoints", trials=72)
    left = peek(job.storage, job.name)
    assert {record.state for record in left} == {"COMPLETE", "RUNNING"}
    assert len(left) < 72
    study = Study(job, Buffer())
    ask_all(study)
    study.close()
    records = peek(job.storage, job.name)
    assert [record.parameters for record in records] == points(grid())
    assert {record.state for record in records} == {"COMPLETE"}


@pytest.mark.parametrize(
    ("sampler", "theirs"), [(TPE(), TPESampler), (Random(), RandomSampler), (Grid(), RandomSampler)]
)
def test_each_sampler_is_optunas_own(sampler, theirs):
    assert isinstance(optuna_sampler(sampler, 0, {}), theirs)
    fixed = optuna_sampler(sampler, 0, {"x": 1})
    assert type(fixed) is PartialFixedSampler
    assert isinstance(fixed._base_sampler, theirs)


def test_a_sampler_that_the_study_does_not_know_is_told():
    class Mine(Random):
        pass

    class Other(Sampler):
        def plan(self, sweep):
            return None

    assert isinstance(optuna_sampler(Mine(), 0, {}), RandomSampler)
    with pytest.raises(TypeError, match="no way to draw as"):
        optuna_sampler(Other(), 0, {})


def test_random_draws_by_seed_and_number_and_in_groups_from_the_first(tmp_path):
    sweep = spiral_sweep(sampler=Random(), trials=40)

    def drawn(name, breaks=(), **changes):
        """All parameters, in groups, with a new owner of the study before these groups."""
        job = Job(sweep, "random", tmp_path / name, tmp_path / "c", trials=40, **changes)
        study, found = Study(job, Buffer()), []
        while True:
            if len(found) in breaks:
                study.close()
                study = Study(job, Buffer())
            group = ask(study)
            if group is None:
                study.close()
                return found
            found.append([dict(point) for point in group.parameters])
            done(study, group)

    whole = drawn("whole.journal")
    assert [len(group) for group in whole] == [4] * 10
    assert drawn("broken.journal", breaks=(2, 7)) == whole
    assert drawn("other.journal", seed=1) != whole
    for group in whole:
        assert len({frozen(structural(sweep, point)) for point in group}) == 1
    assert len({frozen(point) for group in whole for point in group}) == 40
    assert len({point["model.hidden"] for group in whole for point in group}) > 1

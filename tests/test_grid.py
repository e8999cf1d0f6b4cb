"""The grid: every combination once, also in conditional spaces, and by number also after a crash."""

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
from searchlab.runs.events import EventBuffer
from searchlab.space.grid import enumerate_points
from searchlab.space.samplers import Sampler
from searchlab.space.structure import structural_parameters
from searchlab.study import trial_proposer
from searchlab.study.reading import read_trials
from searchlab.study.samplers import create_sampler
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE

MODEL = Space(MLP, hidden=Choice(5, 9), dropout=Choice(0.0, 0.2))
OPTIMIZER = Choice(
    Space(SGD, lr=Choice(0.1, 1.0)),
    Space(Momentum, lr=Choice(0.01, 0.1), momentum=Float(0.5, 0.9, step=0.2)),
    Space(Adam),
)
TRAINING = Space(Trainer, batch_size=Int(10, 20, step=10), epochs=2)


def grid(**changes):
    """Return a sweep of 2 x 2 models, 2 + 2 x 3 + 1 optimizers and 2 batch sizes."""
    parts = {"model": MODEL, "optimizer": OPTIMIZER, "training": TRAINING, "sampler": Grid(), "trials": None}
    return spiral_sweep(**parts | changes)


def points(sweep):
    return list(sweep.grid_points().points)


def sorted_items(parameters):
    return tuple(sorted(parameters.items()))


def test_grid_has_every_combination_once():
    found = points(grid())
    optimizers = [{"optimizer": "SGD", "optimizer.SGD.lr": lr} for lr in (0.1, 1.0)]
    optimizers += [
        {"optimizer": "Momentum", "optimizer.Momentum.lr": lr, "optimizer.Momentum.momentum": momentum}
        for lr, momentum in product((0.01, 0.1), (0.5, 0.7, 0.9))
    ]
    optimizers += [{"optimizer": "Adam"}]
    expected = [
        {"model.hidden": h, "model.dropout": d, **optimizer, "training.batch_size": b}
        for h, d, optimizer, b in product((5, 9), (0.0, 0.2), optimizers, (10, 20))
    ]
    assert len(found) == len(expected) == 72
    assert {sorted_items(point) for point in found} == {sorted_items(point) for point in expected}


def test_points_of_equal_structure_are_consecutive():
    sweep = grid()
    grid_points = sweep.grid_points()
    keys = [sorted_items(structural_parameters(sweep, point)) for point in grid_points.points]
    changes = sum(a != b for a, b in pairwise(keys))
    assert grid_points.structure_count == changes + 1 == len(set(keys)) == 2 * 3 * 2
    for number, key in enumerate(keys):
        after = next((n for n in range(number, len(keys)) if keys[n] != key), len(keys))
        assert grid_points.structure_run(number) == after - number
    assert grid_points.structure_run(len(keys)) == 0


def test_order_depends_on_options_and_not_on_the_order_of_arguments():
    """A sweep is resumed by trial number, and the order of lines in its file is not part of its fingerprint."""
    first = points(grid())[0]
    assert first["model.hidden"] == 5
    assert first["optimizer"] == "SGD"
    model = {"hidden": Choice(5, 9), "layers": Choice(2, 1), "dropout": Choice(0.0, 0.2)}
    sweep, reordered = grid(model=Space(MLP, **model)), grid(model=Space(MLP, **dict(reversed(model.items()))))
    assert reordered.fingerprint() == sweep.fingerprint()
    assert points(reordered) == points(sweep)


def test_grid_follows_conditions_between_siblings():
    sweep = grid(
        model=Space(MLP, layers=Int(1, 2), activation=Choice(Relu, Tanh), dropout=Choice(0.1, 0.2).when(layers=2)),
        optimizer=Space(SGD),
        training=Space(Trainer),
    )
    found = {sorted_items(point) for point in points(sweep)}
    one = [{"model.layers": 1, "model.activation": a} for a in ("Relu", "Tanh")]
    two = [{**point, "model.layers": 2, "model.dropout": d} for point in one for d in (0.1, 0.2)]
    assert found == {sorted_items(point) for point in one + two}
    assert len(points(sweep)) == 6


def test_enumerate_points_follows_nested_conditions():
    def configure(suggest):
        if suggest("a", Choice(1, 2, 3)) != 2:
            suggest("c", Int(0, 1))
        elif suggest("b", Choice("x", "y")) == "y" and suggest("c", Int(0, 1)) == 1:
            suggest("d", Choice(True, False))

    found = [tuple((path, value) for path, _, value in point) for point in enumerate_points(configure)]
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
        (Float(0.1, 0.5, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),  # as the user writes them, not 0.30000000000000004
        (Float(0, 1, step=0.5), [0.0, 0.5, 1.0]),
        (Int(1, 4), [1, 2, 3, 4]),
        (Int(1, 4, log=True), [1, 2, 3, 4]),
        (Int(2, 8, step=3), [2, 5, 8]),
        (Choice(None, "a", True, 1.5), [None, "a", True, 1.5]),
    ],
)
def test_grid_values_of_a_domain(domain, values):
    found = [point[0].value for point in enumerate_points(lambda suggest: suggest("x", domain))]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_space_without_open_arguments_has_one_combination():
    sweep = grid(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer))
    assert points(sweep) == [{}]
    assert sweep.resolve_trials() == 1


def test_range_without_step_is_reported_with_its_path():
    sweep = grid(optimizer=Choice(Space(Adam), Space(SGD, lr=Float(0.1, 1.0))))
    with pytest.raises(UserMistake, match=r"Grid\(\) .* optimizer\.SGD\.lr is a range without a step"):
        sweep.resolve_trials()
    assert sweep.with_values({"optimizer.SGD.lr": 0.5}).resolve_trials() == 2 * 2 * 2 * 2, (
        "a fixed argument needs no step"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": Space(MLP, hidden=Int(1, 1000)), "training": Space(Trainer, batch_size=Int(1, 1000))},
            "has 9,000,000 combinations, .* at most 100,000",
        ),
        ({"model": Space(MLP, hidden=Int(1, 10**9), layers=Int(1, 10**9))}, "has more than 100,000 combinations"),
        ({"optimizer": Space(SGD, lr=Float(0.0, 1.0, step=1e-12))}, "has more than 100,000 combinations"),
    ],
)
def test_too_large_grid_is_rejected_fast(changes, message):
    started = time.monotonic()
    with pytest.raises(UserMistake, match=message):
        grid(**changes).resolve_trials()
    assert time.monotonic() - started < 20


def test_168_combinations_are_listed_fast():
    sweep = grid(
        model=Space(MLP),
        optimizer=Choice(*(Space(kind, lr=Choice(*np.linspace(0.1, 0.7, 7).tolist())) for kind in (SGD, Adam))),
        training=Space(Trainer, batch_size=Int(1, 12)),
    )
    started = time.perf_counter()
    assert sweep.resolve_trials() == 168
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(("own", "requested", "trials"), [(None, None, 72), (10, None, 10), (10, 72, 72), (None, 3, 3)])
def test_resolve_trials_is_the_request_or_the_sweeps_number_or_the_whole_grid(own, requested, trials):
    assert grid(trials=own).resolve_trials(requested) == trials


def test_more_trials_than_combinations_are_rejected():
    with pytest.raises(UserMistake, match="72 combinations, and trials=73 is more"):
        grid(trials=73).resolve_trials()
    with pytest.raises(UserMistake, match="trials=200 is more"):
        grid().resolve_trials(200)


@pytest.mark.parametrize("sampler", [TPE(), Random()])
def test_other_samplers_have_no_grid_points(sampler):
    sweep = spiral_sweep(sampler=sampler)
    assert (sweep.grid_points(), sweep.resolve_trials(), sweep.resolve_trials(1000)) == (None, 6, 1000)


@pytest.fixture
def job(tmp_path):
    return make_job(grid(), "grid", tmp_path / "study.journal", tmp_path / "checkpoints", trials=72)


@pytest.fixture
def short(job):
    """A job of 12 trials."""
    return replace(job, trials=12)


def with_options(job, **options):
    return replace(job, config=replace(job.config, **options))


def finish(study, group):
    study.finish(group.trials, EpochReport(1, np.ones(k := 2 * len(group.trials)), np.ones(k), (None,) * k, 0.1, 1.0))


def finish_all(study):
    groups = []
    while group := next_group(study):
        groups.append(group)
        finish(study, group)
    return groups


def next_group(study):
    """Return the next group with all followers that may join it."""
    group = study.ask()
    return study.grow(group, 1 + group.max_followers) if group and group.max_followers else group


def test_study_proposes_grid_points_in_groups_of_one_structure(job):
    study = Study(with_options(job, workers=2), EventBuffer())
    groups = finish_all(study)
    study.close()
    proposed = [dict(point) for group in groups for point in group.parameters]
    assert proposed == points(grid())
    assert [number for group in groups for number in group.trials] == list(range(72))
    for group in groups:
        assert len({sorted_items(structural_parameters(job.sweep, point)) for point in group.parameters}) == 1
    sizes = [len(group.trials) for group in groups]
    # model.hidden and batch_size are structure; dropout, lr and momentum are not: 2 x 2, 2 x 2 x 3 and 2 x 1 points
    assert sizes[:4] == [4, 4, 12, 12]
    assert [record.parameters for record in read_trials(job.storage, job.name)] == proposed


def test_group_that_grows_late_has_one_structure(job):
    study = Study(with_options(job, workers=2), EventBuffer())
    leader, other, third = study.ask(), study.ask(), study.ask()
    assert (leader.trials, other.trials, third.trials) == ((0,), (1,), (2,))
    grown = study.grow(leader, 4)
    assert grown.trials == (0, 3), "four points have this structure, and two of them are in other groups"
    assert study.grow(other, 4).trials == (1,)
    study.close()


def test_groups_of_a_fixed_size_have_one_structure(job):
    study = Study(with_options(job, fuse=3), EventBuffer())
    sizes = [len(group.trials) for group in finish_all(study)]
    study.close()
    assert sizes[:4] == [3, 1, 3, 1]
    assert max(sizes) == 3


def test_extended_study_continues_with_the_next_points(job):
    study = Study(replace(job, trials=5), EventBuffer())
    finish_all(study)
    assert not study.has_more()
    study.close()
    study = Study(job, EventBuffer())
    finish_all(study)
    study.close()
    assert [record.parameters for record in read_trials(job.storage, job.name)] == points(grid())


class Killed(BaseException):
    """An exception that stands for the death of the process."""


@pytest.mark.parametrize("values", [1, 2, 4, 5, 6, 10, 11, 14])
def test_study_killed_while_proposing_continues_with_the_same_points(short, values, monkeypatch):
    """The process dies before the nth value of a group is stored: its trials are stored in full, in part or not."""
    suggest, count = trial_proposer.suggest, iter(range(1, 1000))

    def until(*arguments):
        if next(count) == values:
            raise Killed
        return suggest(*arguments)

    monkeypatch.setattr(trial_proposer, "suggest", until)
    job, study = short, Study(short, EventBuffer())
    with pytest.raises(Killed):
        next_group(study)
    study.close()
    monkeypatch.setattr(trial_proposer, "suggest", suggest)
    records = read_trials(job.storage, job.name)
    assert len(records) == (values + 4) // 5  # of five values each
    assert records[-1].parameters != points(grid())[len(records) - 1]
    study = Study(job, EventBuffer())
    finish_all(study)
    study.close()
    records = read_trials(job.storage, job.name)
    assert [record.number for record in records] == list(range(12))
    assert [record.parameters for record in records] == points(grid())[:12]
    assert {record.state for record in records} == {"COMPLETE"}


KILLED = """
import os, signal, sys
from pathlib import Path
from searchlab.study import trial_proposer
from tests.test_grid import EventBuffer, make_job, Study, finish, grid, next_group
suggest, count = trial_proposer.suggest, iter(range(1000))
def until(*arguments):
    if next(count) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return suggest(*arguments)
trial_proposer.suggest = until
home = Path(sys.argv[1])
study = Study(make_job(grid(), "grid", home / "study.journal", home / "checkpoints", trials=72), EventBuffer())
while group := next_group(study):
    finish(study, group)
"""


def test_sigkill_loses_and_repeats_no_point(tmp_path):
    for value in (30, 49):  # values in the middle of a group
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(value)]
        assert subprocess.run(command, cwd=ROOT, timeout=DEADLINE).returncode == -signal.SIGKILL
    job = make_job(grid(), "grid", tmp_path / "study.journal", tmp_path / "checkpoints", trials=72)
    records = read_trials(job.storage, job.name)
    assert {record.state for record in records} == {"COMPLETE", "RUNNING"}
    assert len(records) < 72
    study = Study(job, EventBuffer())
    finish_all(study)
    study.close()
    records = read_trials(job.storage, job.name)
    assert [record.parameters for record in records] == points(grid())
    assert {record.state for record in records} == {"COMPLETE"}


@pytest.mark.parametrize(
    ("sampler", "optuna_class"), [(TPE(), TPESampler), (Random(), RandomSampler), (Grid(), RandomSampler)]
)
def test_sampler_is_created_as_one_of_optuna(sampler, optuna_class):
    assert isinstance(create_sampler(sampler, 0, {}), optuna_class)
    fixed = create_sampler(sampler, 0, {"x": 1})
    assert type(fixed) is PartialFixedSampler
    assert isinstance(fixed._base_sampler, optuna_class)


def test_unknown_sampler_is_rejected():
    class OwnRandom(Random):
        pass

    class Other(Sampler):
        def grid_points(self, sweep):
            return None

    assert isinstance(create_sampler(OwnRandom(), 0, {}), RandomSampler)
    with pytest.raises(TypeError, match="no sampler for"):
        create_sampler(Other(), 0, {})


def test_random_points_depend_on_seed_and_number_and_are_grouped_from_the_first(tmp_path):
    sweep = spiral_sweep(sampler=Random(), trials=40)

    def proposed_groups(name, breaks=(), **changes):
        """Return the parameters by group; before the groups in `breaks`, the study is closed and opened again."""
        job = make_job(sweep, "random", tmp_path / name, tmp_path / "c", trials=40, **changes)
        study, found = Study(job, EventBuffer()), []
        while True:
            if len(found) in breaks:
                study.close()
                study = Study(job, EventBuffer())
            group = next_group(study)
            if group is None:
                study.close()
                return found
            found.append([dict(point) for point in group.parameters])
            finish(study, group)

    whole = proposed_groups("whole.journal")
    assert [len(group) for group in whole] == [4] * 10
    assert proposed_groups("broken.journal", breaks=(2, 7)) == whole
    assert proposed_groups("other.journal", seed=1) != whole
    for group in whole:
        assert len({sorted_items(structural_parameters(sweep, point)) for point in group}) == 1
    assert len({sorted_items(point) for group in whole for point in group}) == 40
    assert len({point["model.hidden"] for group in whole for point in group}) > 1

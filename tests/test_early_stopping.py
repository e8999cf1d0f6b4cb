"""Early stopping: the rule on written-down curves, and whole sweeps that end their trials by it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, TPE, Choice, EarlyStopping, Grid, Space, Trainer
from searchlab.engine import local, ray_tune
from searchlab.engine.checkpoints import Checkpoints
from searchlab.errors import UserMistake
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.sweeps import spiral_sweep


@pytest.mark.parametrize(
    ("rule", "goal", "curve", "ends"),
    [
        (EarlyStopping(2), "max", [0.1, 0.2, 0.3, 0.4], None),
        (EarlyStopping(2), "max", [0.1, 0.2, 0.2, 0.2, 0.9], 4),  # as good as before is no improvement
        (EarlyStopping(2), "max", [0.5, 0.1, 0.6, 0.1, 0.1], 5),  # what improved counts anew
        (EarlyStopping(2), "max", [0.5, 0.4, 0.45], 3),  # better than the last is not better than the best
        (EarlyStopping(1), "max", [0.5, 0.6, 0.6], 3),
        (EarlyStopping(1), "max", [0.5], None),
        (EarlyStopping(2), "min", [3.0, 2.0, 2.5, 2.5], 4),
        (EarlyStopping(2), "min", [-1.0, -2.0, -3.0], None),
        (EarlyStopping(2, min_delta=0.1), "max", [0.5, 0.55, 0.59], 3),  # each better, none by more than a tenth
        (EarlyStopping(2, min_delta=0.1), "max", [0.5, 0.55, 0.65, 0.7], None),
        (EarlyStopping(2, min_delta=0.1), "min", [0.5, 0.45, 0.41], 3),
        (EarlyStopping(2), "max", [0.1, math.nan, math.nan], 3),
        (EarlyStopping(2), "min", [math.nan, math.nan, 0.1], 2),
        (EarlyStopping(3), "max", [math.nan, 0.1, 0.2, 0.1], None),
    ],
)
def test_a_trial_is_done_when_it_has_not_improved_for_so_long(rule, goal, curve, ends):
    done = [epoch for epoch in range(1, len(curve) + 1) if rule.done(curve[:epoch], goal)]
    assert (done[0] if done else None) == ends
    assert done == list(range(ends, len(curve) + 1)) if ends else True, "what is done stays done"


@pytest.mark.parametrize("patience", [0, -1, 2.0, True, None])
def test_patience_is_a_number_of_epochs(patience):
    with pytest.raises(UserMistake, match=r"EarlyStopping\(patience=...\) is a number of epochs, at least 1; got"):
        EarlyStopping(patience=patience)


@pytest.mark.parametrize("delta", [-0.1, math.nan, math.inf, "0.1", True])
def test_min_delta_is_not_negative(delta):
    with pytest.raises(UserMistake, match=r"EarlyStopping\(min_delta=...\) is a number of at least 0; got"):
        EarlyStopping(min_delta=delta)


@pytest.fixture
def job(tmp_path):
    sweep = spiral_sweep(early_stopping=EarlyStopping(patience=2))
    return Job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "checkpoints", trials=3, fuse=3)


def epoch(number, *means, failures=None):
    """A report of trials of two folds with these means."""
    scores = np.array([mean + offset for mean in means for offset in (-0.1, 0.1)])
    return EpochReport(number, np.ones(len(scores)), scores, failures or (None,) * len(scores), 0.6, 1000.0 + number)


def test_a_trial_that_is_done_is_complete_at_its_best_epoch_and_others_go_on(job):
    study = Study(job, tracker := Buffer())
    numbers = study.ask().trials
    assert list(study.report(numbers, epoch(1, 0.5, 0.1, 0.7)).stay) == [0, 1, 2]
    assert list(study.report(numbers, epoch(2, 0.6, 0.2, 0.6)).stay) == [0, 1, 2]
    assert list(study.report(numbers, epoch(3, 0.5, 0.3, 0.6)).stay) == [0, 1], "two epochs without improvement"
    done = study.records()[2]
    assert (done.state, done.epoch, done.value) == ("COMPLETE", 1, pytest.approx(0.7))
    assert len(done.curve.scores) == 3
    assert list(study.report(numbers, epoch(4, 0.6, 0.4, 0.9)).stay) == [1], "the epoch that a worker trains too many"
    study.finish(numbers, epoch(5, 0.9, 0.3, 0.9))
    records = study.records()
    assert [(r.state, r.epoch, len(r.curve.scores)) for r in records] == [
        ("COMPLETE", 2, 4), ("COMPLETE", 4, 5), ("COMPLETE", 1, 3)
    ]  # fmt: skip
    assert records[2].value == pytest.approx(0.7), "what came after the end changes nothing"
    ends = [arguments["trial"] for method, arguments in tracker.drain() if method == "finish"]
    assert ends == [2, 0, 1], "each ended once"
    study.close()


def test_a_trial_that_diverges_as_its_patience_ends_has_failed(job):
    study = Study(job, Buffer())
    numbers = study.ask().trials
    study.report(numbers, epoch(1, 0.5, 0.5, 0.5))
    study.report(numbers, epoch(2, 0.5, 0.5, 0.5))
    assert list(study.report(numbers, epoch(3, 0.5, 0.5, 0.5, failures=(None, "diverged") + (None,) * 4)).stay) == []
    assert [record.state for record in study.records()] == ["FAIL", "COMPLETE", "COMPLETE"]
    study.close()


def test_the_last_epoch_may_be_the_one_that_ends_it(job):
    study = Study(job, Buffer())
    numbers = study.ask().trials
    for number in (1, 2):
        study.report(numbers, epoch(number, 0.5, 0.5, 0.5))
    study.finish(numbers, epoch(3, 0.5, 0.5, 0.5))
    assert [(r.state, r.epoch) for r in study.records()] == [("COMPLETE", 1)] * 3
    study.close()


def test_a_retold_curve_ends_where_it_ended(job):
    """A killed study has forgotten the curves of open trials: a worker tells them again from its checkpoint."""
    study = Study(job, Buffer())
    numbers = study.ask().trials
    reports = [epoch(1, 0.5, 0.1, 0.7), epoch(2, 0.6, 0.2, 0.6), epoch(3, 0.7, 0.3, 0.6)]
    for report in reports[:2]:
        study.report(numbers, report)
    study.close()
    again = Study(job, Buffer())
    group = again.ask()
    assert group.trials == numbers
    survivors = [list(again.report(numbers, report).stay) for report in reports]
    assert survivors == [[0, 1, 2], [0, 1, 2], [0, 1]]
    assert again.records()[2].epoch == 1
    again.close()


def stopping(**changes):
    """A grid of two structures with three rates each, in which trials are done long before their last epoch."""
    parts = {
        "model": Space(MLP, hidden=Choice(5, 9)),
        "optimizer": Space(SGD, lr=Choice(0.1, 0.5, 2.0)),
        "training": Space(Trainer, batch_size=10, epochs=40),
        "sampler": Grid(),
        "trials": None,
        "early_stopping": EarlyStopping(patience=2, min_delta=0.02),
    }
    return spiral_sweep(**parts | changes)


def search(folder, engine=local, sweep=None, **changes):
    folder.mkdir()
    job = Job(sweep or stopping(), "spiral", folder / "study.journal", folder / "checkpoints", trials=6, root=ROOT)
    return engine.search(replace(job, **changes), Buffer()).trials


def facts(records):
    return [(r.number, r.state, r.parameters, r.value, r.epoch, r.curve.scores, r.curve.losses) for r in records]


def test_a_group_whose_trials_have_all_stopped_ends_and_the_next_one_comes(tmp_path):
    records, rule = search(tmp_path / "a"), stopping().early_stopping
    assert [record.state for record in records] == ["COMPLETE"] * 6
    assert len({len(record.curve.scores) for record in records}) > 1, "each stops in its own time"
    for record in records:
        means, length = np.mean(record.curve.scores, axis=1).tolist(), len(record.curve.scores)
        assert length < 40
        assert rule.done(means, "max")
        assert not rule.done(means[:-1], "max")
        assert record.value == max(means)
    assert not list((tmp_path / "a" / "checkpoints").glob("*"))


def test_stopping_cuts_curves_and_changes_nothing_else(tmp_path):
    cut, whole = search(tmp_path / "cut"), search(tmp_path / "whole", sweep=stopping(early_stopping=None))
    for short, long in zip(cut, whole, strict=True):
        assert short.parameters == long.parameters
        assert short.curve.scores == long.curve.scores[: len(short.curve.scores)]
        assert len(long.curve.scores) == 40


def test_a_trial_stops_where_it_stops_whatever_its_company(tmp_path):
    together = facts(search(tmp_path / "together", fuse=3))
    assert facts(search(tmp_path / "alone", fuse=1)) == together
    assert facts(search(tmp_path / "pairs", fuse=2)) == together


@pytest.mark.slow
def test_both_engines_stop_the_same_trials(tmp_path):
    """The study of Ray Tune answers an epoch late: what a worker trains too many is not heard."""

    assert facts(search(tmp_path / "tune", ray_tune, fuse=3)) == facts(search(tmp_path / "local", fuse=3))
    learning = stopping(sampler=TPE(), trials=16)
    here = search(tmp_path / "here", sweep=learning, fuse=2, trials=16)
    assert facts(search(tmp_path / "there", ray_tune, learning, fuse=2, trials=16)) == facts(here)


class Gone(BaseException):
    """What ends a process in the middle."""


@pytest.mark.parametrize("killed_at", [2, 4, 6, 9])
def test_a_search_killed_between_stops_goes_on_as_if_unbroken(tmp_path, killed_at, monkeypatch):
    unbroken = facts(search(tmp_path / "unbroken"))
    report, told = Study.report, iter(range(1, 1000))

    def until(self, numbers, one):
        survivors = report(self, numbers, one)
        if next(told) == killed_at:
            raise Gone
        return survivors

    monkeypatch.setattr(Study, "report", until)
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    with pytest.raises(Gone):
        search(tmp_path / "broken")
    monkeypatch.setattr(Study, "report", report)
    folder = tmp_path / "broken"
    job = Job(stopping(), "spiral", folder / "study.journal", folder / "checkpoints", trials=6)
    assert facts(local.search(job, Buffer()).trials) == unbroken

"""Early stopping: the rule on given curves, and sweeps that stop their trials by it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, TPE, Choice, EarlyStopping, Grid, Space, Trainer
from searchlab.engine import local, ray_tune
from searchlab.engine.checkpoints import CheckpointStore
from searchlab.errors import UserMistake
from searchlab.runs.events import EventBuffer, TrialFinished
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.jobs import make_job
from tests.sweeps import spiral_sweep


@pytest.mark.parametrize(
    ("rule", "goal", "curve", "stop_epoch"),
    [
        (EarlyStopping(2), "max", [0.1, 0.2, 0.3, 0.4], None),
        (EarlyStopping(2), "max", [0.1, 0.2, 0.2, 0.2, 0.9], 4),  # an equal score is no improvement
        (EarlyStopping(2), "max", [0.5, 0.1, 0.6, 0.1, 0.1], 5),  # an improvement resets the count
        (EarlyStopping(2), "max", [0.5, 0.4, 0.45], 3),  # better than the previous epoch, but not than the best
        (EarlyStopping(1), "max", [0.5, 0.6, 0.6], 3),
        (EarlyStopping(1), "max", [0.5], None),
        (EarlyStopping(2), "min", [3.0, 2.0, 2.5, 2.5], 4),
        (EarlyStopping(2), "min", [-1.0, -2.0, -3.0], None),
        (EarlyStopping(2, min_delta=0.1), "max", [0.5, 0.55, 0.59], 3),  # each is better, but none by more than 0.1
        (EarlyStopping(2, min_delta=0.1), "max", [0.5, 0.55, 0.65, 0.7], None),
        (EarlyStopping(2, min_delta=0.1), "min", [0.5, 0.45, 0.41], 3),
        (EarlyStopping(2), "max", [0.1, math.nan, math.nan], 3),
        (EarlyStopping(2), "min", [math.nan, math.nan, 0.1], 2),
        (EarlyStopping(3), "max", [math.nan, 0.1, 0.2, 0.1], None),
    ],
)
def test_should_stop_after_epochs_without_improvement(rule, goal, curve, stop_epoch):
    stopped = [epoch for epoch in range(1, len(curve) + 1) if rule.should_stop(curve[:epoch], goal)]
    assert stopped == (list(range(stop_epoch, len(curve) + 1)) if stop_epoch else [])


@pytest.mark.parametrize("patience", [0, -1, 2.0, True, None])
def test_patience_must_be_a_number_of_epochs(patience):
    with pytest.raises(UserMistake, match=r"EarlyStopping\(patience=...\) .* at least 1, got"):
        EarlyStopping(patience=patience)


@pytest.mark.parametrize("delta", [-0.1, math.nan, math.inf, "0.1", True])
def test_min_delta_must_not_be_negative(delta):
    with pytest.raises(UserMistake, match=r"EarlyStopping\(min_delta=...\) .* at least 0, got"):
        EarlyStopping(min_delta=delta)


@pytest.fixture
def job(tmp_path):
    sweep = spiral_sweep(early_stopping=EarlyStopping(patience=2))
    return make_job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "checkpoints", trials=3, fuse=3)


def epoch(number, *means, failures=None):
    """Return the report of trials of two folds with these means."""
    scores = np.array([mean + offset for mean in means for offset in (-0.1, 0.1)])
    return EpochReport(number, np.ones(len(scores)), scores, failures or (None,) * len(scores), 0.6, 1000.0 + number)


def test_stopped_trial_is_complete_at_its_best_epoch_and_others_continue(job):
    study = Study(job, events := EventBuffer())
    numbers = study.ask().trials
    assert list(study.report(numbers, epoch(1, 0.5, 0.1, 0.7)).trials) == [0, 1, 2]
    assert list(study.report(numbers, epoch(2, 0.6, 0.2, 0.6)).trials) == [0, 1, 2]
    assert list(study.report(numbers, epoch(3, 0.5, 0.3, 0.6)).trials) == [0, 1], "two epochs without improvement"
    stopped = study.records()[2]
    assert (stopped.state, stopped.epoch, stopped.value) == ("COMPLETE", 1, pytest.approx(0.7))
    assert len(stopped.curve.scores) == 3
    late_report = epoch(4, 0.6, 0.4, 0.9)  # it has an epoch of trial 2, which has stopped already
    assert list(study.report(numbers, late_report).trials) == [1]
    study.finish(numbers, epoch(5, 0.9, 0.3, 0.9))
    records = study.records()
    assert [(r.state, r.epoch, len(r.curve.scores)) for r in records] == [
        ("COMPLETE", 2, 4), ("COMPLETE", 4, 5), ("COMPLETE", 1, 3)
    ]  # fmt: skip
    assert records[2].value == pytest.approx(0.7), "an epoch after the end does not change the value"
    finished = [event.trial for event in events.drain() if isinstance(event, TrialFinished)]
    assert finished == [2, 0, 1], "each trial ends once"
    study.close()


def test_trial_that_diverges_when_its_patience_ends_has_failed(job):
    study = Study(job, EventBuffer())
    numbers = study.ask().trials
    study.report(numbers, epoch(1, 0.5, 0.5, 0.5))
    study.report(numbers, epoch(2, 0.5, 0.5, 0.5))
    assert list(study.report(numbers, epoch(3, 0.5, 0.5, 0.5, failures=(None, "diverged") + (None,) * 4)).trials) == []
    assert [record.state for record in study.records()] == ["FAIL", "COMPLETE", "COMPLETE"]
    study.close()


def test_trial_may_stop_at_the_last_epoch(job):
    study = Study(job, EventBuffer())
    numbers = study.ask().trials
    for number in (1, 2):
        study.report(numbers, epoch(number, 0.5, 0.5, 0.5))
    study.finish(numbers, epoch(3, 0.5, 0.5, 0.5))
    assert [(r.state, r.epoch) for r in study.records()] == [("COMPLETE", 1)] * 3
    study.close()


def test_curve_that_is_reported_again_ends_at_the_same_epoch(job):
    """A killed study has lost the curves of open trials, and a worker reports them again from its checkpoint."""
    study = Study(job, EventBuffer())
    numbers = study.ask().trials
    reports = [epoch(1, 0.5, 0.1, 0.7), epoch(2, 0.6, 0.2, 0.6), epoch(3, 0.7, 0.3, 0.6)]
    for report in reports[:2]:
        study.report(numbers, report)
    study.close()
    reopened = Study(job, EventBuffer())
    group = reopened.ask()
    assert group.trials == numbers
    survivors = [list(reopened.report(numbers, report).trials) for report in reports]
    assert survivors == [[0, 1, 2], [0, 1, 2], [0, 1]]
    assert reopened.records()[2].epoch == 1
    reopened.close()


def stopping_sweep(**changes):
    """Return a grid of two structures with three learning rates, in which trials stop long before the last epoch."""
    parts = {
        "model": Space(MLP, hidden=Choice(5, 9)),
        "optimizer": Space(SGD, lr=Choice(0.1, 0.5, 2.0)),
        "training": Space(Trainer, batch_size=10, epochs=40),
        "sampler": Grid(),
        "trials": None,
        "early_stopping": EarlyStopping(patience=2, min_delta=0.02),
    }
    return spiral_sweep(**parts | changes)


def search(folder, engine=local, sweep=None, trials=6, **options):
    """Return the records of a search whose files are in this folder."""
    folder.mkdir(exist_ok=True)
    sweep = sweep or stopping_sweep()
    job = make_job(sweep, "spiral", folder / "study.journal", folder / "checkpoints", trials, root=ROOT, **options)
    return engine.search(job, EventBuffer()).trials


def results_of(records):
    return [(r.number, r.state, r.parameters, r.value, r.epoch, r.curve.scores, r.curve.losses) for r in records]


def test_group_ends_when_all_its_trials_have_stopped(tmp_path):
    records, rule = search(tmp_path / "a"), stopping_sweep().early_stopping
    assert [record.state for record in records] == ["COMPLETE"] * 6
    assert len({len(record.curve.scores) for record in records}) > 1, "trials stop at different epochs"
    for record in records:
        means, length = np.mean(record.curve.scores, axis=1).tolist(), len(record.curve.scores)
        assert length < 40
        assert rule.should_stop(means, "max")
        assert not rule.should_stop(means[:-1], "max")
        assert record.value == max(means)
    assert not list((tmp_path / "a" / "checkpoints").glob("*"))


def test_early_stopping_only_shortens_curves(tmp_path):
    stopped, full = search(tmp_path / "stopped"), search(tmp_path / "full", sweep=stopping_sweep(early_stopping=None))
    for short, long in zip(stopped, full, strict=True):
        assert short.parameters == long.parameters
        assert short.curve.scores == long.curve.scores[: len(short.curve.scores)]
        assert len(long.curve.scores) == 40


def test_trial_stops_at_the_same_epoch_in_any_group(tmp_path):
    together = results_of(search(tmp_path / "together", fuse=3))
    assert results_of(search(tmp_path / "alone", fuse=1)) == together
    assert results_of(search(tmp_path / "pairs", fuse=2)) == together


@pytest.mark.slow
def test_both_engines_stop_the_same_trials(shared_ray, tmp_path):
    """With Ray Tune the study decides an epoch late, and ignores the epochs of trials that have stopped."""
    assert results_of(search(tmp_path / "tune", ray_tune, fuse=3)) == results_of(search(tmp_path / "local", fuse=3))
    learning = stopping_sweep(sampler=TPE(), trials=16)
    here = search(tmp_path / "here", sweep=learning, fuse=2, trials=16)
    assert results_of(search(tmp_path / "there", ray_tune, learning, fuse=2, trials=16)) == results_of(here)


class Killed(BaseException):
    """An exception that stands for the death of the process."""


@pytest.mark.parametrize("killed_at", [2, 4, 6, 9])
def test_killed_search_is_resumed_with_the_same_results(tmp_path, killed_at, monkeypatch):
    uninterrupted = results_of(search(tmp_path / "uninterrupted"))
    original, calls = Study.report, itertools.count(1)

    def report(self, numbers, epoch_report):
        decision = original(self, numbers, epoch_report)
        if next(calls) == killed_at:
            raise Killed
        return decision

    monkeypatch.setattr(Study, "report", report)
    monkeypatch.setattr(CheckpointStore, "is_due", lambda self: True)
    with pytest.raises(Killed):
        search(tmp_path / "killed")
    monkeypatch.setattr(Study, "report", original)
    assert results_of(search(tmp_path / "killed")) == uninterrupted

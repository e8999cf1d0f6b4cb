"""A study for a loop of one's own: it proposes trials, prunes them on their folds, and survives a kill."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import searchlab
from searchlab import Accuracy, Float, Int, KFold, ParameterCount, Random, Space, Spiral, Sweep
from searchlab.errors import UserMistake
from searchlab.pruning import Halving, NoPruning
from searchlab.results.pruner_replay import replay_sweep
from searchlab.runner.resume import resume
from searchlab.runs.workspace import Workspace
from tests.command_line import error_message, run_cli
from tests.conftest import ROOT

EPOCHS = 6


def network(*, hidden: int, rate: float):
    """A network, of which only the arguments matter here."""
    return (hidden, rate)


def own_sweep(trials=8, **changes):
    parts = {
        "name": "own",
        "data": Spiral(points=30),
        "validation": KFold(3),
        "metric": Accuracy(),
        "model": Space(network, hidden=Int(2, 40), rate=Float(0.01, 1.0, log=True)),
        "trials": trials,
        "pruner": NoPruning(),
        "sampler": Random(),
    }
    return Sweep(**{**parts, **changes})


def scores_of(trial, epoch):
    """Made-up scores of three folds, better with more hidden units."""
    hidden, _ = trial.model.build()
    return [hidden / 50 + 0.01 * epoch + 0.001 * fold for fold in range(3)]


def train_all(study, told=None):
    """Train every trial; keep in `told` what was told of each."""
    for trial in study:
        for epoch in range(1, EPOCHS + 1):
            scores = scores_of(trial, epoch)
            (told if told is not None else {}).setdefault(trial.number, []).append(scores)
            if not study.tell(trial, scores, losses=[1.0 / epoch] * 3, last=epoch == EPOCHS):
                break


def test_a_loop_of_ones_own_is_recorded_as_a_sweep(tmp_path):
    told = {}
    with own_sweep().study(home=tmp_path) as study:
        train_all(study, told)
        live = study.result()
    result = searchlab.open("own", home=tmp_path)
    assert result.to_json() == live.to_json()
    assert result.seconds["total"] > 0
    assert (result.state, result.counts()) == ("FINISHED", {"complete": 8, "pruned": 0, "failed": 0})
    assert {trial.number: trial.curve.scores for trial in result.trials} == told
    assert result.trials[3].curve.losses == [[1.0 / epoch] * 3 for epoch in range(1, EPOCHS + 1)]
    best = max(result.trials, key=lambda trial: trial.parameters["model.hidden"])
    assert result.frame()["trial"][0] == best.number
    assert (result.winner, result.artifact) == (None, None)
    assert f"best so far  trial {best.number}" in repr(result)
    listed = run_cli("list", home=tmp_path)
    assert "own" in listed.stdout
    assert "finished" in listed.stdout
    for command in ("report", "watch"):
        assert run_cli(command, "own", home=tmp_path).returncode == 0
    assert "a loop of your own" in error_message(run_cli("reproduce", "own", home=tmp_path), 2)
    assert "a loop of your own" in error_message(run_cli("resume", "own", home=tmp_path), 2)
    assert "no winner" in error_message(run_cli("export", "own", tmp_path / "out", home=tmp_path), 2)


def test_trials_are_pruned_on_their_folds(tmp_path):
    with own_sweep(16, pruner=Halving()).study(home=tmp_path) as study:
        train_all(study)
    result = searchlab.open("own", home=tmp_path)
    pruned = [trial for trial in result.trials if trial.state == "PRUNED"]
    assert 0 < len(pruned) < 16
    assert all(len(trial.curve.scores) < EPOCHS and "rank" in trial.reason for trial in pruned)
    best = max(trial.parameters["model.hidden"] for trial in result.trials)
    assert result.trials[int(result.frame()["trial"][0])].parameters["model.hidden"] == best
    replayed = replay_sweep("own", Halving(), Workspace.at(tmp_path))
    assert replayed.pruned_trials == len(pruned)


def test_the_rows_are_those_of_the_validation_scheme(tmp_path):
    with own_sweep().study(home=tmp_path) as study:
        assert len(study.data) == 90
        assert len(study.folds) == 3
        for train, held_out in study.folds:
            assert sorted([*train, *held_out]) == list(range(90))
        assert study.data.take(study.folds[0][1]).x.shape == (30, 2)


def test_a_trial_says_what_to_train(tmp_path):
    with own_sweep().study(home=tmp_path, values={"model.hidden": 7}) as study:
        trial = study.ask()
        assert trial.model.build() == (7, trial.parameters["model.rate"])
        assert trial.model.keywords == {"hidden": 7, "rate": trial.parameters["model.rate"]}


def test_a_trial_that_fails_or_diverges_has_no_score(tmp_path):
    with own_sweep(2).study(home=tmp_path) as study:
        first, second = study.ask(), study.ask()
        study.fail(first, "the loss is too large")
        assert study.tell(second, [0.5, 0.5, 0.5])
        assert not study.tell(second, [0.5, float("nan"), 0.5])
        assert study.ask() is None
    result = searchlab.open("own", home=tmp_path)
    assert result.state == "FAILED"
    assert [trial.state for trial in result.trials] == ["FAIL", "FAIL"]
    assert [trial.reason for trial in result.trials] == ["the loss is too large", "the score is nan (fold 1)"]


def test_several_metrics_are_told_side_by_side(tmp_path):
    with own_sweep(2, metric=(Accuracy(), ParameterCount())).study(home=tmp_path) as study:
        for trial in study:
            assert study.tell(trial, [[0.5, 0.6, 0.7], [10, 10, 10]])
            study.finish(trial)
        with pytest.raises(UserMistake, match="has ended"):
            study.finish(trial)
    assert searchlab.open("own", home=tmp_path).trials[0].values == (pytest.approx(0.6), 10)


def test_wrong_numbers_are_refused_and_nothing_is_stored(tmp_path):
    with own_sweep().study(home=tmp_path) as study:
        trial = study.ask()
        for scores, losses in (([0.5], ()), ([[0.5] * 3] * 2, ()), ([0.5] * 3, [1.0]), (0.5, ())):
            with pytest.raises(UserMistake, match="3 numbers"):
                study.tell(trial, scores, losses)
        with pytest.raises(UserMistake, match="before an epoch"):
            study.finish(trial)
        assert not study.result().trials[0].curve.scores
        study.tell(trial, [0.5] * 3)
        study.finish(trial)
        with pytest.raises(UserMistake, match="has ended"):
            study.tell(trial, [0.5] * 3)


def test_an_unknown_last_epoch_is_finished_afterwards(tmp_path):
    with own_sweep(1).study(home=tmp_path) as study:
        trial = study.ask()
        assert [study.tell(trial, scores_of(trial, epoch)) for epoch in (3, 1)] == [True, True]
        study.finish(trial)
    (record,) = searchlab.open("own", home=tmp_path).trials
    assert (record.state, record.epoch, len(record.curve.scores)) == ("COMPLETE", 1, 2)


def test_the_last_epoch_may_diverge(tmp_path):
    with own_sweep(1).study(home=tmp_path) as study:
        trial = study.ask()
        assert not study.tell(trial, [0.1, float("inf"), 0.1], last=True)
    assert searchlab.open("own", home=tmp_path).trials[0].state == "FAIL"


def test_a_study_is_continued_and_extended(tmp_path):
    sweep = own_sweep(4)
    with sweep.study(home=tmp_path) as study:
        first, second = study.ask(), study.ask()
        study.tell(first, scores_of(first, 1))
        study.finish(first)
    assert searchlab.open("own", home=tmp_path).state == "INTERRUPTED"
    with sweep.study(home=tmp_path) as study:
        again = study.ask()
        assert (again.number, again.parameters) == (second.number, second.parameters)
        study.tell(again, scores_of(again, 1))
        study.finish(again)
        train_all(study)
    assert len(searchlab.open("own", home=tmp_path).trials) == 4
    with sweep.study(home=tmp_path, trials=6) as study:
        train_all(study)
    result = searchlab.open("own", home=tmp_path)
    assert (result.count("COMPLETE"), result.requested, result.state) == (6, 6, "FINISHED")
    with pytest.raises(UserMistake, match="not reduced to 3"):
        sweep.study(home=tmp_path, trials=3)


def test_a_name_is_that_of_one_search(tmp_path):
    with own_sweep().study(home=tmp_path) as study:
        with pytest.raises(UserMistake, match="is being run by process"):
            own_sweep().study(home=tmp_path)
        assert study.ask().number == 0
    with pytest.raises(UserMistake, match="another sweep"):
        own_sweep(model=Space(network, hidden=3, rate=Float(0.1, 0.2))).study(home=tmp_path)
    with pytest.raises(UserMistake, match=r"sweep\.study"):
        resume("own", home=tmp_path, sweep=own_sweep())
    with own_sweep().study(home=tmp_path, name="other") as study:
        assert study.name == "other"


def test_only_a_study_can_leave_out_the_training(tmp_path):
    with pytest.raises(UserMistake, match=r"training=\.\.\.\) is missing"):
        own_sweep().run(engine="local", home=tmp_path)
    assert not list((tmp_path / "sweeps").glob("*")) if (tmp_path / "sweeps").exists() else True


KILLED = """
import os, signal
from tests.test_ask_tell import own_sweep, scores_of
study = own_sweep(3).study(home={home!r})
first, second = study.ask(), study.ask()
study.tell(first, scores_of(first, 1))
study.finish(first)
study.tell(second, scores_of(second, 1))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_loop_loses_no_finished_trial(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED.format(home=str(tmp_path))], cwd=ROOT, check=False)
    assert killed.returncode == -9
    with own_sweep(3).study(home=tmp_path) as study:
        train_all(study)
    result = searchlab.open("own", home=tmp_path)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 3
    assert [len(trial.curve.scores) for trial in result.trials] == [1, EPOCHS, EPOCHS]


def test_rows_reach_numpy(tmp_path):
    with own_sweep().study(home=tmp_path) as study:
        train, _ = study.folds[0]
        assert np.asarray(study.data.x)[train].shape == (60, 2)

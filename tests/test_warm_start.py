"""Warm starts: a sweep whose sampler learns from an earlier sweep."""

from __future__ import annotations

import pytest

from searchlab import Float, Halving, Momentum, Perplexity, RootMeanSquaredError, Space
from searchlab.errors import UserMistake
from searchlab.runner.resume import resume
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import Workspace
from searchlab.study.warm_start import load_prior_trials
from tests.jobs import run
from tests.sweeps import spiral_sweep


@pytest.fixture
def home(tmp_path):
    """A workspace in which a sweep of eight trials has run."""
    run(spiral_sweep(trials=8), engine="local", home=tmp_path, fuse=1, name="earlier")
    return tmp_path


def test_a_warm_start_tries_the_best_parameters_first_and_learns_from_the_others(home):
    earlier = Workspace.at(home).sweep("earlier")
    prior_trials = load_prior_trials(Workspace.at(home), "earlier", spiral_sweep())
    assert len(prior_trials) == 8
    assert [prior.values for prior in prior_trials] == sorted((prior.values for prior in prior_trials), reverse=True)
    result = run(spiral_sweep(trials=5), engine="local", home=home, fuse=1, name="later", warm_start="earlier", seed=9)
    assert [trial.number for trial in result.trials] == list(range(5))
    assert dict(result.trials[0].parameters) == dict(prior_trials[0].parameters), "it is trained again"
    assert SweepManifest.load(Workspace.at(home).sweep("later")).config.warm_start == "earlier"
    for path in sorted(earlier.path.rglob("*"), reverse=True):  # the earlier sweep may be deleted
        path.rmdir() if path.is_dir() else path.unlink()
    longer = resume("later", home=home, sweep=spiral_sweep(trials=5), trials=7)
    assert [trial.number for trial in longer.trials] == list(range(7))
    assert [trial.parameters for trial in longer.trials[:5]] == [trial.parameters for trial in result.trials]


def test_pruned_trials_teach_the_sampler_too_and_no_point_but_the_best_is_drawn_again(tmp_path):
    sweep = spiral_sweep(trials=12, epochs=6, pruner=Halving(first_rung=1))
    earlier = run(sweep, engine="local", home=tmp_path, fuse=1, name="earlier")
    assert earlier.count("PRUNED") > 0
    prior_trials = load_prior_trials(Workspace.at(tmp_path), "earlier", sweep)
    complete = earlier.count("COMPLETE")
    assert [prior.pruned_epoch for prior in prior_trials[:complete]] == [None] * complete
    epochs = [prior.pruned_epoch for prior in prior_trials[complete:]]
    assert len(epochs) == earlier.count("PRUNED")
    assert epochs == sorted(epochs, reverse=True)
    later = run(sweep, engine="local", home=tmp_path, fuse=1, name="later", trials=6, warm_start="earlier")
    earlier_points = [dict(trial.parameters) for trial in earlier.trials]
    drawn_again = [trial.number for trial in later.trials if dict(trial.parameters) in earlier_points]
    assert drawn_again == [0]


def test_trials_outside_of_the_new_space_are_left_out(home):
    all_trials = load_prior_trials(Workspace.at(home), "earlier", spiral_sweep())
    narrower = spiral_sweep(optimizer=spiral_sweep().optimizer.options[0])
    with pytest.raises(UserMistake, match="none of its 8 trials"):
        load_prior_trials(Workspace.at(home), "earlier", narrower)
    smaller = spiral_sweep(
        training=Space(spiral_sweep().training.target, batch_size=10, epochs=3, clip_norm=Float(0.5, 2.0, log=True))
    )
    fewer = load_prior_trials(Workspace.at(home), "earlier", smaller)
    assert 0 < len(fewer) < len(all_trials)
    assert all(prior.parameters["training.clip_norm"] <= 2.0 for prior in fewer)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metric": RootMeanSquaredError()}, "scored by accuracy"),
        ({"metric": Perplexity()}, "scored by accuracy"),
        ({"optimizer": Space(Momentum, lr=Float(0.1, 1.0))}, "none of its 8 trials.*optimizer.SGD.lr"),
    ],
)
def test_a_sweep_that_does_not_fit_is_a_mistake(home, changes, reason):
    with pytest.raises(UserMistake, match=reason):
        load_prior_trials(Workspace.at(home), "earlier", spiral_sweep(**changes))


def test_a_missing_sweep_is_a_mistake_before_anything_is_written(home):
    with pytest.raises(UserMistake, match="there is no sweep called 'gone'"):
        run(spiral_sweep(), engine="local", home=home, name="new", warm_start="gone")
    assert not (home / "sweeps" / "new").exists()

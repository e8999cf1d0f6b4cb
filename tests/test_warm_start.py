"""Knowledge: a sweep that begins where an earlier one ended."""

from __future__ import annotations

import pytest

from searchlab import Float, Momentum, Perplexity, RootMeanSquaredError, Space
from searchlab.errors import UserMistake
from searchlab.runner.run import resume, run
from searchlab.runs.config import RunConfig
from searchlab.runs.workspace import Workspace
from searchlab.study.warm_start import prior_trials_of
from tests.sweeps import spiral_sweep
from tests.test_budget import NoRecorder


@pytest.fixture(autouse=True)
def no_record(monkeypatch):
    monkeypatch.setattr("searchlab.runner.pipeline.Recorder", NoRecorder)


@pytest.fixture
def home(tmp_path):
    """A home in which a sweep of eight trials has run."""
    run(spiral_sweep(trials=8), engine="local", home=tmp_path, fuse=1, name="earlier")
    return tmp_path


def test_a_warm_start_tries_the_best_configuration_first_and_knows_the_others(home):
    earlier = Workspace.at(home).sweep("earlier")
    known = prior_trials_of(Workspace.at(home), "earlier", spiral_sweep())
    assert len(known) == 8
    assert [values for _, values in known] == sorted((values for _, values in known), reverse=True)
    result = run(spiral_sweep(trials=5), engine="local", home=home, fuse=1, name="later", warm_start="earlier", seed=9)
    assert [trial.number for trial in result.trials] == list(range(5))
    assert dict(result.trials[0].parameters) == dict(known[0][0]), "here it gets a score of its own"
    assert RunConfig.of(Workspace.at(home).sweep("later")).warm_start == "earlier"
    for path in sorted(earlier.path.rglob("*"), reverse=True):  # the earlier one may go
        path.rmdir() if path.is_dir() else path.unlink()
    longer = resume("later", home=home, sweep=spiral_sweep(trials=5), trials=7)
    assert [trial.number for trial in longer.trials] == list(range(7))
    assert [trial.parameters for trial in longer.trials[:5]] == [trial.parameters for trial in result.trials]


def test_what_lies_outside_of_the_new_space_is_left_out(home):
    every = prior_trials_of(Workspace.at(home), "earlier", spiral_sweep())
    narrower = spiral_sweep(optimizer=spiral_sweep().optimizer.options[0])
    with pytest.raises(UserMistake, match="none of its 8 trials has the parameters"):
        prior_trials_of(Workspace.at(home), "earlier", narrower)
    cut = spiral_sweep(
        training=Space(spiral_sweep().training.target, batch_size=10, epochs=3, clip_norm=Float(0.5, 2.0, log=True))
    )
    fewer = prior_trials_of(Workspace.at(home), "earlier", cut)
    assert 0 < len(fewer) < len(every)
    assert all(parameters["training.clip_norm"] <= 2.0 for parameters, _ in fewer)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metric": RootMeanSquaredError()}, "judged by accuracy"),
        ({"metric": Perplexity()}, "judged by accuracy"),
        ({"optimizer": Space(Momentum, lr=Float(0.1, 1.0))}, "it knows nothing of optimizer.SGD.lr|none of its 8"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_in_a_sentence(home, changes, why):
    with pytest.raises(UserMistake, match=why):
        prior_trials_of(Workspace.at(home), "earlier", spiral_sweep(**changes))


def test_an_earlier_sweep_that_is_not_there_is_told_before_anything_is_written(home):
    with pytest.raises(UserMistake, match="there is no sweep called 'gone'"):
        run(spiral_sweep(), engine="local", home=home, name="new", warm_start="gone")
    assert not (home / "sweeps" / "new").exists()

"""Samplers of Optuna that have an end: it is the end of the search, with a winner, also after a restart."""

from __future__ import annotations

import optuna
import pytest

from models.mlp import MLP
from searchlab import SGD, Choice, Space, Trainer
from searchlab.fusion.groups import NoGroupYet
from searchlab.runner.resume import resume
from searchlab.runs.events import EventBuffer
from searchlab.study.study import Study
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep
from tests.test_study import epoch

SPACE = {"model.hidden": [4, 8], "optimizer.lr": [0.1, 0.5, 1.0]}
SAMPLERS = {
    "grid": lambda: optuna.samplers.GridSampler(SPACE, seed=0),
    "brute force": lambda: optuna.samplers.BruteForceSampler(seed=0),
}
pytestmark = pytest.mark.filterwarnings("ignore:BruteForceSampler is experimental")


def six_points(sampler, trials):
    return spiral_sweep(
        trials=trials,
        model=Space(MLP, hidden=Choice(4, 8)),
        optimizer=Space(SGD, lr=Choice(0.1, 0.5, 1.0)),
        training=Space(Trainer, batch_size=10, epochs=2),
        sampler=sampler,
    )


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("fuse", [1, "auto"])
def test_the_end_of_a_sampler_is_the_end_of_the_search(tmp_path, sampler, fuse):
    sweep = six_points(sampler(), trials=50)
    result = run(sweep, engine="local", tracking=None, home=tmp_path, fuse=fuse)
    assert result.over == "the sampler has no more points"
    assert len({tuple(trial.parameters.values()) for trial in result.trials}) == 6
    assert len(result.trials) < 50
    assert result.winner
    assert "the sampler has no more points" in result.report.read_text()
    again = resume("spiral", home=tmp_path, sweep=sweep, trials=60)
    assert [trial.parameters for trial in again.trials] == [trial.parameters for trial in result.trials]
    assert (again.over, again.winner.trial.number) == (result.over, result.winner.trial.number)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_search_that_ends_with_its_sampler_is_not_over_early(tmp_path, sampler):
    result = run(six_points(sampler(), trials=6), engine="local", tracking=None, home=tmp_path, fuse=1)
    assert result.over is None
    assert len(result.trials) == 6


def test_a_worker_waits_while_the_last_point_is_trained(tmp_path):
    """A second worker that asks meanwhile must not use up all trials with copies of that point."""
    sweep = six_points(SAMPLERS["grid"](), trials=50)
    study = Study(make_job(sweep, "spiral", tmp_path / "j", tmp_path / "c", 50, fuse=1, workers=2), EventBuffer())
    groups = [study.ask() for _ in range(6)]
    for group in groups[:-1]:
        study.finish(group.trials, epoch(1, [0.5] * 2))
    assert [type(study.ask()) for _ in range(3)] == [NoGroupYet] * 3
    assert len(study.records()) <= 7
    study.finish(groups[-1].trials, epoch(1, [0.5] * 2))
    assert study.ask() is None
    assert study.end_reason == "the sampler has no more points"
    study.close()

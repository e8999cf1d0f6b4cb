"""Thin groups: survivors of one structure and epoch wait for each other, and train together as if never apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from searchlab import Choice, Float, Space
from searchlab.engine import local
from searchlab.engine.checkpoints import Checkpoint, Checkpoints
from searchlab.engine.worker import Worker
from searchlab.fusion.groups import Group, build
from searchlab.pruning.halving import Halving
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.space.samplers import Random
from searchlab.study.study import Study
from searchlab.study.survivor_queue import PATIENCE, SurvivorQueue
from tests.sweeps import spiral_sweep
from tests.test_worker import Notes, parameters

SWEEP = spiral_sweep(epochs=6)


def group(name, *numbers, hidden=10):
    return Group(name, numbers, tuple(parameters(0.5 + n) | {"model.hidden": hidden} for n in numbers), seed=7)


def test_survivors_wait_until_enough_of_their_structure_and_epoch_are_there():
    waiting = SurvivorQueue(SWEEP)
    assert not waiting
    waiting.add(group("0", 1), 2)
    waiting.add(group("8", 9, hidden=15), 2)
    waiting.add(group("4", 5), 4)
    assert waiting.ready({}, workers=1) is None, "no two of a kind"
    waiting.add(group("12", 13, 14), 2)
    both = waiting.ready({}, workers=1)
    assert (both.trials, both.parts) == ((1, 13, 14), ("0", "12"))
    assert both.parameters[1]["optimizer.SGD.lr"] == 13.5
    assert both.id not in ("0", "12")
    assert waiting.rest().trials in ((9,), (5,))
    assert waiting.rest().parts == (), "one group alone keeps its name and checkpoint"
    assert not waiting
    assert waiting.rest() is None


def test_how_many_are_enough_is_what_was_measured_for_the_structure():
    from searchlab.study.survivor_queue import structure_of

    waiting, first = SurvivorQueue(SWEEP), group("0", 1, 2)
    waiting.add(first, 2)
    pays = {structure_of(SWEEP, first.parameters[0]): 4}
    assert waiting.ready(pays, workers=1) is None
    waiting.add(group("4", 5, 6), 2)
    assert waiting.ready(pays, workers=1).trials == (1, 2, 5, 6)


def test_nobody_waits_for_ever():
    waiting = SurvivorQueue(SWEEP)
    waiting.add(group("0", 1), 2)
    found = [waiting.ready({}, workers=2) for _ in range(2 * PATIENCE + 1)]
    assert found[:-1] == [None] * 2 * PATIENCE
    assert found[-1].trials == (1,)


def test_who_has_ended_waits_no_more():
    waiting = SurvivorQueue(SWEEP)
    waiting.add(group("0", 1, 2), 2)
    waiting.add(group("4", 5), 2)
    waiting.drop([1, 5])
    assert waiting.rest().trials == (2,)


def begun(folder, one, epochs):
    """A group trained for so many epochs, its checkpoint kept."""
    table = SWEEP.data.training()
    trainer = build(SWEEP, one.parameters, table, SWEEP.validation.split(table), one.seed, "cpu")
    reports = tuple((one.trials, trainer.advance()) for _ in range(epochs))
    Checkpoints(folder).save(one.id, Checkpoint(one.trials, reports, trainer.state()))


def scores(folder, one):
    """What each trial of a group reports from where it stands to its end, and what is left in the folder."""
    judge = Notes()
    Worker(SWEEP, judge, Checkpoints(folder)).train(one)
    assert sorted(judge.done) == sorted(one.trials)
    assert not list(folder.iterdir()), "no checkpoint is left of a group that has ended"
    return judge.reports


def test_groups_put_together_end_as_each_would_have_alone(tmp_path):
    first, second = group("0", 1, 2), group("4", 6)
    for name in ("apart", "together"):
        (tmp_path / name).mkdir()
        begun(tmp_path / name, first, 3)
        begun(tmp_path / name, second, 3)
    both = replace(
        first, id="0-2-6", trials=(1, 2, 6), parameters=first.parameters + second.parameters, parts=("0", "4")
    )
    together = scores(tmp_path / "together", both)
    Worker(SWEEP, apart := Notes(), Checkpoints(tmp_path / "apart")).train(first)
    Worker(SWEEP, apart, Checkpoints(tmp_path / "apart")).train(second)
    assert together == apart.reports
    assert all(sorted(curve) == [1, 2, 3, 4, 5, 6] for curve in together.values())


def test_a_part_whose_checkpoint_is_gone_starts_over_by_itself(tmp_path):
    first, second = group("0", 1), group("4", 6)
    begun(tmp_path, first, 3)
    both = replace(first, id="0-2-6", trials=(1, 6), parameters=first.parameters + second.parameters, parts=("0", "4"))
    found = scores(tmp_path, both)
    whole = scores(tmp_path, replace(both, parts=()))
    assert found == whole


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Searches in this process; where `together`, every group that gets thin is put back however little is left."""

    def search(name, *, together, **changes):
        (tmp_path / name).mkdir()
        monkeypatch.setattr("searchlab.engine.group_run.WORTH", 0.0 if together else np.inf)
        taken = []
        take_back = Study.take_back
        monkeypatch.setattr(Study, "take_back", lambda self, *given: taken.append(r := take_back(self, *given)) or r)
        sweep = spiral_sweep(
            model=Space(SWEEP.model.target, hidden=Choice(5, 9), dropout=Float(0.0, 0.3)),
            sampler=Random(), pruner=Halving(), epochs=8, trials=40, **changes,
        )  # fmt: skip
        job = Job(sweep, "spiral", tmp_path / name / "study.journal", tmp_path / name / "c", 40, fuse=4)
        found = local.search(job, buffer := Buffer())
        monkeypatch.setattr(Study, "take_back", take_back)
        return found.trials, taken, buffer.drain()

    return search


def test_a_search_that_puts_thin_groups_together_ends_every_trial_once_with_the_same_curves(searched):
    """Random draws do not depend on what came before, so trials can be compared one by one; who is stopped can."""
    apart, _, _ = searched("apart", together=False)
    together, taken, told = searched("together", together=True)
    assert sum(taken) > 3, "groups did get thin"
    assert [trial.parameters for trial in together] == [trial.parameters for trial in apart]
    for one, other in zip(together, apart, strict=True):
        common = min(len(one.curve.scores), len(other.curve.scores))
        assert one.curve.scores[:common] == other.curve.scores[:common]
        assert one.state in ("COMPLETE", "PRUNED")
        assert len(one.curve.scores) == 8 or one.state == "PRUNED"
    ends = [event["trial"] for method, event in told if method == "finish"]
    assert sorted(ends) == list(range(40))
    logged = [(event["trial"], event["epoch"]) for method, event in told if method == "log"]
    assert len(logged) == len(set(logged))


@pytest.mark.parametrize("killed_at", [3, 7, 11])
def test_killed_with_groups_waiting_a_search_goes_on_with_them(tmp_path, monkeypatch, killed_at):
    monkeypatch.setattr("searchlab.engine.group_run.WORTH", 0.0)
    sweep = spiral_sweep(sampler=Random(), pruner=Halving(), epochs=8)
    job = Job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "c", 30, fuse=4)
    asked = 0
    ask = Study.ask

    def dying(self):
        nonlocal asked
        asked += 1
        if asked == killed_at:
            raise KeyboardInterrupt
        return ask(self)

    monkeypatch.setattr(Study, "ask", dying)
    with pytest.raises(KeyboardInterrupt):
        local.search(job, Buffer())
    monkeypatch.setattr(Study, "ask", ask)
    found = local.search(job, Buffer()).trials
    assert [trial.number for trial in found] == list(range(30))
    assert {trial.state for trial in found} == {"COMPLETE", "PRUNED"}
    assert not list((tmp_path / "c").iterdir())

"""Survivors of one structure and epoch wait for each other, and train together with the same results as apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from searchlab import Choice, Float, Space
from searchlab.engine import local
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.fusion.groups import Group, build_trainer
from searchlab.pruning.halving import Halving
from searchlab.pruning.pruner import Pruner
from searchlab.runs.events import EpochFinished, EventBuffer, TrialFinished
from searchlab.space.samplers import Random
from searchlab.study.study import Study
from searchlab.study.survivor_queue import MAX_WAIT_GROUPS, SurvivorQueue, structure_key
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.workers import KilledStudy, RecordingStudy, make_worker, parameters

SWEEP = spiral_sweep(epochs=6)


def group(name, *numbers, hidden=10):
    return Group(name, numbers, tuple(parameters(0.5 + n) | {"model.hidden": hidden} for n in numbers), seed=7)


def test_survivors_wait_for_others_of_their_structure_and_epoch():
    queue = SurvivorQueue(SWEEP)
    assert not queue
    queue.add(group("0", 1), 2)
    queue.add(group("8", 9, hidden=15), 2)
    queue.add(group("4", 5), 4)
    assert queue.pop_ready({}, workers=1) is None, "no two groups have one structure and epoch"
    queue.add(group("12", 13, 14), 2)
    merged = queue.pop_ready({}, workers=1)
    assert (merged.trials, merged.merged_groups) == ((1, 13, 14), ("0", "12"))
    assert merged.parameters[1]["optimizer.SGD.lr"] == 13.5
    assert merged.id not in ("0", "12")
    assert queue.pop_largest().trials in ((9,), (5,))
    assert queue.pop_largest().merged_groups == (), "a single group keeps its id and checkpoint"
    assert not queue
    assert queue.pop_largest() is None


def test_survivors_that_two_processes_return_wait_once():
    queue = SurvivorQueue(SWEEP)
    queue.add(group("0", 1, 2), 2)
    queue.add(group("0", 1, 2), 2)
    queue.add(group("0", 2, 3), 4)
    assert [queue.pop_largest().trials for _ in range(2)] == [(1, 2), (3,)]
    assert not queue


def test_survivors_wait_for_the_best_size_of_their_structure():
    queue, first = SurvivorQueue(SWEEP), group("0", 1, 2)
    queue.add(first, 2)
    best_sizes = {structure_key(SWEEP, first.parameters[0]): 4}
    assert queue.pop_ready(best_sizes, workers=1) is None
    queue.add(group("4", 5, 6), 2)
    assert queue.pop_ready(best_sizes, workers=1).trials == (1, 2, 5, 6)


def test_survivors_do_not_wait_for_ever():
    queue = SurvivorQueue(SWEEP)
    queue.add(group("0", 1), 2)
    found = [queue.pop_ready({}, workers=2) for _ in range(2 * MAX_WAIT_GROUPS + 1)]
    assert found[:-1] == [None] * 2 * MAX_WAIT_GROUPS
    assert found[-1].trials == (1,)


def save_after(folder, group, epochs):
    """Train a group for so many epochs, and save its checkpoint."""
    table = SWEEP.data.training()
    trainer = build_trainer(SWEEP, group.parameters, table, SWEEP.validation.split(table), group.seed, "cpu")
    reports = tuple((group.trials, trainer.advance()) for _ in range(epochs))
    CheckpointStore(folder).save(group.id, Checkpoint(group.trials, reports, trainer.state()))


def train(folder, group):
    """Train a group to its end; what each of its trials reports."""
    study = RecordingStudy()
    make_worker(SWEEP, study, CheckpointStore(folder)).train(group)
    assert sorted(study.done) == sorted(group.trials)
    assert not list(folder.iterdir()), "a group that has ended leaves no checkpoint"
    return study.reports


def test_merged_groups_give_the_same_results_as_apart(tmp_path):
    first, second = group("0", 1, 2), group("4", 6)
    for name in ("apart", "together"):
        (tmp_path / name).mkdir()
        save_after(tmp_path / name, first, 3)
        save_after(tmp_path / name, second, 3)
    merged = replace(
        first, id="0-2-6", trials=(1, 2, 6), parameters=first.parameters + second.parameters, merged_groups=("0", "4")
    )
    together = train(tmp_path / "together", merged)
    make_worker(SWEEP, apart := RecordingStudy(), CheckpointStore(tmp_path / "apart")).train(first)
    make_worker(SWEEP, apart, CheckpointStore(tmp_path / "apart")).train(second)
    assert together == apart.reports
    assert all(sorted(curve) == [1, 2, 3, 4, 5, 6] for curve in together.values())


def test_a_merged_group_without_one_of_its_checkpoints_starts_over(tmp_path):
    first, second = group("0", 1), group("4", 6)
    save_after(tmp_path, first, 3)
    merged = replace(
        first, id="0-2-6", trials=(1, 6), parameters=first.parameters + second.parameters, merged_groups=("0", "4")
    )
    found = train(tmp_path, merged)
    restarted = train(tmp_path, replace(merged, merged_groups=()))
    assert found == restarted


def test_a_merged_group_without_checkpoints_starts_over_after_a_kill_too(tmp_path):
    """As the second part of a merged group that does not fit into memory, or after the folder was lost."""
    merged = replace(group("0-2-6", 1, 6), merged_groups=("0", "4"))
    with pytest.raises(KeyboardInterrupt):
        make_worker(SWEEP, KilledStudy(epoch=1), CheckpointStore(tmp_path)).train(merged)
    train(tmp_path, merged)


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Searches in this process; with `merging`, every group that pruning made smaller is returned to the queue."""

    def search(name, *, merging, pruner=None, **changes):
        (tmp_path / name).mkdir()
        monkeypatch.setattr("searchlab.engine.group_run.MIN_MERGE_SECONDS", 0.0 if merging else np.inf)
        returned, original = [], Study.return_survivors
        monkeypatch.setattr(
            Study, "return_survivors", lambda self, *args: returned.append(r := original(self, *args)) or r
        )
        sweep = spiral_sweep(
            model=Space(SWEEP.model.target, hidden=Choice(5, 9), dropout=Float(0.0, 0.3)),
            sampler=Random(), pruner=pruner or Halving(), epochs=8, trials=40, **changes,
        )  # fmt: skip
        job = make_job(sweep, "spiral", tmp_path / name / "study.journal", tmp_path / name / "c", 40, fuse=4)
        found = local.search(job, buffer := EventBuffer())
        monkeypatch.setattr(Study, "return_survivors", original)
        return found.trials, returned, buffer.drain()

    return search


def test_a_search_that_merges_groups_ends_every_trial_once_with_the_same_curves(searched):
    """Random points do not depend on earlier trials, so that trials can be compared one by one; pruning may differ."""
    apart, _, _ = searched("apart", merging=False)
    together, returned, recorded = searched("together", merging=True)
    assert sum(returned) > 3, "pruning did make groups smaller"
    assert [trial.parameters for trial in together] == [trial.parameters for trial in apart]
    for one, other in zip(together, apart, strict=True):
        common = min(len(one.curve.scores), len(other.curve.scores))
        assert one.curve.scores[:common] == other.curve.scores[:common]
        assert one.state in ("COMPLETE", "PRUNED")
        assert len(one.curve.scores) == 8 or one.state == "PRUNED"
    ends = [event.trial for event in recorded if isinstance(event, TrialFinished)]
    assert sorted(ends) == list(range(40))
    logged = [(event.trial, event.epoch) for event in recorded if isinstance(event, EpochFinished)]
    assert len(logged) == len(set(logged))


@dataclass(frozen=True)
class StopsInTurn(Pruner):
    """Stops a trial of a group after each of three epochs; the worker learns of it after the next epoch."""

    def is_due(self, epoch):
        return True

    def stop_reason(self, curves, trial):
        epoch = curves.last_epoch(trial)
        return f"its turn is epoch {epoch}" if trial % 4 == epoch else None

    def worker_waits(self, epoch):
        return False


def test_a_trial_that_was_stopped_after_the_latest_epoch_does_not_wait_with_the_others(searched, monkeypatch):
    pop_ready = SurvivorQueue.pop_ready

    def pop_four(self, best_sizes, workers):  # two groups of two trials are merged
        return pop_ready(self, {key[0]: 4 for key in self.groups}, workers)

    monkeypatch.setattr(SurvivorQueue, "pop_ready", pop_four)
    trials, returned, _ = searched("together", merging=True, pruner=StopsInTurn())
    assert any(returned), "groups became smaller"
    assert len(trials) == 40
    for trial in trials:
        turn = trial.number % 4
        assert (trial.state, len(trial.curve.scores)) == (("PRUNED", turn) if turn else ("COMPLETE", 8))


@pytest.mark.parametrize("killed_at", [3, 7, 11])
def test_an_interrupted_search_continues_with_the_groups_that_waited(tmp_path, monkeypatch, killed_at):
    monkeypatch.setattr("searchlab.engine.group_run.MIN_MERGE_SECONDS", 0.0)
    sweep = spiral_sweep(sampler=Random(), pruner=Halving(), epochs=8)
    job = make_job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "c", 30, fuse=4)
    calls, ask = 0, Study.ask

    def ask_until_killed(self):
        nonlocal calls
        calls += 1
        if calls == killed_at:
            raise KeyboardInterrupt
        return ask(self)

    monkeypatch.setattr(Study, "ask", ask_until_killed)
    with pytest.raises(KeyboardInterrupt):
        local.search(job, EventBuffer())
    monkeypatch.setattr(Study, "ask", ask)
    found = local.search(job, EventBuffer()).trials
    assert [trial.number for trial in found] == list(range(30))
    assert {trial.state for trial in found} == {"COMPLETE", "PRUNED"}
    assert not list((tmp_path / "c").iterdir())

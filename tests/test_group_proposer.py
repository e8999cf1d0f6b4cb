"""Groups: duplicates are trained once, infeasible trials never, initial points come first, generations reproduce."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from optuna.trial import TrialState

from models.mlp import MLP
from searchlab import SGD, Choice, Grid, Space, Trainer
from searchlab.engine import local
from searchlab.fusion.groups import NoGroupYet
from searchlab.runs.events import EpochFinished, EventBuffer, Message, TrialFinished, TrialStarted
from searchlab.runs.job import PriorTrial
from searchlab.space.samplers import TPE, CmaEs, QuasiRandom, Random
from searchlab.space.structure import structural_parameters
from searchlab.study.study import Study
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.test_study import epoch

SIX_POINTS = {
    "model": Space(MLP, hidden=Choice(5, 9)),
    "optimizer": Space(SGD, lr=Choice(0.1, 0.5, 2.0)),
    "training": Space(Trainer, batch_size=10, epochs=2),
    "sampler": Random(),
}


@pytest.fixture
def open_study(tmp_path):
    """Opens studies of spiral sweeps, and closes them at the end of the test."""
    studies, numbers = [], count()

    def opened(sweep=None, *, storage=None, handler=None, **changes):
        sweep = sweep or spiral_sweep()
        storage = storage or tmp_path / f"{next(numbers)}.journal"
        job = make_job(sweep, "spiral", storage, tmp_path / "c", **{"trials": 6, "fuse": 1} | changes)
        studies.append(Study(job, handler or EventBuffer()))
        return studies[-1]

    yield opened
    for study in studies:
        study.close()


def score(number, score=0.5, trials=1):
    return epoch(number, [score] * 2 * trials)


def finish_all(study, value=lambda group: 0.5):
    """Finish every group with this value after one epoch; the groups that were handed out."""
    groups = []
    while group := study.ask():
        groups.append(group)
        study.finish(group.trials, score(1, value(group), len(group.trials)))
    return groups


def test_the_same_point_is_trained_once(open_study):
    events = EventBuffer()
    study = open_study(spiral_sweep(**SIX_POINTS, trials=30), trials=30, handler=events)
    groups = finish_all(study, lambda group: 0.1 * group.parameters[0]["optimizer.lr"])
    trained = [tuple(group.parameters[0].values()) for group in groups]
    assert len(trained) == len(set(trained)) == 6
    records = study.records()
    assert [record.state for record in records] == ["COMPLETE"] * 30
    first = {tuple(record.parameters.values()): record for record in reversed(records)}
    for record in records:
        original = first[tuple(record.parameters.values())]
        assert (record.value, record.curve.scores) == (original.value, original.curve.scores)
        assert record.reason == (None if record is original else f"the same parameters as trial {original.number}")
    assert sum(record.curve.seconds for record in records) == pytest.approx(6 * 0.6), "duplicates take no time"
    recorded = events.drain()
    for kind in (TrialStarted, EpochFinished, TrialFinished):
        assert sorted(event.trial for event in recorded if isinstance(event, kind)) == list(range(30))


def test_thousands_of_duplicates_end_at_once_and_are_not_trained(open_study):
    study = open_study(spiral_sweep(**SIX_POINTS, trials=1500), trials=1500)
    assert len(finish_all(study)) == 6
    assert len(study.records()) == 1500
    assert study.store.budget_usage.epochs == 6
    study.close()
    again = open_study(spiral_sweep(**SIX_POINTS, trials=1500), storage=study.job.storage, trials=1500)
    assert again.store.budget_usage.epochs == 6, "duplicates are not counted when they are read again"


def test_a_duplicate_of_an_open_trial_ends_with_it(open_study):
    study = open_study(spiral_sweep(**SIX_POINTS, trials=30), trials=30)
    groups = []
    while (group := study.ask()) and len(groups) < 6:
        groups.append(group)
    assert study.ask() is None, "every point is being trained"
    assert {record.state for record in study.records()} == {"RUNNING"}
    study.fail(groups[0].trials, "a failure")
    for group in groups[1:]:
        study.finish(group.trials, score(1))
    records = study.records()
    assert all(record.state != "RUNNING" for record in records)
    duplicates = [record for record in records if record.parameters == groups[0].parameters[0]]
    assert {record.state for record in duplicates} == {"FAIL"}


def test_duplicates_of_interrupted_trials_are_recognized_after_a_restart(open_study, tmp_path):
    storage = tmp_path / "killed.journal"
    sweep = spiral_sweep(**SIX_POINTS, trials=30)
    before = open_study(sweep, storage=storage, trials=30)
    while before.ask():
        pass
    before.close()
    groups = finish_all(open_study(sweep, storage=storage, trials=30))
    assert len(groups) == 6
    assert [record.state for record in open_study(sweep, storage=tmp_path / "other", trials=1).records()] == []


def test_an_infeasible_trial_is_not_trained_and_does_not_count(open_study):
    events = EventBuffer()
    sweep = spiral_sweep(constraint=lambda candidate: candidate["training.clip_norm"] - 2.0)
    study = open_study(sweep, trials=12, handler=events)
    finish_all(study)
    records = study.records()
    complete = [record for record in records if record.state == "COMPLETE"]
    infeasible = [record for record in records if record.state == "INFEASIBLE"]
    assert len(complete) == 12
    assert infeasible
    assert all(record.parameters["training.clip_norm"] <= 2.0 for record in complete)
    assert all(record.parameters["training.clip_norm"] > 2.0 for record in infeasible)
    assert all(record.reason and record.value is None for record in infeasible)
    ends = {event.trial: event.state for event in events.drain() if isinstance(event, TrialFinished)}
    assert ends == {record.number: record.state for record in records}


def test_an_infeasible_point_of_a_grid_counts(open_study):
    sweep = spiral_sweep(
        **SIX_POINTS | {"sampler": Grid()}, trials=None, constraint=lambda candidate: candidate["optimizer.lr"] - 1.0
    )
    study = open_study(sweep, trials=6)
    finish_all(study)
    assert [record.state for record in study.records()].count("INFEASIBLE") == 2
    assert len(study.records()) == 6


def test_a_constraint_that_no_trial_satisfies_ends_the_search_with_the_reason(open_study):
    events = EventBuffer()
    study = open_study(spiral_sweep(constraint=lambda candidate: 1.0), handler=events)
    assert study.ask() is None
    assert "violate the constraint" in study.end_reason
    assert not study.has_more()
    assert any("violate the constraint" in event.text for event in events.drain() if isinstance(event, Message))


def test_enqueued_points_are_tried_first_and_alone(open_study):
    points = [{"model.hidden": 15, "optimizer": "Adam", "optimizer.Adam.lr": 0.02}, {"model.hidden": 5}]
    study = open_study(spiral_sweep(enqueue=points), fuse=4, trials=10)
    first, second, third = study.ask(), study.ask(), study.ask()
    assert (len(first.trials), len(second.trials), len(third.trials)) == (1, 1, 4)
    assert {**first.parameters[0]}.items() >= points[0].items()
    assert "model.dropout" in first.parameters[0], "the other arguments are drawn"
    assert second.parameters[0]["model.hidden"] == 5


def test_enqueued_points_are_tried_first_after_a_restart(open_study, tmp_path):
    sweep, storage = spiral_sweep(enqueue=[{"model.hidden": 15}, {"model.hidden": 20}]), tmp_path / "k.journal"
    before = open_study(sweep, storage=storage)
    before.ask()
    before.close()
    again = open_study(sweep, storage=storage)
    assert [again.ask().parameters[0]["model.hidden"] for _ in range(2)] == [15, 20]


def test_a_warm_start_informs_the_sampler_and_adds_no_trial(open_study, tmp_path):
    earlier = open_study(spiral_sweep(trials=30), trials=30)
    finish_all(earlier, lambda group: 1.0 / (1.0 + abs(group.parameters[0]["training.clip_norm"] - 3.0)))
    prior_trials = [PriorTrial(record.parameters, [record.value]) for record in earlier.records()]
    storage = tmp_path / "warm.journal"
    warm = open_study(storage=storage, prior_trials=prior_trials, trials=20, seed=5)
    groups = finish_all(warm)
    records = warm.records()
    assert [record.number for record in records] == list(range(20)) == [n for g in groups for n in g.trials]
    assert not {frozenset(prior.parameters.items()) for prior in prior_trials} & {
        frozenset(r.parameters.items()) for r in records
    }
    warm_distances = [abs(record.parameters["training.clip_norm"] - 3.0) for record in records[:10]]
    cold = open_study(trials=20, seed=5)
    finish_all(cold)
    cold_distances = [abs(record.parameters["training.clip_norm"] - 3.0) for record in cold.records()[:10]]
    assert sum(warm_distances) < sum(cold_distances), "its first ten points are not random"
    warm.close()
    again = open_study(storage=storage, prior_trials=prior_trials, trials=22, seed=5)
    assert [again.ask().trials for _ in range(2)] == [(20,), (21,)], "prior trials are not added twice"


def test_a_sampler_learns_from_the_pruned_trials_of_an_earlier_sweep(open_study, tmp_path):
    earlier = open_study(trials=40)
    while group := earlier.ask():
        value = 1.0 / (1.0 + abs(group.parameters[0]["training.clip_norm"] - 3.0))
        earlier.report(group.trials, score(1, value))
        earlier.store.prune(group.trials[0], "a pruner stopped it")
    prior_trials = [PriorTrial(trial.parameters, trial.values, pruned_epoch=1) for trial in earlier.records()]
    storage = tmp_path / "warm.journal"
    warm = open_study(storage=storage, prior_trials=prior_trials, trials=10, seed=5)
    finish_all(warm)
    stored = warm.store.study.get_trials()[: len(prior_trials)]
    assert {trial.state for trial in stored} == {TrialState.PRUNED}
    own = earlier.store.study.get_trials()
    assert [trial.intermediate_values for trial in stored] == [trial.intermediate_values for trial in own]
    distances = [abs(record.parameters["training.clip_norm"] - 3.0) for record in warm.records()]
    cold = open_study(trials=10, seed=5)
    finish_all(cold)
    assert sum(distances) < sum(abs(record.parameters["training.clip_norm"] - 3.0) for record in cold.records())
    warm.close()
    again = open_study(storage=storage, trials=12, seed=5)  # a resumed sweep is given no prior trials
    once = open_study(prior_trials=prior_trials, trials=12, seed=5)
    finish_all(again)
    finish_all(once)
    assert [r.parameters for r in again.records()] == [r.parameters for r in once.records()]


@pytest.mark.parametrize("sampler", [TPE(), Random()])
def test_random_draws_after_a_warm_start_are_not_those_of_the_earlier_sweep(open_study, sampler):
    earlier = open_study(spiral_sweep(sampler=sampler))
    finish_all(earlier)
    prior_trials = [PriorTrial(record.parameters, [record.value]) for record in earlier.records()]
    warm = open_study(spiral_sweep(sampler=sampler), prior_trials=prior_trials)
    finish_all(warm)
    third = open_study(
        spiral_sweep(sampler=sampler),
        prior_trials=[PriorTrial(record.parameters, [record.value]) for record in warm.records()],
    )
    finish_all(third)
    points = [tuple(sorted(r.parameters.items())) for study in (earlier, warm, third) for r in study.records()]
    assert len(set(points)) == 18


def test_a_group_grows_when_the_best_size_is_known(open_study):
    study = open_study(fuse="auto", trials=60, workers=2)
    single = [study.ask() for _ in range(10)]
    assert all((len(group.trials), group.max_followers) == (1, 0) for group in single), "startup trials train alone"
    leader = study.ask()
    assert (len(leader.trials), leader.max_followers) == (1, 5), "a tenth of all trials"
    group = study.grow(leader, 4)
    assert group.trials == (10, 11, 12, 13)
    assert len({frozenset(structural_parameters(study.sweep, p).items()) for p in group.parameters}) == 1
    structure = structural_parameters(study.sweep, leader.parameters[0])
    for other in iter(study.ask, None):
        is_measured = structural_parameters(study.sweep, other.parameters[0]) == structure
        assert (other.max_followers == 0) == is_measured or len(other.trials) == 1
        if is_measured:
            assert len(other.trials) <= 4
    assert {record.state for record in study.records()} == {"RUNNING"}
    assert len(study.records()) == 60, "no proposed trial is lost"


def test_growing_stops_where_the_trials_end(open_study):
    study = open_study(fuse="auto", trials=12, workers=1, sweep=spiral_sweep(sampler=Random(), trials=12))
    leader = study.ask()
    assert leader.max_followers == 0, "a tenth of twelve is one"
    many = open_study(fuse="auto", trials=200, workers=1, sweep=spiral_sweep(sampler=Random(), trials=200))
    many.store.trial_count = 197
    leader = many.ask()
    assert many.grow(leader, 16).trials == (197, 198, 199)


def run_search(study, workers):
    """Run a search with so many workers, of which the one that starts last finishes first; the records."""
    open_groups = []
    while True:
        while len(open_groups) < workers and isinstance(group := study.ask(), NoGroupYet | type(None)) is False:
            open_groups.append(group)
        if not open_groups:
            return study.records()
        group = open_groups.pop()
        study.finish(group.trials, epoch(1, [value_of(p) for p in group.parameters for _ in range(2)]))


def value_of(parameters):
    return 1.0 / (1.0 + parameters.get("training.clip_norm", parameters.get("optimizer.lr", 1.0)))


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_a_generation_is_the_same_for_any_number_of_workers(open_study, workers):
    def found(workers):
        records = run_search(open_study(trials=26, generation=8, fuse="auto", workers=workers), workers)
        return [(record.number, record.parameters, record.value) for record in records]

    assert found(workers) == found(1)
    assert len(found(1)) == 26


def test_without_generations_proposals_depend_on_which_trial_ends_first(open_study):
    found = [run_search(open_study(trials=26, fuse=1, workers=workers), workers) for workers in (1, 3)]
    assert [r.parameters for r in found[0]] != [r.parameters for r in found[1]]


@pytest.mark.parametrize("killed_after", [3, 9, 13])
def test_an_interrupted_generation_is_continued_as_it_was(open_study, tmp_path, killed_after):
    uninterrupted = run_search(open_study(trials=20, generation=8), 1)
    storage = tmp_path / "interrupted.journal"
    before = open_study(storage=storage, trials=20, generation=8)
    for _ in range(killed_after):
        group = before.ask()
        before.finish(group.trials, epoch(1, [value_of(p) for p in group.parameters for _ in range(2)]))
    before.close()
    after = run_search(open_study(storage=storage, trials=20, generation=8), 1)
    assert [(r.parameters, r.value) for r in after] == [(r.parameters, r.value) for r in uninterrupted]


GENERATION_SPACES = {
    "tpe": spiral_sweep(sampler=TPE()),
    "random with duplicates": spiral_sweep(**SIX_POINTS),
    "a constraint": spiral_sweep(constraint=lambda parameters: parameters["training.clip_norm"] - 3.0),
    "quasi-random": spiral_sweep(sampler=QuasiRandom()),
    "cma-es": spiral_sweep(sampler=CmaEs()),
}


@pytest.mark.parametrize("sweep", GENERATION_SPACES.values(), ids=GENERATION_SPACES)
def test_a_reproducible_search_killed_at_any_line_of_its_journal_ends_with_the_same_trials(open_study, tmp_path, sweep):
    def found(storage):
        study = open_study(sweep, storage=storage, trials=13, generation=5, fuse=2)
        records = run_search(study, 1)
        study.close()
        return [(r.number, r.state, r.parameters, r.value, r.reason and r.reason[:20]) for r in records]

    whole = tmp_path / "whole.journal"
    uninterrupted, lines = found(whole), whole.read_text().splitlines(keepends=True)
    assert len(uninterrupted) >= 13
    for cut in range(len(lines)):
        storage = tmp_path / f"{cut}.journal"
        storage.write_text("".join(lines[:cut]))
        assert found(storage) == uninterrupted, f"cut after {cut} of {len(lines)} lines"
        storage.unlink()


def test_local_searches_with_automatic_fusing_end_with_the_requested_number_of_trials(tmp_path):
    sweep = spiral_sweep(trials=40, pruner=None, epochs=6)
    job = make_job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "c", 40)
    found = local.search(job, EventBuffer()).trials
    assert len(found) == 40
    assert {trial.state for trial in found} == {"COMPLETE", "PRUNED"}
    longer = local.search(replace(job, trials=44), EventBuffer()).trials
    assert len(longer) == 44
    assert [trial.curve.scores for trial in longer[:40]] == [trial.curve.scores for trial in found]

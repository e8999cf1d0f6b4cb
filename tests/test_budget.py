"""Budgets: a search ends at the limit that is reached first, and can be resumed with a larger budget."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from searchlab import Random
from searchlab.cli.run_options import parse_duration
from searchlab.engine import local
from searchlab.errors import UserMistake
from searchlab.runner.resume import resume
from searchlab.runs.events import EventBuffer
from searchlab.space.budget import Budget, BudgetUsage
from searchlab.study.study import Study
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep
from tests.test_group_proposer import SIX_POINTS
from tests.test_study import epoch


@pytest.mark.parametrize(
    ("budget", "usage", "goal", "reason"),
    [
        (Budget(), BudgetUsage(1e9, 10**9, 1.0, 10**9), "max", None),
        (Budget(seconds=60), BudgetUsage(seconds=59.9), "max", None),
        (Budget(seconds=60), BudgetUsage(seconds=60.0), "max", "60 seconds"),
        (Budget(epochs=1000), BudgetUsage(epochs=1000), "max", "1,000 epochs"),
        (Budget(target=0.9), BudgetUsage(best_score=0.89), "max", None),
        (Budget(target=0.9), BudgetUsage(best_score=0.91), "max", "reached 0.91, .*target is 0.9"),
        (Budget(target=120), BudgetUsage(best_score=130.0), "min", None),
        (Budget(target=120), BudgetUsage(best_score=119.0), "min", "reached 119, .*target is 120"),
        (Budget(patience=5), BudgetUsage(best_score=0.5, trials_since_best=4), "max", None),
        (Budget(patience=5), BudgetUsage(best_score=0.5, trials_since_best=5), "max", "5 trials .* no better than 0.5"),
        (Budget(patience=5), BudgetUsage(trials_since_best=50), "max", None),  # no trial is complete yet
    ],
)
def test_exhausted_reason(budget, usage, goal, reason):
    found = budget.exhausted_reason(usage, goal)
    assert found is None if reason is None else re.search(reason, found)


@pytest.mark.parametrize(
    "limit",
    [{"seconds": 0}, {"seconds": "60"}, {"epochs": 1.5}, {"epochs": 0}, {"patience": -1}, {"target": float("nan")}],
)
def test_invalid_limit_is_rejected(limit):
    with pytest.raises(UserMistake, match=next(iter(limit))):
        Budget(**limit)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("1.5h", 5400)],
)
def test_parse_duration(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-5", "30 parsecs", "m"])
def test_invalid_duration_is_rejected(text):
    with pytest.raises(UserMistake, match="--time-budget"):
        parse_duration(text)


def study_with(tmp_path, budget, trials=20, sweep=None, fuse=1, **changes):
    """Return a study of groups of one trial."""
    sweep = replace(sweep or spiral_sweep(), budget=budget)
    return Study(make_job(sweep, "s", tmp_path / "j", tmp_path / "c", trials, fuse=fuse, **changes), EventBuffer())


def finish(study, group, score, epochs=1):
    """Report this score after each epoch, up to the last."""
    for number in range(1, epochs):
        study.report(group.trials, epoch(number, [score] * 2))
    study.finish(group.trials, epoch(epochs, [score] * 2))


def test_target_ends_the_search_and_prunes_running_trials(tmp_path):
    study = study_with(tmp_path, Budget(target=0.9))
    first, second = study.ask(), study.ask()
    study.report(second.trials, epoch(1, [0.3, 0.5]))
    finish(study, first, 0.95)
    assert study.end_reason == "a trial reached 0.95, and the target is 0.9"
    assert not study.has_more()
    assert study.ask() is None
    assert study.report(second.trials, epoch(2, [0.9, 0.9])).trials == ()
    records = study.records()
    assert [record.state for record in records] == ["COMPLETE", "PRUNED"]
    assert (records[1].value, records[1].epoch) == (pytest.approx(0.4), 1)
    assert "the target" in records[1].reason
    study.close()


def test_duplicates_of_running_trials_end_with_the_search(tmp_path):
    study = study_with(tmp_path, Budget(epochs=1), trials=30, sweep=spiral_sweep(**SIX_POINTS))
    groups = list(iter(study.ask, None))
    assert len(groups) == 6
    assert study.report(groups[0].trials, epoch(1, [0.5, 0.5])).trials == ()
    assert study.end_reason
    assert [record.state for record in study.records()] == ["PRUNED"] * 30
    study.close()


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_no_group_is_handed_out_when_duplicates_use_up_the_patience(tmp_path, patience):
    study = study_with(tmp_path, Budget(patience=patience), trials=30, sweep=spiral_sweep(**SIX_POINTS))
    while group := study.ask():
        assert study.running(group.trials) == list(group.trials)
        finish(study, group, 1.0 / (1 + group.trials[0]))
    assert study.end_reason
    study.close()


def test_no_trial_joins_a_group_once_the_search_is_over(tmp_path):
    """The budget is used up by another worker, while the worker of this group measures how many trials may join."""
    study = study_with(tmp_path, Budget(epochs=1), trials=200, sweep=spiral_sweep(sampler=Random()), fuse="auto")
    leader, other = study.ask(), study.ask()
    assert leader.max_followers
    study.report(other.trials, epoch(1, [0.5, 0.5]))
    grown = study.grow(leader, 4)
    assert (grown.trials, grown.max_followers) == (leader.trials, 0)
    assert [record.state for record in study.records()] == ["PRUNED"] * 2
    study.close()


def test_epochs_are_counted_over_all_trials_and_restarts(tmp_path):
    study = study_with(tmp_path, Budget(epochs=10))
    finish(study, study.ask(), 0.5, epochs=4)
    finish(study, study.ask(), 0.5, epochs=4)
    study.close()
    reopened = study_with(tmp_path, Budget(epochs=10))
    group = reopened.ask()
    assert reopened.report(group.trials, epoch(1, [0.5, 0.5])).trials == group.trials
    assert reopened.report(group.trials, epoch(2, [0.5, 0.5])).trials == ()
    assert "10 epochs" in reopened.end_reason
    reopened.close()


def test_patience_counts_the_trials_that_ended_since_the_best(tmp_path):
    study = study_with(tmp_path, Budget(patience=3))
    for score in (0.5, 0.6, 0.6, 0.4):
        finish(study, study.ask(), score)
        assert study.end_reason is None
    study.close()
    reopened = study_with(tmp_path, Budget(patience=3))
    finish(reopened, reopened.ask(), 0.1)
    assert reopened.end_reason == "3 trials in a row were no better than 0.6"
    reopened.close()


def test_infeasible_trials_do_not_use_up_the_patience(tmp_path):
    """Most points violate this constraint, so that many infeasible trials come between those that are trained."""
    sweep = spiral_sweep(sampler=Random(), constraint=lambda candidate: candidate["model.hidden"] - 5)
    budget = Budget(patience=3)
    study = study_with(tmp_path, budget, sweep=sweep)
    for score in (0.9, 0.4, 0.4):
        finish(study, study.ask(), score)
    group = study.ask()
    infeasible = [record.number for record in study.records() if record.state == "INFEASIBLE"]
    assert len([number for number in infeasible if number > 0]) >= budget.patience
    assert study.end_reason is None
    study.close()
    reopened = study_with(tmp_path, budget, sweep=sweep)
    assert reopened.ask().trials == group.trials
    assert reopened.end_reason is None, "the infeasible trials do not count when they are read again either"
    finish(reopened, group, 0.4)
    assert reopened.end_reason == "3 trials in a row were no better than 0.9"
    reopened.close()


def test_budget_is_not_exhausted_by_the_last_trial(tmp_path):
    study = study_with(tmp_path, Budget(target=0.9), trials=1)
    finish(study, study.ask(), 0.95)
    assert (study.end_reason, study.ask()) == (None, None)
    study.close()


def test_seconds_are_counted_by_a_monotonic_clock_over_restarts(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("searchlab.study.trial_store.time.monotonic", lambda: now[0])
    study = study_with(tmp_path, Budget(seconds=60))
    group = study.ask()
    now[0] += 50.0
    finish(study, group, 0.5)
    assert study.end_reason is None
    study.close()
    now[0] += 1e6  # no search is running
    monkeypatch.setattr("searchlab.study.trial_store.time.time", lambda: 0.0)
    reopened = study_with(tmp_path, Budget(seconds=60))
    group = reopened.ask()
    now[0] += 9.0
    assert reopened.report(group.trials, epoch(1, [0.5, 0.5])).trials
    now[0] += 2.0
    assert not reopened.report(group.trials, epoch(2, [0.5, 0.5])).trials
    assert "60 seconds" in reopened.end_reason
    reopened.close()


def test_reproducible_search_checks_the_budget_between_generations(tmp_path):
    study = study_with(tmp_path, Budget(target=0.9), trials=16, generation=8)
    groups = [study.ask()]
    finish(study, groups[0], 0.95)
    while (group := study.ask()) is not None:
        finish(study, group, 0.5)
        groups.append(group)
    assert sum(len(group.trials) for group in groups) == 8
    assert study.end_reason
    study.close()


def test_a_worker_that_asks_during_the_last_generation_does_not_end_it(tmp_path):
    study = study_with(tmp_path, Budget(epochs=2), trials=2, generation=2)
    groups = [study.ask(), study.ask()]
    for group in groups:
        study.report(group.trials, epoch(1, [0.5, 0.5]))
    assert study.ask() is None
    assert [study.report(group.trials, epoch(2, [0.5, 0.5])).trials for group in groups] == [(0,), (1,)]
    study.close()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_patience_of_a_reproducible_search_does_not_depend_on_which_trial_ends_first(tmp_path, order):
    study = study_with(tmp_path, Budget(patience=3), trials=12, generation=4)
    groups = [study.ask() for _ in range(4)]
    for position in order:
        finish(study, groups[position], 0.9 if position == 0 else 0.5)
    assert study.ask() is None
    assert study.end_reason, "three trials after the first one are not better"
    study.close()


def test_search_with_an_exhausted_budget_has_a_winner_and_can_be_resumed(tmp_path):
    sweep = spiral_sweep(trials=12, budget=Budget(epochs=14))
    result = run(sweep, engine="local", tracking=None, home=tmp_path, fuse=2)
    assert "14 epochs" in result.over
    assert result.state == "FINISHED"
    assert result.artifact.exists()
    assert len(result.trials) < 12
    assert result.to_json()["over"] == result.over
    with pytest.raises(UserMistake, match="cannot be reproducible"):
        run(spiral_sweep(budget=Budget(seconds=5)), engine="local", tracking=None, home=tmp_path, reproducible=True)
    reopened = resume("spiral", home=tmp_path, sweep=sweep)
    assert [t.state for t in reopened.trials] == [t.state for t in result.trials], "the budget is still used up"


def test_budget_smaller_than_a_trial_still_has_a_winner(tmp_path):
    result = run(
        spiral_sweep(trials=12, epochs=50, budget=Budget(epochs=5)),
        engine="local",
        tracking=None,
        home=tmp_path,
        fuse=1,
    )
    assert {trial.state for trial in result.trials} == {"PRUNED"}
    assert result.winner.trial.epoch <= 5


def test_time_budget_ends_within_a_trial_and_resume_continues_with_more_time(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("searchlab.study.trial_store.time.monotonic", lambda: clock[0])
    original = Study.report

    def report(self, *arguments):
        clock[0] += 1.0
        return original(self, *arguments)

    monkeypatch.setattr(Study, "report", report)
    result = run(
        spiral_sweep(trials=12), engine="local", tracking=None, home=tmp_path, fuse=1, values={"budget.seconds": 7.0}
    )
    assert result.over == "its 7 seconds are used up"
    before = len(result.trials)
    longer = resume("spiral", home=tmp_path, sweep=spiral_sweep(trials=12), seconds=1000.0)
    assert longer.over is None
    assert len(longer.trials) == 12 > before


def test_epochs_of_all_trials_of_a_group_count(tmp_path):
    job = make_job(spiral_sweep(trials=8), "s", tmp_path / "j", tmp_path / "c", 8, fuse=4)
    result = local.search(replace(job, sweep=spiral_sweep(trials=8, budget=Budget(epochs=12))), EventBuffer())
    assert sum(len(trial.curve.scores) for trial in result.trials) == 12
    assert np.isfinite([trial.value for trial in result.trials]).all()

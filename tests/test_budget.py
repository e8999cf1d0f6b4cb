"""Budgets: a search ends at whatever comes first, cleanly, and goes on when it is given more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from searchlab.cli.arguments import seconds_of
from searchlab.engine import local
from searchlab.errors import UserMistake
from searchlab.runner.run import resume, run
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.space.budget import Budget, Spent
from searchlab.study.study import Study
from tests.sweeps import spiral_sweep
from tests.test_study import epoch


@pytest.mark.parametrize(
    ("budget", "spent", "goal", "why"),
    [
        (Budget(), Spent(1e9, 10**9, 1.0, 10**9), "max", None),
        (Budget(seconds=60), Spent(seconds=59.9), "max", None),
        (Budget(seconds=60), Spent(seconds=60.0), "max", "its 60 seconds are used up"),
        (Budget(epochs=1000), Spent(epochs=1000), "max", "its 1,000 epochs are used up"),
        (Budget(target=0.9), Spent(best=0.89), "max", None),
        (Budget(target=0.9), Spent(best=0.91), "max", "a trial reached 0.91, and 0.9 was the target"),
        (Budget(target=120), Spent(best=130.0), "min", None),
        (Budget(target=120), Spent(best=119.0), "min", "a trial reached 119, and 120 was the target"),
        (Budget(patience=5), Spent(best=0.5, since_best=4), "max", None),
        (Budget(patience=5), Spent(best=0.5, since_best=5), "max", "5 trials in a row were no better than 0.5"),
        (
            Budget(patience=5),
            Spent(since_best=50),
            "max",
            None,
        ),  # while none is complete there is nothing to improve on
    ],
)
def test_a_budget_says_when_and_why(budget, spent, goal, why):
    assert budget.why_over(spent, goal) == why


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": 0}, {"seconds": "60"}, {"epochs": 1.5}, {"epochs": 0}, {"patience": -1}, {"target": float("nan")}],
)
def test_a_budget_that_means_nothing_is_refused(wrong):
    with pytest.raises(UserMistake, match=next(iter(wrong))):
        Budget(**wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("1.5h", 5400)],
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-5", "30 parsecs", "m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UserMistake, match="--time-budget"):
        seconds_of(text)


def study(tmp_path, budget, trials=20, **changes):
    job = Job(spiral_sweep(budget=budget), "s", tmp_path / "j", tmp_path / "c", trials, fuse=1, **changes)
    return Study(job, Buffer())


def finish(one, group, score, epochs=1):
    for number in range(1, epochs):
        one.report(group.trials, epoch(number, [score] * 2))
    one.finish(group.trials, epoch(epochs, [score] * 2))


def test_a_target_ends_the_search_and_prunes_what_is_at_work(tmp_path):
    one = study(tmp_path, Budget(target=0.9))
    first, second = one.ask(), one.ask()
    one.report(second.trials, epoch(1, [0.3, 0.5]))
    finish(one, first, 0.95)
    assert one.over == "a trial reached 0.95, and 0.9 was the target"
    assert not one.more()
    assert one.ask() is None
    assert one.report(second.trials, epoch(2, [0.9, 0.9])).stay == ()
    records = one.records()
    assert [record.state for record in records] == ["COMPLETE", "PRUNED"]
    assert (records[1].value, records[1].epoch) == (pytest.approx(0.4), 1)
    assert "the target" in records[1].reason
    one.close()


def test_epochs_are_counted_over_all_trials_and_restarts(tmp_path):
    one = study(tmp_path, Budget(epochs=10))
    finish(one, one.ask(), 0.5, epochs=4)
    finish(one, one.ask(), 0.5, epochs=4)
    one.close()
    again = study(tmp_path, Budget(epochs=10))
    group = again.ask()
    assert again.report(group.trials, epoch(1, [0.5, 0.5])).stay == group.trials
    assert again.report(group.trials, epoch(2, [0.5, 0.5])).stay == ()
    assert "10 epochs" in again.over
    again.close()


def test_patience_counts_the_trials_that_ended_since_the_best(tmp_path):
    one = study(tmp_path, Budget(patience=3))
    for score in (0.5, 0.6, 0.6, 0.4):
        finish(one, one.ask(), score)
        assert one.over is None
    one.close()
    again = study(tmp_path, Budget(patience=3))
    finish(again, again.ask(), 0.1)
    assert again.over == "3 trials in a row were no better than 0.6"
    again.close()


def test_the_last_trial_of_all_is_no_reason_to_say_that_it_is_over(tmp_path):
    one = study(tmp_path, Budget(target=0.9), trials=1)
    finish(one, one.ask(), 0.95)
    assert (one.over, one.ask()) == (None, None)
    one.close()


def test_seconds_count_by_a_clock_that_does_not_jump_and_over_restarts(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("searchlab.study.trial_store.time.monotonic", lambda: now[0])
    one = study(tmp_path, Budget(seconds=60))
    group = one.ask()
    now[0] += 50.0
    finish(one, group, 0.5)
    assert one.over is None
    one.close()
    now[0] += 1e6  # nobody searches
    monkeypatch.setattr("searchlab.study.trial_store.time.time", lambda: 0.0)
    again = study(tmp_path, Budget(seconds=60))
    group = again.ask()
    now[0] += 9.0
    assert again.report(group.trials, epoch(1, [0.5, 0.5])).stay
    now[0] += 2.0
    assert not again.report(group.trials, epoch(2, [0.5, 0.5])).stay
    assert "60 seconds" in again.over
    again.close()


def test_in_a_reproducible_search_a_budget_is_looked_at_between_generations(tmp_path):
    one = study(tmp_path, Budget(target=0.9), trials=16, generation=8)
    groups = [one.ask()]
    finish(one, groups[0], 0.95)
    while (group := one.ask()) is not None:
        finish(one, group, 0.5)
        groups.append(group)
    assert sum(len(group.trials) for group in groups) == 8
    assert one.over
    one.close()


def test_a_search_that_its_budget_ended_has_a_winner_and_goes_on_when_given_more(tmp_path, monkeypatch):
    monkeypatch.setattr("searchlab.runner.pipeline.Recorder", NoRecorder)
    sweep = spiral_sweep(trials=12, budget=Budget(epochs=14))
    result = run(sweep, engine="local", home=tmp_path, fuse=2)
    assert "14 epochs" in result.over
    assert result.state == "FINISHED"
    assert result.artifact.exists()
    assert len(result.trials) < 12
    assert result.plain()["over"] == result.over
    with pytest.raises(UserMistake, match="cannot be reproducible"):
        run(spiral_sweep(budget=Budget(seconds=5)), engine="local", home=tmp_path, reproducible=True)
    again = resume("spiral", home=tmp_path, sweep=sweep)
    assert [t.state for t in again.trials] == [t.state for t in result.trials], "nothing more to spend"


def test_a_budget_shorter_than_a_trial_still_gives_a_winner(tmp_path, monkeypatch):
    monkeypatch.setattr("searchlab.runner.pipeline.Recorder", NoRecorder)
    result = run(spiral_sweep(trials=12, epochs=50, budget=Budget(epochs=5)), engine="local", home=tmp_path, fuse=1)
    assert {trial.state for trial in result.trials} == {"PRUNED"}
    assert result.winner.trial.epoch <= 5


def test_a_time_budget_ends_a_search_in_mid_trial_and_more_time_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("searchlab.runner.pipeline.Recorder", NoRecorder)
    clock = [0.0]
    monkeypatch.setattr("searchlab.study.trial_store.time.monotonic", lambda: clock[0])
    add = Study.report

    def report(self, *given):
        clock[0] += 1.0
        return add(self, *given)

    monkeypatch.setattr(Study, "report", report)
    result = run(spiral_sweep(trials=12), engine="local", home=tmp_path, fuse=1, values={"budget.seconds": 7.0})
    assert result.over == "its 7 seconds are used up"
    before = len(result.trials)
    longer = resume("spiral", home=tmp_path, sweep=spiral_sweep(trials=12), seconds=1000.0)
    assert longer.over is None
    assert len(longer.trials) == 12 > before


class NoRecorder:
    """A recorder that keeps nothing."""

    def __init__(self, uri, record):
        self.run_id = "none"

    def __getattr__(self, name):
        return lambda *given, **named: "none"


def test_every_epoch_counts_whoever_trained_it(tmp_path):
    job = Job(spiral_sweep(trials=8), "s", tmp_path / "j", tmp_path / "c", 8, fuse=4)
    found = local.search(replace(job, sweep=spiral_sweep(trials=8, budget=Budget(epochs=12))), Buffer())
    assert sum(len(trial.curve.scores) for trial in found.trials) == 12
    assert np.isfinite([trial.value for trial in found.trials]).all()

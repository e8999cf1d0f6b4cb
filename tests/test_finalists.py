"""The finalists of a sweep: which trials are run again, what they score, and which of them wins."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import searchlab
from models.mlp import MLP
from searchlab import Accuracy, Choice, Grid, Holdout, KFold, ParameterCount, Refit, Space, Trainer, UserMistake
from searchlab.cli.summary import print_result
from searchlab.data.repeated import Repeated
from searchlab.errors import Interrupted
from searchlab.fusion.groups import build_trainer
from searchlab.optim import SGD
from searchlab.reporting.report import write_report
from searchlab.reporting.winner_choice import optimism_text, search_choice
from searchlab.results.finalists import (
    FINALIST_SEED,
    Finalist,
    affordable_runs,
    choose_finalists,
    finalists_job,
    rank_finalists,
)
from searchlab.results.model_card import model_card
from searchlab.runner import finalists as finalists_run
from searchlab.runner.finalists import FinalistEvents
from searchlab.runner.record import winner_text
from searchlab.runner.resume import resume
from searchlab.runs.events import EpochFinished, EventBuffer, PhaseStarted
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.source_files import hash_source
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.runs.workspace import Workspace
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep

SEEDS = 2


def sweep_with_finalists(**changes):
    return spiral_sweep(**{"winner": Refit(finalists=3, seeds=SEEDS, max_cost=9.0), **changes})


def run_local(home, sweep=None, **options):
    return run(sweep or sweep_with_finalists(), **{"engine": "local", "home": home} | options)


def trial_of(number, value, state="COMPLETE", **parameters):
    curve = LearningCurve(scores=[[value, value]], others=[[]])
    return TrialRecord(number, state, parameters or {"n": number}, value, 1, None, curve, started=0.0, ended=1.0)


def job_of(tmp_path, sweep, **options):
    return make_job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "checkpoints", trials=6, **options)


def finalist_of(trial, scores, weights=10):
    return Finalist(trial, 0.9, scores[0] if scores else [0.9], scores, weights)


def test_the_best_trials_are_finalists_and_equal_parameters_count_once(tmp_path):
    trials = [trial_of(0, 0.5), trial_of(1, 0.9, n=7), trial_of(2, 0.8, n=7), trial_of(3, 0.7), trial_of(4, 0.6)]
    chosen, seeds = choose_finalists(job_of(tmp_path, sweep_with_finalists()), trials)
    assert seeds == SEEDS
    assert [trial.number for trial in chosen] == [1, 3, 4]


@pytest.mark.parametrize(("finalists", "trials"), [(1, 3), (3, 1)])
def test_without_a_choice_nothing_is_run_again(tmp_path, finalists, trials):
    job = job_of(tmp_path, sweep_with_finalists(winner=Refit(finalists=finalists)))
    assert choose_finalists(job, [trial_of(number, 0.5) for number in range(trials)]) == ([], 0)


def test_the_first_enqueued_point_is_a_finalist(tmp_path):
    job = job_of(tmp_path, sweep_with_finalists(enqueue=[{"model.hidden": 5}, {"model.hidden": 10}]))
    trials = [trial_of(number, 0.1 * number, state="PRUNED" if number < 2 else "COMPLETE") for number in range(6)]
    assert [trial.number for trial in choose_finalists(job, trials)[0]] == [5, 4, 3, 0]


def test_the_best_mean_wins_where_it_is_clearly_better():
    best, others = [[0.90, 0.91, 0.90], [0.91, 0.90, 0.91]], [[0.70, 0.71, 0.70], [0.71, 0.70, 0.71]]
    ranked = rank_finalists([finalist_of(4, others, weights=1), finalist_of(7, best, weights=99)], "max", 0.5)
    assert [finalist.trial for finalist in ranked] == [7, 4]
    assert [finalist.is_tied for finalist in ranked] == [True, False]
    assert ranked[1].gap == pytest.approx(-0.2)
    assert ranked[1].gap_high < 0.0
    assert (ranked[0].gap, ranked[0].gap_low) == (0.0, None)
    assert [f.trial for f in rank_finalists(ranked, "min", 0.5)] == [4, 7]


def test_of_tied_finalists_the_smallest_wins_and_then_the_better_mean():
    scores = [[[0.90, 0.91]], [[0.91, 0.90]], [[0.905, 0.895]], [[0.2, 0.21]]]
    ranked = rank_finalists([finalist_of(n, s, weights=20 - n) for n, s in enumerate(scores)], "max", 0.25)
    assert [finalist.trial for finalist in ranked] == [2, 0, 1, 3]
    ranked = rank_finalists([finalist_of(n, s) for n, s in enumerate(scores[:3])], "max", 0.25)
    assert [finalist.trial for finalist in ranked] == [0, 1, 2]


def test_a_finalist_that_failed_comes_last():
    failed = replace(finalist_of(1, []), reason="diverged")
    assert [f.trial for f in rank_finalists([failed, finalist_of(2, [[0.5, 0.4]])], "max", 0.25)] == [2, 1]
    assert rank_finalists([failed], "max", 0.25) == [failed]


def test_a_single_score_says_nothing_of_ties():
    ranked = rank_finalists([finalist_of(1, [[0.5]], 1), finalist_of(2, [[0.6]], 9)], "max", 0.25)
    assert [(f.trial, f.low, f.is_tied) for f in ranked] == [(2, None, True), (1, None, False)]


def test_two_scores_make_no_tie():
    small, better = Finalist(1, 0.6, [0.60], [[0.50]], 5), Finalist(2, 0.7, [0.70], [[0.54]], 90)
    ranked = rank_finalists([small, better], "max", 0.25)
    assert [(f.trial, f.is_tied) for f in ranked] == [(2, True), (1, False)]
    assert ranked[1].gap_low < 0.0 < ranked[1].gap_high
    seeds = [replace(small, scores=[[0.50], [0.62]]), replace(better, scores=[[0.54], [0.60]])]
    assert [(f.trial, f.is_tied) for f in rank_finalists(seeds, "max", 0.25)] == [(1, True), (2, True)]


def test_finalists_are_trained_on_the_same_folds_with_fresh_seeds_for_their_best_epochs(home):
    sweep = sweep_with_finalists(validation=KFold(3), epochs=4)
    result = run_local(home, sweep)
    finalists = result.winner.finalists
    best = sorted(result.trials, key=lambda trial: -trial.value)[:3]
    assert sorted(f.trial for f in finalists) == sorted(trial.number for trial in best)
    data = sweep.data.training()
    for finalist in finalists:
        trial = result.trials[finalist.trial]
        split = Repeated(sweep.validation, SEEDS).split(data)
        trainer = build_trainer(sweep, [trial.parameters], data, split, FINALIST_SEED, "cpu")
        scores = [trainer.advance().score for _ in range(trial.epoch)][-1]
        assert np.array(finalist.scores).tolist() == scores.reshape(SEEDS, 3).tolist()
        assert (finalist.search_score, list(finalist.search_folds)) == (trial.value, list(trial.folds))
        assert finalist.mean == pytest.approx(scores.mean())
        assert [list(trial.folds)] * SEEDS != [list(folds) for folds in finalist.scores]
    assert result.best.number == finalists[0].trial
    assert result.optimism == pytest.approx(result.best.value - finalists[0].mean)
    assert searchlab.open("spiral", home=home).to_json() == result.to_json()


def test_the_search_is_that_of_a_sweep_without_finalists(home, tmp_path):
    with_finalists, without = run_local(home), run_local(tmp_path / "other", spiral_sweep())
    assert [t.curve.scores for t in with_finalists.trials] == [t.curve.scores for t in without.trials]
    assert without.winner.finalists == ()
    assert without.best.value == max(trial.value for trial in without.trials)
    assert without.optimism is None


def test_finalists_of_a_grid_of_a_single_fold_and_of_several_metrics(home):
    sweep = sweep_with_finalists(
        validation=Holdout(0.3),
        metric=(Accuracy(), ParameterCount()),
        model=Space(MLP, hidden=Choice(2, 4, 8)),
        optimizer=Space(SGD, lr=0.5),
        training=Space(Trainer, batch_size=10, epochs=3),
        sampler=Grid(),
        trials=None,
        pruner=None,
    )
    finalists = run_local(home, sweep).winner.finalists
    assert [np.shape(finalist.scores) for finalist in finalists] == [(SEEDS, 1)] * 3
    assert [finalist.weights for finalist in sorted(finalists, key=lambda f: f.weights)] == [15, 27, 51]


def test_a_run_that_is_interrupted_among_its_finalists_is_resumed_to_the_same_result(home, tmp_path, monkeypatch):
    expected = run_local(tmp_path / "expected")
    seen, handle = [], FinalistEvents.handle

    def interrupt(self, event):
        handle(self, event)
        if isinstance(event, EpochFinished):
            seen.append(event.trial)
            if event.trial == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(FinalistEvents, "handle", interrupt)
    with pytest.raises(Interrupted, match="resume spiral"):
        run_local(home)
    monkeypatch.setattr(FinalistEvents, "handle", handle)
    resumed = resume("spiral", home=home, sweep=sweep_with_finalists())
    assert resumed.winner.finalists == expected.winner.finalists
    assert resumed.best.number == expected.best.number
    assert len(resumed.trials) == 6


def test_more_trials_choose_finalists_anew(home):
    first = run_local(home, trials=4)
    second = resume("spiral", home=home, trials=8, sweep=sweep_with_finalists())
    best = sorted(second.trials, key=lambda trial: (-trial.value, trial.number))[:3]
    assert sorted(f.trial for f in second.winner.finalists) == sorted(trial.number for trial in best)
    assert len(first.winner.finalists) == 3


def test_a_finalist_that_cannot_be_trained_again_does_not_win(home, monkeypatch):
    from searchlab.study.study import Study

    report = Study.report

    def fail_first(self, numbers, epoch_report):
        if self.job.study != self.job.name and 0 in numbers:
            self.fail([0], "it diverged")
        return report(self, numbers, epoch_report)

    monkeypatch.setattr(Study, "report", fail_first)
    winner = run_local(home).winner
    assert [bool(finalist.scores) for finalist in winner.finalists] == [True, True, False]
    assert winner.finalists[-1].reason == "it diverged"
    assert winner.trial.number == winner.finalists[0].trial


def test_the_summary_shows_the_finalists(home):
    console = Console(file=io.StringIO(), width=120)
    result = run_local(home)
    print_result(result, console)
    text = console.file.getvalue()
    assert "Run again with 2 fresh seeds" in text
    assert text.count("winner\n") == 1
    assert f"optimism       {result.optimism:.4f}" in text
    assert "by the majority class" in text
    report = result.report.read_text()
    assert "finalists" in report.lower()
    assert result.winner.tie.startswith("2 finalists are tied") or result.winner.tie.startswith("3 finalists")
    assert " ".join(text.split()).count(result.winner.tie) == 1
    assert report.count(result.winner.tie) == 2
    assert result.winner.tie in repr(result)
    assert result.winner.tie in winner_text(result.winner, "accuracy")
    searched = [finalist.search_score for finalist in result.winner.finalists]
    choice = search_choice(result.best.value, searched, "max")
    assert f"The score in the search, {choice}, is {optimism_text(result.optimism)}." in report


def test_a_finalist_that_overtakes_the_best_of_the_search_was_not_chosen_by_its_score_there(home):
    result = run_local(home)
    first, *others = result.winner.finalists
    lucky = replace(others[0], search_score=first.search_score + 0.2)  # another trial leads in the search
    winner = replace(result.winner, finalists=(replace(first, mean=first.search_score + 0.1), lucky))
    overtaken = replace(result, winner=winner)
    console = Console(file=io.StringIO(), width=120)
    print_result(overtaken, console)
    manifest = SweepManifest.load(Workspace.at(home).sweep("spiral"))
    report = write_report(manifest, Workspace.at(home), result.trials, "finished", overtaken.to_json(), ())
    exported = json.loads((winner.artifact / "manifest.json").read_text())
    card = model_card(job_of(home, sweep_with_finalists()), winner, 6, exported)
    assert "0.1000 worse than with fresh seeds" in console.file.getvalue()
    assert "where another trial had a better score, is 0.1000 worse than with fresh seeds" in report.read_text()
    assert "in the search, where another trial had a better score" in card


def test_the_study_of_finalists_does_not_depend_on_what_ends_a_search(tmp_path):
    sweep = sweep_with_finalists(enqueue=[{"model.hidden": 5}], constraint=lambda candidate: 0)
    job = finalists_job(job_of(tmp_path, sweep), [trial_of(3, 0.5), trial_of(5, 0.4)], 2)
    assert job.storage == tmp_path / "finalists-2-3-5.journal"
    assert job.checkpoints == tmp_path / "checkpoints" / "finalists-2-3-5", "a group is not that of the search"
    assert (job.sweep.constraint, job.sweep.enqueue, job.trials, job.name) == (None, (), 2, "spiral")
    in_database = replace(job_of(tmp_path, sweep), storage="sqlite:///a.db", study="", checkpoints="s3://bucket/mine")
    job = finalists_job(in_database, [trial_of(3, 0.5), trial_of(5, 0.4)], 2)
    assert (job.storage, job.study) == ("sqlite:///a.db", "spiral-finalists-2-3-5")
    assert job.checkpoints == "s3://bucket/mine/finalists-2-3-5"


def test_the_seed_of_the_search_counts_for_the_choice_and_not_for_the_score():
    lucky = Finalist(1, 0.9, [0.9, 0.9], [[0.5, 0.5]], 10)
    steady = Finalist(2, 0.8, [0.8, 0.8], [[0.7, 0.7]], 10)
    first, second = rank_finalists([lucky, steady], "max", 0.25)
    assert (first.trial, first.mean, second.gap) == (2, pytest.approx(0.7), pytest.approx(-0.05))


def test_a_search_of_few_epochs_has_few_finalists():
    assert affordable_runs(Refit(), [20, 20, 20], 1800) == (3, 3)
    assert affordable_runs(Refit(), [20, 20, 20], 1799) == (3, 2)
    assert affordable_runs(Refit(), [20, 20, 20], 600) == (3, 1)
    assert affordable_runs(Refit(), [20, 20, 20], 599) == (2, 1)
    assert affordable_runs(Refit(max_cost=0.0), [20, 20, 20], 599) == (2, 1), "at least two, with one seed"
    assert affordable_runs(Refit(finalists=9, max_cost=0.5), [5] * 9, 100) == (9, 1)


@pytest.mark.parametrize("cost", [-0.1, "much", float("nan"), None])
def test_a_cost_that_is_no_share_is_refused(cost):
    with pytest.raises(UserMistake, match=r"Refit\(max_cost=...\) takes a share of the epochs of the search, got"):
        Refit(max_cost=cost)


@pytest.mark.parametrize("arguments", [{"finalists": 0}, {"seeds": 1.5}, {"finalists": True}])
def test_the_rule_takes_whole_numbers(arguments):
    with pytest.raises(UserMistake, match=r"Refit\((finalists|seeds)=...\) takes a whole number of at least 1, got"):
        Refit(**arguments)


def test_a_sweep_refuses_another_rule():
    with pytest.raises(UserMistake, match=r"Sweep\(winner=...\) takes Refit\(\) or FoldEnsemble\(\), got 'best'"):
        spiral_sweep(winner="best")


def test_the_rule_can_be_set_and_does_not_make_another_sweep():
    sweep = spiral_sweep()
    changed = sweep.with_values({"winner.seeds": 5})
    assert changed.winner == Refit(finalists=1, seeds=5)
    assert changed.fingerprint() == sweep.fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("seconds_here", [0.0, 1e6])
def test_ray_runs_the_same_finalists(shared_ray, home, tmp_path, monkeypatch, seconds_here):
    """On its workers, and in this process."""
    monkeypatch.setattr(finalists_run, "MAX_SECONDS_HERE", seconds_here)
    local = run_local(home)
    tuned = run(sweep_with_finalists(), engine="tune", workers=1, home=tmp_path / "tune")
    assert tuned.winner.finalists == local.winner.finalists
    assert tuned.best.number == local.best.number


def test_the_rule_in_a_sweep_file_may_change_between_runs(home):
    one, other = (f"sweep = Sweep(name='a', winner={rule}, model=m)".encode() for rule in ("Refit(1)", "Refit(5)"))
    assert hash_source(one) == hash_source(other)
    run_local(home, spiral_sweep(2))
    resumed = resume("spiral", home=home, trials=3, sweep=sweep_with_finalists())
    assert len(resumed.winner.finalists) == 3


def test_the_phase_of_the_finalists_has_as_many_trials_as_finalists(home):
    display = EventBuffer()
    run_local(home, trials=5, display=display)
    trials = {event.phase: event.trials for event in display.drain() if isinstance(event, PhaseStarted)}
    assert trials == {"start": 5, "search": 5, "finalists": 3, "winner": 5, "record": 5}

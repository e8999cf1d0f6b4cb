"""A result in Python: its text, its HTML, its frames and its figures."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import searchlab
from searchlab import Accuracy, ParameterCount
from searchlab.errors import UserMistake
from searchlab.pruning import Halving
from searchlab.reporting.page import TEMPLATES
from searchlab.results.result import Result
from searchlab.runs.trials import LearningCurve, TrialRecord
from tests.jobs import run
from tests.sweeps import spiral_sweep


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A sweep with complete and pruned trials, conditional parameters, and an integer one."""
    home = tmp_path_factory.mktemp("home")
    return run(spiral_sweep(12, 5, pruner=Halving()), engine="local", home=home, fuse=1)


def hidden_of(trials):
    return [trial.parameters["model.hidden"] for trial in trials]


def made(trials, **changes):
    """A result of these trials that was never run."""
    values = {"sweep": "made", "state": "FAILED", "requested": 9, "winner": None, "metric": "accuracy", "goal": "max"}
    return Result(**{**values, "trials": tuple(trials), **changes})


def failed(number, reason):
    return TrialRecord(number, "FAIL", {"lr": 0.1}, None, None, reason, LearningCurve(), 0.0, 1.0)


def test_the_text_is_short_and_names_the_winner(result):
    lines = repr(result).splitlines()
    assert len(lines) <= 12
    assert all(len(line) <= 160 for line in lines)
    assert "'spiral': FINISHED, 12 trials" in lines[0]
    assert f"trial {result.best.number}, accuracy" in repr(result)
    assert f"hidden={result.best.parameters['model.hidden']}" in repr(result)


def test_the_text_stays_short_whatever_there_is_to_say(result):
    parameters = {f"model.argument_{number}": 0.5 for number in range(200)}
    trial = replace(result.best, parameters=parameters)
    long = replace(
        result,
        winner=replace(result.winner, trial=trial, test_look=3),
        over="the budget of 10 s is used up",
        record_fault="the server is away\n" * 50,
        tracking_uri="http://server",
    )
    lines = repr(long).splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) == 160
    assert "the budget of 10 s" in repr(long)


def test_states_are_counted_by_the_words_of_counts_and_by_those_of_trials(result):
    mixed = replace(result, trials=(*result.trials, failed(12, "diverged")))
    counts = mixed.counts()
    assert counts["failed"] == 1
    assert {word: mixed.count(word) for word in counts} == counts
    assert (mixed.count("COMPLETE"), mixed.count("FAIL")) == (counts["complete"], 1)
    assert mixed.count("RUNNING") == mixed.count("infeasible") == 0


@pytest.mark.parametrize("state", ["FOO", "Complete", "", None])
def test_a_state_that_there_is_not_is_a_mistake(result, state):
    with pytest.raises(UserMistake, match=r"complete, pruned, failed, infeasible, RUNNING, .*FAIL"):
        result.count(state)


def test_a_result_without_a_winner_says_why():
    text = repr(made([failed(0, "diverged"), failed(1, "diverged"), failed(2, "no such file")]))
    assert "diverged (2 trials)" in text
    assert "no such file (1 trial)" in text
    assert "0 complete, 0 pruned, 3 failed" in text
    assert "FAILED, 0 trials" in repr(made([]))


def test_neither_trials_nor_winners_print_their_arrays(result):
    assert len(repr(result.winner)) < 2000
    assert len(repr(result.trials[0])) < 600


def test_the_html_has_the_winner_a_table_and_the_curve(result):
    html = result._repr_html_()
    assert len(html) < 30_000
    assert "<script" not in html
    assert not re.search(r"(?:src|href)=", html)
    assert f"trial {result.best.number}, accuracy" in html
    assert html.count("<tr>") == 1 + min(10, result.count("COMPLETE")) + html.count('scope="row"')
    assert "<svg" in html
    assert "best accuracy so far" in html


def test_the_html_escapes_what_trials_say():
    html = made([failed(0, "<script>alert(1)</script>")])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_templates_of_results_and_reports_share_their_chart():
    using = {path.name for path in TEMPLATES.glob("*.j2") if "import step_chart" in path.read_text()}
    assert using == {"report.html.j2", "result.html.j2"}


def test_the_frame_has_a_row_for_each_trial_the_best_on_top(result):
    frame = result.frame()
    assert len(frame) == 12
    assert frame["trial"][0] == result.best.number
    complete = frame[frame["state"] == "COMPLETE"]
    assert complete["rank"].tolist() == list(range(1, len(complete) + 1))
    assert complete["mean"].is_monotonic_decreasing
    pruned = frame[frame["state"] == "PRUNED"]
    assert len(pruned)
    assert pruned["rank"].isna().all()
    assert pruned["reason"].str.contains("rank").all()
    for row in frame.itertuples():
        trial = result.trials[row.trial]
        assert (row.epoch, row.mean, row.std) == (trial.epoch, trial.value, trial.std)
        assert (row.folds, row.seconds) == (trial.folds, trial.curve.seconds)


def test_parameters_keep_their_types_in_the_frame(result):
    frame = result.frame()
    assert frame["model.hidden"].dtype == "Int64"
    assert frame["model.hidden"].tolist() == hidden_of(result.trials[number] for number in frame["trial"])
    assert frame["optimizer"].dtype == "string"
    assert frame["optimizer.SGD.lr"].dtype == np.float64
    is_missing = frame["optimizer.SGD.lr"].isna()
    assert 0 < is_missing.sum() < len(frame)
    assert (frame["optimizer"][is_missing] == "Adam").all()


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        ([True, False], "boolean", True),
        ([1, 2], "Int64", True),
        ([1, 0.5], "float64", True),
        (["a", "b"], "string", True),
        ([None, 3, "a", True], "object", True),
    ],
)
def test_a_missing_parameter_is_na_whatever_its_type(values, kind, missing):
    parameters = [*({"x": value} for value in values), {}]
    trials = [replace(failed(n, "r"), parameters=given) for n, given in enumerate(parameters)]
    frame = made(trials).frame()
    assert frame["x"].dtype == kind
    assert bool(frame["x"].isna().iloc[-1]) == missing
    assert frame["x"].tolist()[: len(values)] == values


def test_the_curves_are_in_the_long_form(result):
    curves = result.curves()
    assert list(curves) == ["trial", "epoch", "fold", "score", "loss", "held_out_loss", "training_score"]
    assert len(curves) == sum(2 * len(trial.curve.scores) for trial in result.trials)
    for trial in result.trials:
        own = curves[curves["trial"] == trial.number]
        assert own.pivot(index="epoch", columns="fold", values="score").to_numpy().tolist() == trial.curve.scores
        assert own.pivot(index="epoch", columns="fold", values="loss").to_numpy().tolist() == trial.curve.losses
    means = curves.groupby(["trial", "epoch"])["score"].mean()
    assert means[result.best.number, result.best.epoch] == pytest.approx(result.best.value)


def test_the_curves_hold_what_was_measured_in_some_epochs():
    curve = LearningCurve(
        [[0.5, 0.6]] * 3, [[1.0, 2.0]] * 3, held_out_losses=[[0.1, 0.2], []], training_scores=[[], [0.3, 0.4], []]
    )
    trial = replace(failed(4, "r"), curve=curve)
    curves = made([trial]).curves()
    np.testing.assert_array_equal(curves["held_out_loss"], [0.1, 0.2, *[np.nan] * 4])
    np.testing.assert_array_equal(curves["training_score"], [np.nan, np.nan, 0.3, 0.4, np.nan, np.nan])


def test_the_importance_names_its_evaluator(result):
    importance = result.importance()
    assert importance.sum() == pytest.approx(1.0)
    assert importance.is_monotonic_decreasing
    assert set(importance.index) <= {path for trial in result.trials for path in trial.parameters}
    assert (importance.attrs["evaluator"], importance.attrs["trials"]) == ("PED-ANOVA", 12)
    few = made([]).importance()
    assert few.empty
    assert "10 trials" in few.attrs["reason"]


def test_other_metrics_have_columns_of_their_own(tmp_path):
    sweep = spiral_sweep(4, metric=(Accuracy(), ParameterCount()), pruner=None)
    several = run(sweep, engine="local", home=tmp_path)
    frame, curves = several.frame(), several.curves()
    for row in frame.itertuples():
        assert several.trials[row.trial].values == (row.mean, row.parameters)
    assert set(curves["parameters"]) == set(frame["parameters"])
    assert "Pareto" in several.pareto_front_figure().axes[0].get_title(loc="left")


def test_frames_without_trials_have_their_columns():
    empty = made([])
    assert {"rank", "trial", "state", "mean", "std", "folds", "epoch", "seconds", "reason"} == set(empty.frame())
    assert list(empty.curves())[:5] == ["trial", "epoch", "fold", "score", "loss"]
    assert made([failed(0, "diverged")]).curves().empty
    assert math.isnan(made([failed(0, "diverged")]).frame()["mean"][0])


def test_a_missing_pandas_is_told_in_one_sentence(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserMistake, match="pandas"):
        result.frame()


@pytest.mark.figures
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_is_saved_in_any_format(result, tmp_path, kind):
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    result.boxes("lr").savefig(tmp_path / f"boxes.{kind}")
    assert (tmp_path / f"boxes.{kind}").read_bytes().startswith(start)


@pytest.mark.figures
def test_a_figure_shows_itself_in_a_notebook(result):
    for figure in (result.boxes("optimizer"), result.learning_curves_figure(), result.optimization_history_figure()):
        data, size = figure._repr_png_()
        assert data.startswith(b"\x89PNG")
        width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
        assert (width, height) == (2 * size["width"], 2 * size["height"])


@pytest.mark.figures
def test_the_learning_curves_are_of_as_many_trials_as_asked_for(result):
    few, many = (len(result.learning_curves_figure(best).axes[0].collections) for best in (1, 4))
    assert few < many


def test_a_pareto_front_needs_several_metrics(result):
    with pytest.raises(UserMistake, match="accuracy"):
        result.pareto_front_figure()


def test_an_opened_result_has_the_same_frames(result):
    opened = searchlab.open(result.sweep, home=result.report.parents[2])
    pd.testing.assert_frame_equal(opened.frame(), result.frame())
    pd.testing.assert_frame_equal(opened.curves(), result.curves())
    assert repr(opened) == repr(result)


def test_an_unfinished_sweep_shows_its_best_trial(result):
    running = replace(result, state="RUNNING", winner=None, seconds={})
    assert f"best so far  trial {result.best.number}" in repr(running)
    assert "<svg" in running._repr_html_()


def test_two_parameters_of_one_name_have_their_paths_as_headings():
    trials = [
        TrialRecord(0, "COMPLETE", {"a.lr": 1, "b.lr": 2, "c.depth": 3}, 0.5, 1, None, LearningCurve([[0.5]]), 0.0, 1.0)
    ]
    html = made(trials, state="FINISHED")._repr_html_()
    assert all(f">{heading}</th>" in html for heading in ("a.lr", "b.lr", "depth"))

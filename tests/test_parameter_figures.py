"""The figures that say why a trial won: by parameters on their own scales, and how sure the ranking is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from searchlab import Choice, Float, Int
from searchlab.errors import UserMistake
from searchlab.reporting import search_figures
from searchlab.reporting.figures import (
    PlottedTrial,
    ShownImportance,
    plot_importance,
    plot_parallel_coordinates,
    plot_parameter_heat_map,
    plot_parameter_scatter,
    plot_predicted_numbers,
    plot_ranking,
    save_number_figures,
    save_trial_figures,
)
from searchlab.reporting.figures.parameter_axis import axis_names, parameter_axis
from searchlab.reporting.figures.parameter_heat_map import heat_map_pair
from searchlab.reporting.figures.ranking import differences_to_best
from searchlab.reporting.predictions import NumberPredictions
from tests.test_figures import FEW
from tests.test_importance import search as search_records

DOMAINS = {"lr": Float(1e-4, 1.0, log=True), "dropout": Float(0.0, 0.5), "hidden": Choice(32, 64, 128)}
DOMAINS |= {"optimizer": Choice("SGD", "Adam"), "optimizer.Adam.beta": Float(0.8, 0.99)}
PLOTS = (plot_parameter_scatter, plot_parameter_heat_map, plot_parallel_coordinates, plot_ranking)


def search(count=40):
    """Trials with five folds, every third pruned after two epochs; beta belongs to one optimizer."""
    generator, trials = np.random.default_rng(3), []
    for number in range(count):
        lr = float(10 ** generator.uniform(-4, 0))
        optimizer = ("SGD", "Adam")[number % 2]
        parameters = {"lr": lr, "dropout": float(generator.uniform(0, 0.5)), "hidden": (32, 64, 128)[number % 3]}
        parameters |= {"optimizer": optimizer} | ({"optimizer.Adam.beta": 0.9 + number / 1e3} if number % 2 else {})
        top = 0.95 - abs(math.log10(lr) + 2) / 10
        curve = [[top - 0.2 / epoch + float(generator.normal(0, 0.01)) for _ in range(5)] for epoch in range(1, 6)]
        state = "PRUNED" if number % 3 == 2 else "FAIL" if number == 21 else "COMPLETE"
        curve = curve[:2] if state == "PRUNED" else curve
        value = None if state == "FAIL" else max(float(np.mean(folds)) for folds in curve)
        trials.append(PlottedTrial(number, state, value, curve, parameters, domains=DOMAINS))
    return trials


def texts(axes):
    return "\n".join(text.get_text() for text in axes.texts)


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("trials", FEW.values(), ids=FEW)
@pytest.mark.parametrize("value", [0.1, "Adam", None, math.nan])
def test_figures_of_few_trials(trials, goal, value):
    trials = [replace(trial, parameters={"lr": value, "n": trial.number}) for trial in trials]
    for plot in PLOTS:
        plot(trials, "accuracy", goal).canvas.draw()


def test_each_continuous_parameter_has_a_panel_on_its_own_scale():
    panels = plot_parameter_scatter(search(), "accuracy", "max", ["dropout"]).axes
    assert [panel.get_xlabel() for panel in panels] == ["dropout", "lr (log)", "beta"]
    assert [panel.get_xscale() for panel in panels] == ["linear", "log", "linear"]
    assert panels[1].get_xlim()[0] < 1e-4 < 1.0 < panels[1].get_xlim()[1]


def test_pruned_trials_are_hollow_and_failed_ones_are_crosses():
    panel = plot_parameter_scatter(search(), "accuracy", "max").axes[0]
    counts = {points.get_label(): len(points.get_offsets()) for points in panel.collections}
    hollow = {points.get_label(): not len(points.get_facecolor()) for points in panel.collections}
    assert counts == {"pruned": 13, "complete": 26}
    assert hollow["pruned"]
    assert not hollow["complete"]
    (crosses,) = panel.get_lines()
    assert len(crosses.get_xdata()) == 1


def test_a_heat_map_shows_two_parameters_that_many_trials_have_at_equal_epochs():
    scored = [trial for trial in search() if trial.state != "FAIL"]
    assert heat_map_pair(scored, ["optimizer.Adam.beta", "lr", "hidden"]) == ("lr", "hidden")
    axes = plot_parameter_heat_map(search(), "accuracy", "max", ["hidden", "optimizer"]).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("hidden", "optimizer")
    judged = {trial.number: np.mean(trial.curve[:2], axis=1).max() for trial in scored}
    here = [judged[t.number] for t in scored if (t.parameters["hidden"], t.parameters["optimizer"]) == (32, "SGD")]
    cell = next(text for text in axes.texts if text.get_position() == (0, 0))
    assert cell.get_text() == f"{np.mean(here):.4f}\nn = {len(here)}"
    assert heat_map_pair(scored[:5], ["lr", "hidden"]) is None, "too few trials"


def test_the_ends_of_a_range_are_inside_its_cells():
    trials = [
        PlottedTrial(n, "COMPLETE", 0.5, [], {"lr": (1e-4, 1.0)[n % 2], "hidden": 32 + n % 3}, domains=DOMAINS)
        for n in range(12)
    ]
    trials = [replace(trial, domains={"lr": DOMAINS["lr"]}) for trial in trials]
    axes = plot_parameter_heat_map(trials, "accuracy", "max", ["lr", "hidden"]).axes[0]
    assert sum(int(text.get_text().rpartition("= ")[2]) for text in axes.texts if "n =" in text.get_text()) == 12


def test_parallel_coordinates_explain_trials_without_a_parameter_only_where_there_are_some():
    trials = search()
    adam = [trial for trial in trials if "optimizer.Adam.beta" in trial.parameters]
    for shown, explains in ((trials, True), (adam, False)):
        figure = plot_parallel_coordinates(shown, "accuracy", "max")
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert any("trials without the parameter" in text for text in texts) == explains


def test_the_axis_of_whole_numbers_has_whole_ticks():
    trials = [
        replace(trial, parameters={"layers": 1 + trial.number % 3}, domains={"layers": Int(1, 3)}) for trial in search()
    ]
    axes = plot_parameter_scatter(trials, "accuracy", "max").axes[0]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_parallel_coordinates_begin_with_the_most_important_parameter():
    axes = plot_parallel_coordinates(search(), "accuracy", "max", ["hidden", "lr"]).axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names[:2] == ["hidden", "lr"]
    assert "until epoch 2" in names[-1]
    lines = [line for line in axes.get_lines() if "trial" in str(line.get_label())]
    assert len(lines) == 5
    best = max((trial for trial in search() if trial.state == "COMPLETE"), key=lambda trial: trial.value)
    hidden, lr = lines[0].get_ydata()[:2]
    assert hidden == [32, 64, 128].index(best.parameters["hidden"]) / 2
    assert lr == pytest.approx((math.log10(best.parameters["lr"]) + 4) / 4)


def test_axes_of_parameters_follow_their_domains():
    trials = [PlottedTrial(n, "COMPLETE", 0.1, [], {"x": n % 3}) for n in range(9)]
    assert parameter_axis(trials, "x").options == ("0", "1", "2")
    ranged = [replace(trial, domains={"x": Int(0, 8)}) for trial in trials]
    assert (parameter_axis(ranged, "x").options, parameter_axis(ranged, "x").high) == ((), 8)
    many = [PlottedTrial(n, "COMPLETE", 0.1, [], {"x": n / 7}) for n in range(30)]
    assert parameter_axis(many, "x").options == ()
    assert axis_names(["model.lr", "optimizer.Adam.lr", "a.b"]) == {
        "model.lr": "model.lr", "optimizer.Adam.lr": "Adam.lr", "a.b": "b",
    }  # fmt: skip


def test_ranking_compares_trials_fold_by_fold():
    """Trial 1 is 0.01 worse than trial 0 in every fold; trial 2 is better in some folds, and worse in the mean."""
    folds = [[0.9, 0.8, 0.7, 0.95], [0.89, 0.79, 0.69, 0.94], [0.99, 0.6, 0.85, 0.8]]
    trials = [PlottedTrial(n, "COMPLETE", float(np.mean(row)), [row]) for n, row in enumerate(folds)]
    found = {trial.number: interval for trial, interval in differences_to_best(trials, "max")}
    assert found[1].mean == pytest.approx(-0.01)
    assert not found[1].includes(0.0)
    assert found[2].includes(0.0)
    assert "1 of 2 others may be as good" in texts(plot_ranking(trials, "accuracy", "max").axes[0])
    assert differences_to_best([replace(trial, curve=[[trial.value]]) for trial in trials], "max") == []


def test_importance_has_a_bar_per_parameter():
    axes = plot_importance(ShownImportance({"lr": 0.9, "width": 0.099, "depth": 0.001}, "PED-ANOVA", "why")).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lr", "width", "depth"]
    assert {"90%", "10%", "<1%", "why"} <= set(texts(axes).splitlines())
    assert "PED-ANOVA" in axes.get_xlabel()
    assert "too few" in texts(plot_importance(ShownImportance({}, text="too few")).axes[0])


def test_figures_of_records_show_the_most_important_parameter_first():
    records = search_records()
    axes = search_figures.importance_figure(records, "accuracy", "max").axes[0]
    assert axes.get_yticklabels()[0].get_text() == "lr"
    assert "the best 5 of 40 trials" in texts(axes)
    panels = search_figures.scatter_figure(records, "accuracy", "max").axes
    assert panels[0].get_xlabel() == "lr (log)"
    assert search_figures.parallel_figure(records, "accuracy", "max").axes[0].get_xticklabels()[0].get_text() == "lr"
    assert search_figures.ranking_figure(records, "accuracy", "max")
    axes = search_figures.heat_map_figure(records, "accuracy", "max", ("width", "momentum")).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "momentum")
    for wrong in (("width",), ("width", "widht")):
        with pytest.raises(UserMistake):
            search_figures.heat_map_figure(records, "accuracy", "max", wrong)


def test_figures_of_parameters_are_saved_where_they_show_something(tmp_path):
    importance = ShownImportance({"lr": 0.8, "hidden": 0.2})
    paths = save_trial_figures(search(), "accuracy", "max", tmp_path, importance=importance)
    expected = {"ranking", "importance", "parameter-scatter", "parameter-heat-map", "parallel-coordinates"}
    assert expected <= {path.stem for path in paths}
    assert all(imread(path).std() > 0.01 for path in paths)
    few = {path.stem for path in save_trial_figures(search(3), "accuracy", "max", tmp_path / "few")}
    assert not expected - {"ranking"} & few


def test_predicted_numbers_have_their_error(tmp_path):
    true = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, np.nan]])
    predicted = true + np.array([0.0, 1.0])
    panels = plot_predicted_numbers(true, predicted, ("price",)).axes
    assert [panel.get_xlabel() for panel in panels] == ["true price", "true target 1"]
    assert "R² 1.000" in panels[0].get_title(loc="left")
    assert "root mean squared error 1.0000" in panels[1].get_title(loc="left")
    (path,) = save_number_figures(tmp_path, NumberPredictions(true, predicted))
    assert imread(path).std() > 0.01
    plot_predicted_numbers(true * np.nan, predicted).canvas.draw()

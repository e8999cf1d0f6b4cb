"""The figures of a search: plotted from plain values, also for few trials, one or none."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.image import imread

from searchlab.reporting.figures import (
    PlottedTrial,
    parameters_to_plot,
    plot_fold_scores,
    plot_learning_curves,
    plot_optimization_history,
    plot_parameter_scores,
    plot_pareto_front,
    save_trial_figures,
)
from searchlab.reporting.figures.parameter_groups import group_by_value
from searchlab.reporting.style import score_range

PLOTS = (plot_learning_curves, plot_fold_scores, plot_optimization_history)


def search(count=30, folds=5, epochs=20):
    """Trials of an accuracy search: most end near the top, every fifth is pruned, every eleventh diverges."""
    generator, trials = np.random.default_rng(1), []
    for number in range(count):
        top, pace = 0.98 - abs(generator.normal(0, 0.02)), generator.uniform(1, 4)
        rise = top - 0.8 * np.exp(-np.arange(1, epochs + 1) / pace)
        curve = (rise[:, None] + generator.normal(0, 0.004, (epochs, folds))).tolist()
        state = "FAIL" if number % 11 == 10 else "PRUNED" if number % 5 == 4 else "COMPLETE"
        curve = [*curve[:2], [math.nan] * folds] if state == "FAIL" else curve[:5] if state == "PRUNED" else curve
        trials.append(PlottedTrial(number, state, None if state == "FAIL" else max(map(np.mean, curve)), curve))
    return trials


FEW = {
    "none": [],
    "one": [PlottedTrial(0, "COMPLETE", 0.9, [[0.8, 0.9], [0.9, 0.9]])],
    "one fold, one epoch": [PlottedTrial(3, "COMPLETE", 0.5, [[0.5]])],
    "all failed": [PlottedTrial(n, "FAIL", None, [[math.nan, 0.1]]) for n in range(3)],
    "all pruned": [PlottedTrial(n, "PRUNED", 0.1 * n, [[0.1 * n] * 3]) for n in range(3)],
    "all equal": [PlottedTrial(n, "COMPLETE", 1.0, [[1.0] * 3] * 4) for n in range(4)],
    "no curves": [PlottedTrial(n, "COMPLETE", 0.1 * n) for n in range(4)],
    "infinite": [PlottedTrial(0, "COMPLETE", math.inf, [[math.inf, 1.0]]), PlottedTrial(1, "FAIL", math.nan, [])],
    "nothing finite in the curve": [PlottedTrial(0, "COMPLETE", 1.0, [[math.nan, math.inf]] * 2)],
}


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("trials", FEW.values(), ids=FEW)
def test_figures_of_few_trials(trials, goal):
    for plot in PLOTS:
        plot(trials, "accuracy", goal).canvas.draw()


@pytest.mark.parametrize("trials", FEW.values(), ids=FEW)
@pytest.mark.parametrize(("value", "goal"), [(0.1, "max"), ("Adam", "min"), (math.nan, "max"), (None, "min")])
def test_box_plots_of_few_trials(trials, value, goal):
    trials = [replace(trial, parameters={"lr": value}) for trial in trials]
    plot_parameter_scores(trials, "lr", "accuracy", goal).canvas.draw()
    plot_parameter_scores(trials, "unknown", "accuracy", goal)
    assert parameters_to_plot(trials, "max") == []


def test_figures_are_saved_as_png(tmp_path):
    paths = save_trial_figures(search(), "accuracy", "max", tmp_path / "figures")
    names = ["learning-curves.png", "fold-boxes.png", "optimization-history.png", "ranking.png"]
    assert [path.name for path in paths] == names
    assert all(imread(path).std() > 0.01 for path in paths)


def test_pruned_trials_are_drawn_as_thin_gray_lines():
    trials = search()
    stopped = [trial for trial in trials if trial.state == "PRUNED"]
    axes = plot_learning_curves(trials, "accuracy", "max").axes[0]
    assert any(f"gray: {len(stopped)} trials stopped early" in text.get_text() for text in axes.texts)
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    assert [line.get_ydata().tolist() for line in thin] == [np.mean(trial.curve, axis=1).tolist() for trial in stopped]
    assert len(axes.get_legend().get_texts()) == 5, "only the best trials are in the legend"
    whole = plot_learning_curves([trial for trial in trials if trial.state != "PRUNED"], "accuracy", "max").axes[0]
    assert not any("gray" in text.get_text() for text in whole.texts)


def test_the_score_on_training_rows_is_a_dashed_line_where_it_was_measured():
    """The training scores of the best trial are measured after epochs 2 and 4, and lie above all others."""
    trials = [PlottedTrial(n, "COMPLETE", 0.9 - 0.1 * n, [[0.5 - 0.1 * n, 0.7 - 0.1 * n]] * 5) for n in range(2)]
    training = [[], [0.9, 1.0], [math.nan, 1.0], [1.0, 1.0], []]
    axes = plot_learning_curves([replace(trials[0], training_curve=training), trials[1]], "accuracy", "max").axes[0]
    solid = [line for line in axes.get_lines() if len(line.get_xdata()) == 5]
    (dashed,) = [line for line in axes.get_lines() if line.is_dashed() and len(line.get_xdata())]
    assert dashed.get_xdata().tolist() == [2, 4]
    assert dashed.get_ydata().tolist() == [0.95, 1.0]
    assert dashed.get_color() == solid[0].get_color() != solid[1].get_color()
    assert axes.get_ylim()[1] >= 1.0
    assert any("dashed" in text.get_text() for text in axes.texts)
    for without in (trials, [replace(trial, training_curve=[[]] * 5) for trial in trials]):
        axes = plot_learning_curves(without, "accuracy", "max").axes[0]
        assert not any("dashed" in text.get_text() for text in axes.texts)
        assert not any(line.is_dashed() and len(line.get_xdata()) for line in axes.get_lines())


GOALS = {"accuracy": "max", "parameters": "min"}


def trials_with(*values, state="COMPLETE"):
    return [PlottedTrial(n, state, v[0], [], {}, v) for n, v in enumerate(values)]


def test_pareto_front_is_marked_and_joined_by_steps():
    """Trial 0 dominates trial 1; trials 0 and 4 are equal."""
    trials = trials_with((0.8, 100.0), (0.7, 200.0), (0.9, 300.0), (0.5, 50.0), (0.8, 100.0))
    axes = plot_pareto_front(trials, GOALS).axes[0]
    front = next(points for points in axes.collections if points.get_label() == "Pareto front").get_offsets().tolist()
    assert front == [[50.0, 0.5], [100.0, 0.8], [100.0, 0.8], [300.0, 0.9]]
    assert [text.get_text() for text in axes.texts][:3] == ["3", "0, 4", "2"]
    assert any("4 of 5 complete trials" in text.get_text() for text in axes.texts)
    (step,) = axes.get_lines()
    assert step.get_drawstyle() == "steps-post"  # up to 300 parameters, trial 0 has the best accuracy
    assert "← better" in axes.get_xlabel()
    assert "↑ better" in axes.get_ylabel()
    swapped = [replace(trial, values=trial.values[::-1]) for trial in trials]
    axes = plot_pareto_front(swapped, {"parameters": "min", "accuracy": "max"}).axes[0]
    assert axes.get_lines()[0].get_drawstyle() == "steps-pre"
    assert ("→ better" in axes.get_xlabel(), "↓ better" in axes.get_ylabel()) == (True, True)


def test_pareto_front_shows_every_value_of_the_x_axis():
    trials = trials_with(*((0.5 + 0.1 * n, 10.0**n) for n in range(1, 5)))
    axes = plot_pareto_front(trials, GOALS).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] < 10 < 10_000 < axes.get_xlim()[1]
    assert plot_pareto_front(trials_with((0.5, 0.0), (0.6, 10.0)), GOALS).axes[0].get_xscale() == "linear"


def test_pareto_front_is_shown_completely_and_accuracy_has_a_linear_scale():
    """Twenty trials are near the top, and the smallest network, also on the front, is far below them."""
    trials = trials_with((0.05, 10.0), (0.4, 500.0), *((0.95 + 0.001 * n, 1000.0) for n in range(20)))
    axes = plot_pareto_front(trials, GOALS).axes[0]
    assert axes.get_ylim()[0] < 0.05
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")


@pytest.mark.parametrize(
    "trials",
    [
        [],
        trials_with((0.5, 100.0)),
        trials_with((0.5, 100.0), (0.5, 100.0)),
        trials_with((math.inf, 1.0), (0.5, math.nan)),
        trials_with((0.5, 1.0, 2.0), (0.6, 2.0, 1.0)),
        trials_with((0.5, 1.0), state="INFEASIBLE"),
        [PlottedTrial(0, "FAIL", None), PlottedTrial(1, "COMPLETE", 0.5)],
    ],
)
def test_pareto_front_of_few_trials(trials):
    for goal in ("min", "max"):
        plot_pareto_front(trials, {"accuracy": "max", "parameters": goal, "loss": "min"}).canvas.draw()


def test_several_metrics_have_a_pareto_front(tmp_path):
    paths = save_trial_figures(
        trials_with((0.5, 100.0), (0.6, 200.0)), "accuracy", "max", tmp_path, {"parameters": "min"}
    )
    assert [path.stem for path in paths][-1] == "pareto-front"
    assert imread(paths[-1]).std() > 0.01


@pytest.mark.parametrize(("goal", "extreme"), [("max", max), ("min", min)])
def test_best_trials_are_shown_best_first(goal, extreme):
    trials = search()
    legend = plot_learning_curves(trials, "accuracy", goal, best=4).axes[0].get_legend()
    best = extreme((t for t in trials if t.state == "COMPLETE"), key=lambda trial: trial.value)
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 4
    assert names[0].endswith(f"trial {best.number}")
    ticks = plot_fold_scores(trials, "accuracy", goal, best=4).axes[0].get_xticklabels()
    assert ticks[0].get_text() == str(best.number)


def test_y_axis_shows_the_range_in_which_trials_differ():
    low, high = plot_learning_curves(search(), "accuracy", "max").axes[0].get_ylim()
    assert 0.5 < low < 0.96 < high < 1.05


@pytest.mark.parametrize(("goal", "sign"), [("max", 1), ("min", -1)])
def test_a_few_far_worse_trials_are_outside_the_range(goal, sign):
    values = sign * np.array([0.1, *np.linspace(0.95, 0.97, 20)])
    low, high = score_range(values, goal)
    assert high - low < 0.1


def test_best_score_so_far_never_gets_worse():
    for goal, sign in (("max", 1), ("min", -1)):
        step = plot_optimization_history(search(), "accuracy", goal).axes[0].get_lines()[0]
        assert (sign * np.diff(step.get_ydata()) >= 0).all()


def grid(optimizers=("SGD", "Adam", "AdaGrad", "RMSprop"), rates=(0.01, 0.1, 1), sizes=(16, 128)):
    """A trial with 5 folds per combination: the optimizer matters most, the batch size least."""
    trials = []
    for index, optimizer in enumerate(optimizers):
        for rate in rates:
            for size in sizes:
                value = 0.5 + 0.1 * index + 0.05 * math.log10(rate) + 1e-5 * size
                parameters = {"optimizer": optimizer, f"optimizer.{optimizer}.lr": rate, "training.batch_size": size}
                curve = [[value - 0.1] * 5, [value + 0.001 * fold for fold in range(-2, 3)]]
                trials.append(PlottedTrial(len(trials), "COMPLETE", value, curve, parameters))
    return trials


def labels(figure, minor=False):
    return [label.get_text().strip() for label in figure.axes[0].get_xticklabels(minor=minor)]


def test_box_has_the_folds_of_all_trials_with_its_value():
    grouped = group_by_value(grid(), "optimizer", "max")
    assert [group.label for group in grouped.groups] == ["SGD", "Adam", "AdaGrad", "RMSprop"]
    assert [(group.complete, len(group.scores)) for group in grouped.groups] == [(6, 30)] * 4
    best = [trial.curve[1] for trial in grid() if trial.parameters["optimizer"] == "Adam"]
    assert sorted(grouped.groups[1].scores) == sorted(np.ravel(best))
    figure = plot_parameter_scores(grid(), "optimizer", "accuracy", "max")
    assert labels(figure) == ["SGD", "Adam", "AdaGrad", "RMSprop"]
    assert labels(figure, minor=True) == ["6 trials"] * 4


def test_one_trial_per_value_is_a_box_of_its_folds():
    grouped = group_by_value(grid(rates=(0.1,), sizes=(16,)), "optimizer", "max")
    assert [(group.complete, len(group.scores)) for group in grouped.groups] == [(1, 5)] * 4


def test_numbers_are_sorted_and_other_values_follow_in_order_of_appearance():
    values = [100, "none", 0.5, 20, "all", 100.0, None, True]
    trials = [PlottedTrial(n, "COMPLETE", 0.1 * n, [], {"x": value}) for n, value in enumerate(values)]
    labels = [group.label for group in group_by_value(trials, "x", "max").groups]
    assert labels == ["0.5", "20", "100", "none", "all", "None", "True"]


def test_different_numbers_have_different_labels():
    values = [0.12345678, 0.12345679, 20480, 1e-5]
    trials = [PlottedTrial(n, "COMPLETE", 0.1, [], {"x": value}) for n, value in enumerate(values)]
    assert len(group_by_value(trials, "x", "max").groups) == 4
    assert group_by_value(trials[2:], "x", "max").groups[1].label == "20480"


def test_many_numbers_are_divided_into_five_ranges():
    rates = np.random.default_rng(0).permutation(np.geomspace(1e-4, 1, 41))
    trials = [PlottedTrial(n, "COMPLETE", rate, [[rate] * 3], {"opt.lr": float(rate)}) for n, rate in enumerate(rates)]
    groups = group_by_value(trials, "lr", "max").groups
    assert sorted(group.complete for group in groups) == [8, 8, 8, 8, 9]
    for group, following in pairwise(groups):
        assert group.scores.max() < following.scores.min()
        first, last = (float(number) for number in group.label.split(" – "))  # noqa: RUF001
        assert first == pytest.approx(group.scores.min(), rel=0.005)
        assert last == pytest.approx(group.scores.max(), rel=0.005)


def test_last_part_of_a_path_pools_the_parameters_of_several_optimizers():
    groups = group_by_value(grid(), "lr", "max").groups
    assert [(group.label, group.complete) for group in groups] == [("0.01", 8), ("0.1", 8), ("1", 8)]
    assert [group.complete for group in group_by_value(grid(), "optimizer.Adam.lr", "max").groups] == [2, 2, 2]


def test_trials_that_are_not_shown_are_counted():
    states = {0: "FAIL", 1: "FAIL", 2: "PRUNED"}
    trials = [replace(trial, state=states.get(trial.number, "COMPLETE")) for trial in grid(rates=(0.1, 1))]
    figure = plot_parameter_scores(trials, "optimizer.SGD.lr", "accuracy", "max")
    assert labels(figure, minor=True) == ["0 trials\n2 failed", "2 trials\n1 pruned"]
    assert "12 trials without lr" in texts(figure)
    assert "left out" not in texts(plot_parameter_scores(grid(), "optimizer", "accuracy", "max"))


def test_pruned_trials_are_in_the_boxes_at_equal_epochs():
    """SGD is the best optimizer, and its bad trials are trained on; of Adam, only the best trial is."""
    rising = lambda first, last: [[first] * 2, [last] * 2]  # noqa: E731
    curves = {"SGD": [rising(0.6, 0.99), rising(0.5, 0.6)], "Adam": [rising(0.55, 0.9), *[[[0.1] * 2]] * 10]}
    trials = [
        PlottedTrial(
            10 * place + number, "COMPLETE" if len(curve) > 1 else "PRUNED", curve[-1][0], curve, {"opt": name}
        )
        for place, (name, found) in enumerate(curves.items())
        for number, curve in enumerate(found)
    ]
    sgd, adam = group_by_value(trials, "opt", "max").groups
    assert (sgd.complete, sgd.pruned, adam.complete, adam.pruned) == (2, 0, 1, 10)
    assert sgd.scores.tolist() == [0.6, 0.6, 0.5, 0.5]
    assert np.median(adam.scores) == 0.1
    axes = plot_parameter_scores(trials, "opt", "accuracy", "max").axes[0]
    hollow = [points for points in axes.collections if not len(points.get_facecolor())]
    assert sum(len(points.get_offsets()) for points in hollow) == 20
    assert "until epoch 1" in axes.get_ylabel()


def texts(figure):
    return "\n".join(text.get_text() for text in figure.axes[0].texts)


def test_long_labels_are_slanted():
    for names, slant in ((("red", "blue"), 0), ([f"CosineDecay{n}" for n in range(12)], 25)):
        figure = plot_parameter_scores(grid(names), "optimizer", "accuracy", "max")
        assert [label.get_rotation() for label in figure.axes[0].get_xticklabels()] == [slant] * len(names)


def test_all_boxes_are_shown_and_very_different_losses_have_a_log_scale():
    trials = [PlottedTrial(n, "COMPLETE", v, [], {"lr": n % 2}) for n, v in enumerate([100.0, 9e4, 110.0, 8e4] * 3)]
    axes = plot_parameter_scores(trials, "lr", "perplexity", "min").axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] < 100 < 9e4 < axes.get_ylim()[1]
    assert plot_parameter_scores(grid(), "lr", "loss", "min").axes[0].get_yscale() == "linear"


def test_parameters_whose_values_recur_are_plotted():
    assert parameters_to_plot(grid(), "max") == ["optimizer", "lr", "training.batch_size"]
    assert parameters_to_plot(grid(rates=(0.1,)), "max") == ["optimizer", "training.batch_size"]
    assert parameters_to_plot(grid(("SGD",), sizes=(16,)), "max") == []  # three trials are too few
    assert parameters_to_plot(grid(("SGD", "Adam"), rates=(0.1,), sizes=(16,)), "max") == ["optimizer"]
    assert parameters_to_plot(grid(("SGD",), (0.1, 0.2, 0.3, 0.4), sizes=(16,)), "max") == ["optimizer.SGD.lr"]
    assert parameters_to_plot([], "max") == []


def test_parameters_sampled_from_a_range_are_not_plotted():
    generator = np.random.default_rng(0)
    trials = [
        replace(trial, parameters={**trial.parameters, "dropout": generator.random()}) for trial in grid(sizes=(16,))
    ]
    assert parameters_to_plot(trials, "max") == ["optimizer", "lr"]


def test_two_parameters_of_one_trial_are_not_pooled():
    trials = [
        PlottedTrial(n, "COMPLETE", 0.1 * n, [], {"encoder.hidden": 8 * (n % 2), "decoder.hidden": 8 * (n % 3)})
        for n in range(6)
    ]
    assert sorted(parameters_to_plot(trials, "max")) == ["decoder.hidden", "encoder.hidden"]


def test_a_figure_is_saved_for_each_parameter_to_plot(tmp_path):
    names = [path.name for path in save_trial_figures(grid(), "accuracy", "max", tmp_path)]
    assert [name for name in names if name.startswith("by-")] == [
        "by-optimizer.png",
        "by-lr.png",
        "by-training.batch_size.png",
    ]
    assert all(imread(tmp_path / name).std() > 0.01 for name in names)

"""The pictures: drawn from plain values, also from few, one or none."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.image import imread

from searchlab.reporting.figures import (
    TrialCurve,
    fold_boxes,
    learning_curves,
    optimization_history,
    parameter_boxes,
    pareto_front,
    save_figures,
    worth_boxes,
)
from searchlab.reporting.figures.grouping import by_value
from searchlab.reporting.style import spread_of

DRAW = (learning_curves, fold_boxes, optimization_history)


def sweep(count=30, folds=5, epochs=20):
    """Trials of an accuracy search: most end near the top, every fifth is pruned, every eleventh diverges."""
    random, trials = np.random.default_rng(1), []
    for number in range(count):
        top, pace = 0.98 - abs(random.normal(0, 0.02)), random.uniform(1, 4)
        rise = top - 0.8 * np.exp(-np.arange(1, epochs + 1) / pace)
        curve = (rise[:, None] + random.normal(0, 0.004, (epochs, folds))).tolist()
        state = "FAIL" if number % 11 == 10 else "PRUNED" if number % 5 == 4 else "COMPLETE"
        curve = [*curve[:2], [math.nan] * folds] if state == "FAIL" else curve[:5] if state == "PRUNED" else curve
        trials.append(TrialCurve(number, state, None if state == "FAIL" else max(map(np.mean, curve)), curve))
    return trials


FEW = {
    "none": [],
    "one": [TrialCurve(0, "COMPLETE", 0.9, [[0.8, 0.9], [0.9, 0.9]])],
    "one fold, one epoch": [TrialCurve(3, "COMPLETE", 0.5, [[0.5]])],
    "all failed": [TrialCurve(n, "FAIL", None, [[math.nan, 0.1]]) for n in range(3)],
    "all pruned": [TrialCurve(n, "PRUNED", 0.1 * n, [[0.1 * n] * 3]) for n in range(3)],
    "all equal": [TrialCurve(n, "COMPLETE", 1.0, [[1.0] * 3] * 4) for n in range(4)],
    "no curves": [TrialCurve(n, "COMPLETE", 0.1 * n) for n in range(4)],
    "infinite": [TrialCurve(0, "COMPLETE", math.inf, [[math.inf, 1.0]]), TrialCurve(1, "FAIL", math.nan, [])],
    "nothing finite in the curve": [TrialCurve(0, "COMPLETE", 1.0, [[math.nan, math.inf]] * 2)],
}


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("trials", FEW.values(), ids=FEW)
def test_few_trials_make_a_picture(trials, goal):
    for draw in DRAW:
        draw(trials, "accuracy", goal).canvas.draw()


@pytest.mark.parametrize("trials", FEW.values(), ids=FEW)
@pytest.mark.parametrize(("value", "goal"), [(0.1, "max"), ("Adam", "min"), (math.nan, "max"), (None, "min")])
def test_few_trials_make_boxes(trials, value, goal):
    trials = [replace(trial, parameters={"lr": value}) for trial in trials]
    parameter_boxes(trials, "lr", "accuracy", goal).canvas.draw()
    parameter_boxes(trials, "unheard", "accuracy", goal)
    assert worth_boxes(trials) == []


def test_pictures_are_saved_as_png(tmp_path):
    paths = save_figures(sweep(), "accuracy", "max", tmp_path / "pictures")
    assert [path.name for path in paths] == ["learning-curves.png", "fold-boxes.png", "optimization-history.png"]
    assert all(imread(path).std() > 0.01 for path in paths)


def test_stopped_trials_are_told_and_drawn_behind_the_best():
    trials = sweep()
    stopped = [trial for trial in trials if trial.state == "PRUNED"]
    axes = learning_curves(trials, "accuracy", "max").axes[0]
    assert any(f"grey: {len(stopped)} trials stopped early" in text.get_text() for text in axes.texts)
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    assert [line.get_ydata().tolist() for line in thin] == [np.mean(trial.curve, axis=1).tolist() for trial in stopped]
    assert len(axes.get_legend().get_texts()) == 5, "they have no names"
    whole = learning_curves([trial for trial in trials if trial.state != "PRUNED"], "accuracy", "max").axes[0]
    assert not any("grey" in text.get_text() for text in whole.texts)


GOALS = {"accuracy": "max", "weights": "min"}


def traded(*values, state="COMPLETE"):
    return [TrialCurve(n, state, v[0], [], {}, v) for n, v in enumerate(values)]


def test_the_front_is_marked_and_joined_by_steps():
    """Trial 1 has less accuracy than trial 0 at more weights; trials 0 and 4 are equal."""
    trials = traded((0.8, 100.0), (0.7, 200.0), (0.9, 300.0), (0.5, 50.0), (0.8, 100.0))
    axes = pareto_front(trials, GOALS).axes[0]
    front = next(dots for dots in axes.collections if dots.get_label() == "on the front").get_offsets().tolist()
    assert front == [[50.0, 0.5], [100.0, 0.8], [100.0, 0.8], [300.0, 0.9]]
    assert [text.get_text() for text in axes.texts][:3] == ["3", "0, 4", "2"]
    assert any("4 of 5 complete trials are on it" in text.get_text() for text in axes.texts)
    (step,) = axes.get_lines()
    assert step.get_drawstyle() == "steps-post"  # with 200 weights one has the accuracy of trial 0
    assert "← better" in axes.get_xlabel()
    assert "↑ better" in axes.get_ylabel()
    swapped = [replace(trial, values=trial.values[::-1]) for trial in trials]
    axes = pareto_front(swapped, {"weights": "min", "accuracy": "max"}).axes[0]
    assert axes.get_lines()[0].get_drawstyle() == "steps-pre"
    assert ("→ better" in axes.get_xlabel(), "↓ better" in axes.get_ylabel()) == (True, True)


def test_all_sizes_are_in_the_picture_of_the_front():
    trials = traded(*((0.5 + 0.1 * n, 10.0**n) for n in range(1, 5)))
    axes = pareto_front(trials, GOALS).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] < 10 < 10_000 < axes.get_xlim()[1]
    assert pareto_front(traded((0.5, 0.0), (0.6, 10.0)), GOALS).axes[0].get_xscale() == "linear"


def test_the_front_is_in_the_picture_whole_and_an_accuracy_is_on_no_log_scale():
    """Twenty trials near the top, and the smallest network far below them: on the front all the same."""
    trials = traded((0.05, 10.0), (0.4, 500.0), *((0.95 + 0.001 * n, 1000.0) for n in range(20)))
    axes = pareto_front(trials, GOALS).axes[0]
    assert axes.get_ylim()[0] < 0.05
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")


@pytest.mark.parametrize(
    "trials",
    [
        [],
        traded((0.5, 100.0)),
        traded((0.5, 100.0), (0.5, 100.0)),
        traded((math.inf, 1.0), (0.5, math.nan)),
        traded((0.5, 1.0, 2.0), (0.6, 2.0, 1.0)),
        traded((0.5, 1.0), state="INFEASIBLE"),
        [TrialCurve(0, "FAIL", None), TrialCurve(1, "COMPLETE", 0.5)],
    ],
)
def test_few_trials_make_a_front(trials):
    for across in ("min", "max"):
        pareto_front(trials, {"accuracy": "max", "weights": across, "doubt": "min"}).canvas.draw()


def test_several_metrics_have_one_picture_more(tmp_path):
    paths = save_figures(traded((0.5, 100.0), (0.6, 200.0)), "accuracy", "max", tmp_path, {"weights": "min"})
    assert [path.stem for path in paths][-1] == "pareto-front"
    assert imread(paths[-1]).std() > 0.01


@pytest.mark.parametrize(("goal", "extreme"), [("max", max), ("min", min)])
def test_the_best_trials_are_shown_best_first(goal, extreme):
    trials = sweep()
    legend = learning_curves(trials, "accuracy", goal, best=4).axes[0].get_legend()
    best = extreme((t for t in trials if t.state == "COMPLETE"), key=lambda trial: trial.value)
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 4
    assert names[0].endswith(f"trial {best.number}")
    ticks = fold_boxes(trials, "accuracy", goal, best=4).axes[0].get_xticklabels()
    assert ticks[0].get_text() == str(best.number)


def test_the_scale_shows_what_differs():
    low, high = learning_curves(sweep(), "accuracy", "max").axes[0].get_ylim()
    assert 0.5 < low < 0.96 < high < 1.05


@pytest.mark.parametrize(("goal", "sign"), [("max", 1), ("min", -1)])
def test_a_few_hopeless_trials_do_not_squeeze_the_others(goal, sign):
    values = sign * np.array([0.1, *np.linspace(0.95, 0.97, 20)])
    low, high = spread_of(values, goal)
    assert high - low < 0.1


def test_the_best_so_far_never_gets_worse():
    for goal, order in (("max", 1), ("min", -1)):
        step = optimization_history(sweep(), "accuracy", goal).axes[0].get_lines()[0]
        assert (order * np.diff(step.get_ydata()) >= 0).all()


def grid(optimizers=("SGD", "Adam", "AdaGrad", "RMSprop"), rates=(0.01, 0.1, 1), sizes=(16, 128)):
    """A trial per combination, of 5 folds: the optimizer matters most, the batch size least."""
    trials = []
    for nth, optimizer in enumerate(optimizers):
        for rate in rates:
            for size in sizes:
                value = 0.5 + 0.1 * nth + 0.05 * math.log10(rate) + 1e-5 * size
                parameters = {"optimizer": optimizer, f"optimizer.{optimizer}.lr": rate, "training.batch_size": size}
                curve = [[value - 0.1] * 5, [value + 0.001 * fold for fold in range(-2, 3)]]
                trials.append(TrialCurve(len(trials), "COMPLETE", value, curve, parameters))
    return trials


def labels(figure, minor=False):
    return [label.get_text().strip() for label in figure.axes[0].get_xticklabels(minor=minor)]


def test_a_box_holds_the_folds_of_all_trials_with_its_value():
    grouping = by_value(grid(), "optimizer", "max")
    assert [group.label for group in grouping.groups] == ["SGD", "Adam", "AdaGrad", "RMSprop"]
    assert [(group.complete, len(group.points)) for group in grouping.groups] == [(6, 30)] * 4
    best = [trial.curve[1] for trial in grid() if trial.parameters["optimizer"] == "Adam"]
    assert sorted(grouping.groups[1].points) == sorted(np.ravel(best))
    figure = parameter_boxes(grid(), "optimizer", "accuracy", "max")
    assert labels(figure) == ["SGD", "Adam", "AdaGrad", "RMSprop"]
    assert labels(figure, minor=True) == ["6 trials"] * 4


def test_one_trial_per_value_is_a_box_of_its_folds():
    grouping = by_value(grid(rates=(0.1,), sizes=(16,)), "optimizer", "max")
    assert [(group.complete, len(group.points)) for group in grouping.groups] == [(1, 5)] * 4


def test_numbers_stand_by_size_and_words_as_they_come():
    values = [100, "none", 0.5, 20, "all", 100.0, None, True]
    trials = [TrialCurve(n, "COMPLETE", 0.1 * n, [], {"x": value}) for n, value in enumerate(values)]
    found = [group.label for group in by_value(trials, "x", "max").groups]
    assert found == ["0.5", "20", "100", "none", "all", "None", "True"]


def test_numbers_that_differ_are_told_apart():
    values = [0.12345678, 0.12345679, 20480, 1e-5]
    trials = [TrialCurve(n, "COMPLETE", 0.1, [], {"x": value}) for n, value in enumerate(values)]
    assert len(by_value(trials, "x", "max").groups) == 4
    assert by_value(trials[2:], "x", "max").groups[1].label == "20480"


def test_many_numbers_are_cut_into_five_ranges():
    rates = np.random.default_rng(0).permutation(np.geomspace(1e-4, 1, 41))
    trials = [TrialCurve(n, "COMPLETE", rate, [[rate] * 3], {"opt.lr": float(rate)}) for n, rate in enumerate(rates)]
    groups = by_value(trials, "lr", "max").groups
    assert sorted(group.complete for group in groups) == [8, 8, 8, 8, 9]
    for group, following in pairwise(groups):
        assert group.points.max() < following.points.min()
        first, last = (float(number) for number in group.label.split(" – "))  # noqa: RUF001
        assert first == pytest.approx(group.points.min(), rel=0.005)
        assert last == pytest.approx(group.points.max(), rel=0.005)


def test_the_last_word_pools_what_is_a_parameter_of_several():
    groups = by_value(grid(), "lr", "max").groups
    assert [(group.label, group.complete) for group in groups] == [("0.01", 8), ("0.1", 8), ("1", 8)]
    assert [group.complete for group in by_value(grid(), "optimizer.Adam.lr", "max").groups] == [2, 2, 2]


def test_who_is_not_in_the_picture_is_counted():
    states = {0: "FAIL", 1: "FAIL", 2: "PRUNED"}
    trials = [replace(trial, state=states.get(trial.number, "COMPLETE")) for trial in grid(rates=(0.1, 1))]
    figure = parameter_boxes(trials, "optimizer.SGD.lr", "accuracy", "max")
    assert labels(figure, minor=True) == ["0 trials\n2 failed", "1 trial"]
    assert "12 without lr, 1 pruned" in texts(figure)
    assert "left out" not in texts(parameter_boxes(grid(), "optimizer", "accuracy", "max"))


def texts(figure):
    return "\n".join(text.get_text() for text in figure.axes[0].texts)


def test_long_names_are_slanted_and_short_ones_are_not():
    for names, slant in ((("red", "blue"), 0), ([f"CosineDecay{n}" for n in range(12)], 25)):
        figure = parameter_boxes(grid(names), "optimizer", "accuracy", "max")
        assert [label.get_rotation() for label in figure.axes[0].get_xticklabels()] == [slant] * len(names)


def test_all_boxes_are_in_view_and_far_losses_take_a_log_scale():
    trials = [TrialCurve(n, "COMPLETE", v, [], {"lr": n % 2}) for n, v in enumerate([100.0, 9e4, 110.0, 8e4] * 3)]
    axes = parameter_boxes(trials, "lr", "perplexity", "min").axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] < 100 < 9e4 < axes.get_ylim()[1]
    assert parameter_boxes(grid(), "lr", "loss", "min").axes[0].get_yscale() == "linear"


def test_worth_a_picture_is_what_was_compared():
    assert worth_boxes(grid()) == ["optimizer", "lr", "training.batch_size"]
    assert worth_boxes(grid(rates=(0.1,))) == ["optimizer", "training.batch_size"]
    assert worth_boxes(grid(("SGD",), sizes=(16,))) == []  # three numbers are too few
    assert worth_boxes(grid(("SGD", "Adam"), rates=(0.1,), sizes=(16,))) == ["optimizer"]
    assert worth_boxes(grid(("SGD",), (0.1, 0.2, 0.3, 0.4), sizes=(16,))) == ["optimizer.SGD.lr"]
    assert worth_boxes([]) == []


def test_what_was_drawn_from_a_range_is_not_worth_a_picture():
    random = np.random.default_rng(0)
    drawn = [replace(trial, parameters={**trial.parameters, "dropout": random.random()}) for trial in grid(sizes=(16,))]
    assert worth_boxes(drawn) == ["optimizer", "lr"]


def test_two_parameters_of_a_trial_are_never_pooled():
    trials = [
        TrialCurve(n, "COMPLETE", 0.1 * n, [], {"encoder.hidden": 8 * (n % 2), "decoder.hidden": 8 * (n % 3)})
        for n in range(6)
    ]
    assert sorted(worth_boxes(trials)) == ["decoder.hidden", "encoder.hidden"]


def test_a_picture_for_each_parameter_worth_it_is_saved(tmp_path):
    names = [path.name for path in save_figures(grid(), "accuracy", "max", tmp_path)]
    assert names[3:] == ["by-optimizer.png", "by-lr.png", "by-training.batch_size.png"]
    assert all(imread(tmp_path / name).std() > 0.01 for name in names)

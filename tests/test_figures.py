"""The pictures: drawn from plain values, also from few, one or none."""

import math

import numpy as np
import pytest
from matplotlib.image import imread

from searchlab.tracking.drawing import spread_of
from searchlab.tracking.figures import (
    TrialCurve,
    fold_boxes,
    learning_curves,
    optimisation_history,
    save_figures,
)

DRAW = (learning_curves, fold_boxes, optimisation_history)


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


def test_pictures_are_saved_as_png(tmp_path):
    paths = save_figures(sweep(), "accuracy", "max", tmp_path / "pictures")
    assert [path.name for path in paths] == ["learning-curves.png", "fold-boxes.png", "optimisation-history.png"]
    assert all(imread(path).std() > 0.01 for path in paths)


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
        step = optimisation_history(sweep(), "accuracy", goal).axes[0].get_lines()[0]
        assert (order * np.diff(step.get_ydata()) >= 0).all()

"""Pruners of Optuna: they decide in a sweep as they do in Optuna's own loop."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from searchlab import Halving, OptunaPruner
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.replay import replay
from searchlab.study.optuna_pruners import create_stopping_rule
from tests.learning_curves import noisy_scores


def test_a_pruner_of_searchlab_is_its_own_stopping_rule():
    assert create_stopping_rule(Halving(), "max") == Halving()


def test_an_optuna_pruner_cannot_decide_outside_a_study():
    with pytest.raises(TypeError, match="create_stopping_rule"):
        OptunaPruner(optuna.pruners.MedianPruner()).stop_reason(LearningCurves("max"), 0)


def last_epochs_in_optuna(pruner, goal, curves):
    """Return the last epoch of each trial in Optuna's own loop over the means of these curves, trial by trial."""
    study = optuna.create_study(
        study_name="searchlab", pruner=pruner, direction={"max": "maximize", "min": "minimize"}[goal]
    )
    last_epochs = []
    for scores in curves:
        trial, means = study.ask(), scores.mean(axis=1)
        for epoch, mean in enumerate(means.tolist(), start=1):
            trial.report(mean, epoch)
            if epoch < len(scores) and trial.should_prune():
                break
        last_epochs.append(epoch)
        if epoch == len(scores):
            study.tell(trial, float(means.max() if goal == "max" else means.min()))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return last_epochs


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize(
    "build",
    [
        lambda: optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        lambda: optuna.pruners.PercentilePruner(30.0, n_startup_trials=3),
        lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        lambda: optuna.pruners.SuccessiveHalvingPruner(),
        lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
        lambda: optuna.pruners.HyperbandPruner(),
        lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.2),
        lambda: optuna.pruners.ThresholdPruner(lower=0.3, upper=0.9),
        lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(), patience=2),
        lambda: optuna.pruners.NopPruner(),
    ],
    ids=["median", "percentile", "halving", "halving auto", "hyperband", "hyperband auto", "wilcoxon", "threshold",
         "patient", "none"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_optuna_pruner_decides_as_in_the_loop_of_optuna(build, goal):
    draws = np.random.default_rng(5)
    levels = draws.uniform(0.2, 0.9, 40)
    scores = noisy_scores(draws, levels, epochs=9, folds=3) * (1.0 - 0.8 ** np.arange(1, 10))[None, :, None]
    expected = last_epochs_in_optuna(build(), goal, scores)
    rule = create_stopping_rule(OptunaPruner(build()), goal)
    result = replay(dict(enumerate(scores)), goal, rule, range(40))
    assert [result.stopped.get(trial, 9) for trial in range(40)] == expected


def last_epochs_in_generations(build, scores, order, *, restarts):
    """Return the last epoch of each trial of a reproducible search in generations of 5, trained in this order.

    A trial is compared with those of earlier generations. With `restarts`, each generation has a rule of its own, as a
    search that is killed before each of them.
    """
    curves, starts, rule = LearningCurves("max"), {}, None
    for start in range(0, len(scores), 5):
        starts |= dict.fromkeys(range(start, start + 5), start)
        if rule is None or restarts:
            rule = create_stopping_rule(OptunaPruner(build()), "max", starts)
        for trial in [start + position for position in order]:
            compared = curves.subset(range(start))
            for number, epoch_scores in enumerate(scores[trial].tolist(), start=1):
                curves.add_epoch(trial, epoch_scores)
                compared.add_epoch(trial, epoch_scores)
                if number < len(scores[trial]) and rule.stop_reason(compared, trial):
                    break
            else:
                curves.mark_finished(trial)
    return [curves.last_epoch(trial) for trial in range(len(scores))]


@pytest.mark.parametrize("build", [
    optuna.pruners.SuccessiveHalvingPruner, optuna.pruners.HyperbandPruner,
    lambda: optuna.pruners.MedianPruner(n_startup_trials=3),
])  # fmt: skip
def test_a_reproducible_search_may_be_killed_and_train_in_any_order(build):
    draws = np.random.default_rng(5)
    levels = draws.uniform(0.2, 0.9, 60)
    scores = noisy_scores(draws, levels, epochs=9, folds=2) * (1.0 - 0.8 ** np.arange(1, 10))[None, :, None]
    expected = last_epochs_in_generations(build, scores, range(5), restarts=False)
    assert min(expected) < 9
    assert last_epochs_in_generations(build, scores, (3, 1, 4, 0, 2), restarts=True) == expected


def test_an_optuna_pruner_sees_only_the_trials_of_the_curves_it_is_given():
    pruner = OptunaPruner(optuna.pruners.MedianPruner(n_startup_trials=3))
    curves = LearningCurves("max")
    for trial in range(6):
        for _ in range(3):
            curves.add_epoch(trial, [float(trial)])
        if trial < 5:
            curves.mark_finished(trial)
    curves.add_epoch(9, [1.5])
    rule = create_stopping_rule(pruner, "max")
    assert "MedianPruner" in rule.stop_reason(curves, 9)
    assert rule.stop_reason(curves.subset([0, 1, 9]), 9) is None, "two trials are fewer than n_startup_trials"

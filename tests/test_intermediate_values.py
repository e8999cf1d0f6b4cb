"""Intermediate values: a curve of each trial for optuna-dashboard; samplers see pruned trials as before."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from searchlab.runs.trials import LearningCurve
from searchlab.study import intermediate_values
from searchlab.study.intermediate_values import report_curve
from searchlab.study.storage.opening import open_read_only
from tests.jobs import run
from tests.sweeps import spiral_sweep


@pytest.fixture
def trial():
    """An open trial of a study in memory."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize").ask()


def curve_of(*means):
    return LearningCurve(scores=[[mean - 0.25, mean + 0.25] for mean in means])


def reported(trial):
    return trial.study.trials[trial.number].intermediate_values


def test_a_short_curve_is_reported_completely(trial):
    report_curve(trial, 0, curve_of(0.25, 0.5, 0.75))
    assert reported(trial) == {1: 0.25, 2: 0.5, 3: 0.75}


def test_a_long_curve_has_six_points_from_its_first_epoch_to_its_last(trial):
    report_curve(trial, 0, curve_of(*np.arange(1, 101)))
    steps = list(reported(trial))
    assert (len(steps), steps[0], steps[-1]) == (6, 1, 100)
    assert all(value == step for step, value in reported(trial).items())


def test_the_last_value_of_a_pruned_trial_is_its_best(trial):
    """It is what TPE and CMA-ES take as the value of the trial."""
    report_curve(trial, 0, curve_of(0.25, 0.75, 0.5), pruned_value=0.75)
    assert reported(trial) == {1: 0.25, 2: 0.75, 3: 0.75}


def test_after_many_trials_only_the_value_of_a_pruned_one_is_reported(trial):
    report_curve(trial, intermediate_values.MAX_CURVES, curve_of(0.25, 0.5))
    assert reported(trial) == {}
    report_curve(trial, intermediate_values.MAX_CURVES, curve_of(0.75, 0.5), pruned_value=0.75)
    assert reported(trial) == {2: 0.75}


def test_values_that_are_not_finite_are_left_out_and_reporting_again_is_silent(trial):
    with warnings.catch_warnings(action="error"):
        report_curve(trial, 0, curve_of(float("nan"), 0.5))
        report_curve(trial, 0, curve_of(float("nan"), 0.5))
    assert reported(trial) == {2: 0.5}


def test_complete_trials_of_a_sweep_have_intermediate_values(tmp_path):
    result = run(spiral_sweep(trials=3, epochs=4), home=tmp_path, engine="local")
    storage = open_read_only(tmp_path / "sweeps" / "spiral" / "study.journal")
    trials = optuna.load_study(study_name="spiral", storage=storage).get_trials(states=(TrialState.COMPLETE,))
    assert len(trials) == 3
    for trial, record in zip(trials, result.trials, strict=True):
        means = np.mean(record.curve.scores, axis=1)
        assert trial.intermediate_values == pytest.approx(dict(enumerate(means, start=1)))

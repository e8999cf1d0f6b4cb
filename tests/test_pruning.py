"""Pruners: which curves they stop, and how often a race stops a trial by chance."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from scipy import stats

from searchlab import Halving, Holdout, Median, NoPruning, OptunaPruner, Race
from searchlab.errors import UserMistake
from searchlab.metrics import Accuracy
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.paired_test import student_t_sf
from tests.learning_curves import curves_of, noisy_scores
from tests.sweeps import spiral_sweep


def flat(score, epochs=2):
    """Return a curve with the same score in three folds at every epoch."""
    return [[score] * 3] * epochs


def stopped_trials(pruner, curves):
    """Return the numbers of the trials that the pruner stops after their last epoch."""
    return [trial for trial in curves.trials if pruner.stop_reason(curves, trial)]


def test_halving_continues_the_best_third_of_the_trials_that_reached_a_rung():
    pruner = Halving(min_survivors=1, race=None)
    assert [epoch for epoch in range(1, 60) if pruner.is_due(epoch)] == [2, 6, 18, 54]
    curves = curves_of(*(flat(score / 10) for score in range(9)))
    assert stopped_trials(pruner, curves) == [0, 1, 2, 3, 4, 5]
    assert pruner.stop_reason(curves, 4).startswith("rank 5 of 9 after epoch 2")
    curves.add_epoch(4, [0.0] * 3)
    assert pruner.stop_reason(curves, 4) is None, "epoch 3 is not a rung"


def test_halving_ranks_by_the_mean_of_the_latest_epochs():
    lucky, steady, other = [[0.0] * 3, [0.6] * 3], [[0.5] * 3, [0.5] * 3], [[0.4] * 3, [0.4] * 3]
    curves = curves_of(steady, lucky, other, [[0.7] * 3, [0.0] * 3])
    one, two = (Halving(reduction_factor=4, min_survivors=1, window=window, race=None) for window in (1, 2))
    assert one.stop_reason(curves, 0)
    assert two.stop_reason(curves, 0) is None


def test_halving_continues_at_least_min_survivors():
    curves = curves_of(flat(0.9), flat(0.8), flat(0.7), flat(0.6))
    assert stopped_trials(Halving(min_survivors=3, race=None), curves) == [3]


def test_the_trial_with_the_best_epoch_continues_even_when_its_score_falls():
    falling = [[0.9] * 3] + [[0.1] * 3] * 5
    curves = curves_of(falling, *(flat(0.5 + trial / 100, 6) for trial in range(8)))
    assert Halving().stop_reason(curves, 0) is None
    assert Race().stop_reason(curves, 0) is None
    curves.add_epoch(8, [0.95] * 3)
    assert Halving().stop_reason(curves, 0), "another trial has a better epoch now"


def test_median_stops_trials_whose_best_epoch_is_worse_than_the_median_average():
    curves = curves_of(*(flat(float(score)) for score in range(7)))
    assert stopped_trials(Median(), curves) == [0, 1, 2]
    assert Median().stop_reason(curves, 0) == "at best 0, worse than the median after epoch 2, 3.5"
    assert Median(min_trials=7).stop_reason(curves, 0) is None
    assert Median(first_epoch=3).stop_reason(curves, 0) is None
    assert stopped_trials(Median(), curves_of(*(flat(float(score)) for score in range(7)), goal="min")) == [4, 5, 6]


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 9, 30])
def test_the_survival_function_of_students_t_agrees_with_scipy(degrees):
    for t in (-3.0, 0.0, 0.5, 2.0, 4.5, 12.0, 40.0):
        assert student_t_sf(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-6, abs=1e-13)


def test_a_race_stops_a_trial_that_is_behind_in_every_fold():
    draws = np.random.default_rng(0)
    curves = curves_of(*noisy_scores(draws, [0.9, 0.85, 0.5], epochs=4).tolist())
    assert stopped_trials(Race(), curves) == [1, 2]
    reason = Race().stop_reason(curves, 2)
    assert reason.startswith("0.397 behind trial 0 after epoch 4, p = ")
    assert Race(first_epoch=5).stop_reason(curves, 2) is None


@pytest.mark.parametrize("loss", [0.05, 0.3, 10.0])
def test_a_race_does_not_stop_a_trial_for_one_bad_fold(loss):
    draws = np.random.default_rng(1)
    scores = noisy_scores(draws, [0.9] * 8, epochs=6, noise=0.001)
    scores[5, :, 2] -= loss
    curves = curves_of(*scores.tolist())
    assert Race(alpha=0.5, first_epoch=1).stop_reason(curves, 5) is None


def test_a_race_continues_a_trial_that_is_catching_up():
    leader = [[0.80, 0.82, 0.81]] * 4
    slow = [[0.30, 0.33, 0.30], [0.50, 0.53, 0.50], [0.60, 0.62, 0.60], [0.68, 0.70, 0.69]]
    stuck = [[0.68, 0.70, 0.69]] * 4
    assert stopped_trials(Race(), curves_of(leader, slow, stuck)) == [2]


def test_the_same_small_difference_in_every_fold_is_not_significant():
    """With few rows, the same difference in every fold is common; a plain t test would call it significant."""
    draws = np.random.default_rng(2)
    scores = np.round(noisy_scores(draws, [0.9] * 10, epochs=2, folds=3, noise=0.02), 2)
    scores[1] = scores[0] - 0.01
    assert Race().stop_reason(curves_of(*scores.tolist()), 1) is None
    two = curves_of([[0.9, 0.8, 0.7]] * 2, [[0.89, 0.79, 0.69]] * 2)
    assert Race().stop_reason(two, 1) is None, "nor where no other trial tells the typical variance"


@pytest.mark.parametrize(("folds", "spread"), [(3, 1.0), (5, 1.0), (3, 3.0), (5, 3.0)])
def test_repeated_tests_of_a_race_keep_its_significance_level(folds, spread):
    """A trial as good as the leader is tested after each of twelve epochs, among others of the same noise.

    Its folds differ `spread` times as much as those of the others; its level is shifted so that chance decides.
    """
    draws, stopped, rounds = np.random.default_rng(3), 0, 400
    for _ in range(rounds):
        scores = noisy_scores(draws, [0.9, 0.9, *[0.7] * 8], epochs=12, folds=folds)
        scores[1] += draws.normal(0.0, 0.01 * spread, (1, folds))
        curves, race = LearningCurves("max"), Race(alpha=0.1)
        for epoch in range(12):
            for trial in (0, *range(2, 10), 1):
                curves.add_epoch(trial, scores[trial, epoch].tolist())
            if race.stop_reason(curves, 1):
                stopped += 1
                break
    assert stopped / rounds < 0.1 + 3 * math.sqrt(0.1 * 0.9 / rounds)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Halving(reduction_factor=1),
        lambda: Halving(first_rung=0),
        lambda: Halving(min_survivors=True),
        lambda: Halving(window=0.5),
        lambda: Halving(race=0.05),
        lambda: Median(first_epoch=0),
        lambda: Race(alpha=0),
        lambda: Race(alpha=1.5),
        lambda: Race(first_epoch=0),
        lambda: OptunaPruner(Halving()),
        lambda: OptunaPruner(optuna.pruners.MedianPruner),
        lambda: spiral_sweep(pruner="halving"),
        lambda: spiral_sweep(pruner=Halving),
        lambda: spiral_sweep(pruner=Race(), validation=Holdout(0.2)),
        lambda: spiral_sweep(pruner=Halving(), metric=(Accuracy(), Accuracy(name="again"))),
    ],
)
def test_an_invalid_pruner_is_reported_in_one_line(build):
    with pytest.raises(UserMistake) as raised:
        build()
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_a_sweep_prunes_by_halving_unless_it_has_several_metrics():
    assert spiral_sweep(pruner=None).effective_pruner == Halving()
    assert spiral_sweep(pruner=None, validation=Holdout(0.2)).effective_pruner == Halving()
    assert spiral_sweep(pruner=None, metric=(Accuracy(), Accuracy(name="again"))).effective_pruner == NoPruning()


def test_a_pruner_that_is_not_the_default_is_part_of_the_fingerprint():
    default, halving, without, race = (spiral_sweep(pruner=pruner) for pruner in (None, Halving(), NoPruning(), Race()))
    assert default.fingerprint() == halving.fingerprint()
    assert len({default.fingerprint(), without.fingerprint(), race.fingerprint()}) == 3
    assert "pruner" not in default.describe()
    ten, twenty = (spiral_sweep(pruner=optuna.pruners.MedianPruner(startup)) for startup in (10, 20))
    assert ten.fingerprint() != twenty.fingerprint()
    assert ten.fingerprint() == spiral_sweep(pruner=optuna.pruners.MedianPruner(10)).fingerprint()


def test_the_arguments_of_a_pruner_can_be_set_by_path():
    sweep = spiral_sweep(pruner=None).with_values({"pruner.reduction_factor": 4, "pruner.race.alpha": 0.01})
    assert sweep.pruner == Halving(reduction_factor=4, race=Race(alpha=0.01))
    assert spiral_sweep(pruner=None).with_values({"pruner.race": None}).pruner == Halving(race=None)
    with pytest.raises(UserMistake, match="reduction_factor, first_rung, min_survivors, window, race"):
        spiral_sweep(pruner=None).with_values({"pruner.rate": 4})

"""Which learning curves are overfitted, and where a trial says so."""

from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from searchlab.data import Digits, Examples, KFold
from searchlab.metrics import Accuracy
from searchlab.optim import Adam
from searchlab.replicas import Replicas, fold_seeds
from searchlab.runs.overfitting import is_overfitted
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.training import Trainer

EPOCHS = np.arange(1, 31)
RISING = 0.9 - 0.4 * np.exp(-EPOCHS / 5)
FALLING = np.where(EPOCHS <= 10, RISING, RISING[9] - 0.01 * (EPOCHS - 10))
TRAINING = 1.0 - 0.5 * np.exp(-EPOCHS / 5)


def by_fold(means, noise=0.0, folds=5, seed=0):
    """Return scores by epoch and fold around these means; folds differ in difficulty."""
    generator = np.random.default_rng(seed)
    level = generator.normal(0.0, 0.03, folds)
    return (np.asarray(means)[:, None] + level + generator.normal(0.0, noise, (len(means), folds))).tolist()


@pytest.mark.parametrize("folds", [1, 5])
@pytest.mark.parametrize("noise", [0.0, 0.004])
def test_a_curve_is_overfitted_where_the_gap_grows_and_the_held_out_score_falls(noise, folds):
    falling, training = by_fold(FALLING, noise, folds), by_fold(TRAINING, noise, folds, seed=1)
    assert is_overfitted(falling, training, "max")
    losses, training_losses = ((1.0 - np.array(scores)).tolist() for scores in (falling, training))
    assert is_overfitted(losses, training_losses, "min")
    assert not is_overfitted(losses, training_losses, "max")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("held_out", "training"),
    [
        (RISING, TRAINING),  # a gap, and no fall
        (FALLING, FALLING + 0.05),  # training gets worse as well
        (np.full(30, 0.8), np.full(30, 0.9)),  # noise alone, around the best of which lies a fall
    ],
)
def test_other_curves_are_not(held_out, training, seed):
    assert not is_overfitted(by_fold(held_out, 0.01, seed=seed), by_fold(training, 0.01, seed=seed + 50), "max")


def test_a_fall_in_a_single_fold_is_not_overfitting():
    scores = np.array(by_fold(RISING))
    scores[:, 0] = FALLING
    assert not is_overfitted(scores.tolist(), by_fold(TRAINING), "max")


def test_only_epochs_with_both_scores_count():
    falling, training = by_fold(FALLING), by_fold(TRAINING)
    assert is_overfitted(falling, [scores if row % 3 == 2 else [] for row, scores in enumerate(training)], "max")
    assert not is_overfitted(falling, [scores if row % 10 == 9 else [] for row, scores in enumerate(training)], "max")
    assert not is_overfitted(falling, [], "max")  # a study of an earlier version
    assert not is_overfitted(falling, [*training[:-1], [np.nan] * 5], "max")


def record(curve, state="COMPLETE", goal="max"):
    epoch, value = curve.best(goal)
    return TrialRecord(0, state, {}, value, None if state == "FAIL" else epoch, None, curve, 0.0, 1.0)


def test_a_trial_says_that_it_is_overfitted_in_either_direction():
    falling, training = by_fold(FALLING), by_fold(TRAINING)
    curve = LearningCurve(falling, falling, [0.0] * 30, training_scores=training)
    assert record(curve).overfitted
    assert record(curve).to_json()["overfitted"] is True
    assert record(curve).finished_event(1.0).overfitted
    assert not record(curve, "FAIL").overfitted
    losses, training_losses = ((1.0 - np.array(scores)).tolist() for scores in (falling, training))
    assert record(LearningCurve(losses, losses, [0.0] * 30, training_scores=training_losses), goal="min").overfitted
    assert not record(LearningCurve(falling, falling, [0.0] * 30)).overfitted


def test_a_wide_network_on_noisy_labels_overfits_and_one_on_clean_labels_does_not():
    """Of 800 training rows of each fold, the labels of some are drawn at random, or of none."""
    assert {noise: trained_record(noise).overfitted for noise in (0.0, 0.3)} == {0.0: False, 0.3: True}


def trained_record(noise):
    data, generator = Digits().training(), np.random.default_rng(0)
    y = np.where(generator.random(1000) < noise, generator.integers(10, size=1000), data.y[:1000])
    rows = Examples(data.x[:1000], y, 10)
    build = partial(MLP, hidden=64), partial(Adam, lr=0.01)
    trainer = Trainer(Replicas(fold_seeds(0, 5)), rows, KFold(5).split(rows), Accuracy(), *build, batch_size=10)
    curve = LearningCurve()
    for _ in range(30):
        curve.add(trainer.advance(), slice(0, 5), 1.0)
    assert np.mean(curve.training_scores[-1]) > 0.75  # of noisy labels, 0.72 are those of the digits
    return record(curve)

"""Where scores are equal, the held-out loss decides: between the epochs of a trial, and between trials."""

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Accuracy, Arrays, KFold, Sweep, Trainer
from searchlab.runs.trials import LearningCurve, TrialRecord, pareto, ranked
from searchlab.space.space import Space


def curve(means, losses):
    return LearningCurve(
        scores=[[mean - 0.25, mean + 0.25] for mean in means],
        others=[[] for _ in means],
        held_out_losses=[[] if loss is None else [loss, loss] for loss in losses],
    )


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([0.7, 0.6, 0.5, 0.1], 3),
        ([0.7, None, None, 0.1], 1),
        ([None, 0.6, None, 0.1], 2),
        ([float("nan"), float("inf"), 0.5, 0.1], 3),
        ([None, None, None, None], 1),
        ([], 1),  # a journal of a version that did not measure it
    ],
)
def test_the_best_epoch_of_equal_scores_has_the_lowest_held_out_loss(losses, epoch):
    assert curve([0.5, 0.5, 0.5, 0.25], losses).best("max") == (epoch, 0.5)
    assert curve([0.5, 0.5, 0.5, 0.75], losses).best("min") == (epoch, 0.5)


def test_a_better_score_wins_whatever_its_loss():
    assert curve([0.5, 0.75], [0.1, 9.0]).best("max") == (2, 0.75)


def record(number, loss, value=0.5):
    return TrialRecord(number, "COMPLETE", {}, value, 1, None, curve([value], [loss]), 0.0, 1.0, (value, 1.0))


def test_of_equal_trials_the_one_with_the_lower_held_out_loss_is_first():
    trials = [record(0, None), record(1, 0.5), record(2, 0.25), record(3, 9.0, 0.75), record(4, 0.25)]
    assert [trial.number for trial in ranked(trials, "max")] == [3, 2, 4, 1, 0]
    assert [trial.number for trial in pareto(trials[:3], ("max", "min"))] == [2, 1, 0]


def test_a_network_that_never_says_yes_is_trained_on(tmp_path):
    """7 % of the rows are positive: the accuracy is that of the majority class in every epoch."""
    y = (np.arange(600) % 14 == 0).astype(np.int64)
    x = np.ones((600, 4))  # which say nothing
    sweep = Sweep(
        name="flat",
        data=Arrays(x, y),
        validation=KFold(3),
        metric=Accuracy(),
        model=Space(MLP, hidden=()),
        optimizer=Space(SGD, lr=0.01),
        training=Space(Trainer, epochs=30),
        trials=1,
    )
    result = sweep.run(home=tmp_path, engine="local", tracking=None, progress=False)
    (trial,) = result.trials
    losses = {
        epoch: float(np.mean(trial.curve.held_out_losses[epoch - 1]))
        for epoch, folds in enumerate(trial.curve.scores, 1)
        if np.mean(folds) == trial.value and trial.curve.held_out_losses[epoch - 1]  # not measured in every epoch
    }
    assert len(losses) > 1
    assert trial.epoch == min(losses, key=losses.__getitem__) > min(losses)

"""The refit of a trial on all training rows."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from searchlab import CosineDecay, Plateau, Space, Trainer
from searchlab.engine.refit import refit_locally, replayed_schedule, restore_trainer
from searchlab.runs.trials import LearningCurve, TrialRecord
from tests.jobs import make_job
from tests.sweeps import spiral_sweep

PARAMETERS = {"model.hidden": 10, "model.dropout": 0.0, "optimizer": "SGD", "optimizer.SGD.lr": 0.5}
PARAMETERS |= {"training.clip_norm": 1.0}
ACCURACIES = [[0.5, 0.5], [0.6, 0.4], [0.7, 0.45], [0.8, 0.6]]  # by epoch and fold


def job_with(tmp_path, schedule):
    sweep = spiral_sweep(training=Space(Trainer, batch_size=10, epochs=6, clip_norm=1.0, schedule=schedule))
    return make_job(sweep, "spiral", tmp_path / "study.journal", tmp_path / "checkpoints", trials=1)


def trial_of(epoch=4):
    curve = LearningCurve(scores=ACCURACIES, others=[[]] * 4)
    parameters = {path: value for path, value in PARAMETERS.items() if path != "training.clip_norm"}
    return TrialRecord(0, "COMPLETE", parameters, 0.7, epoch, None, curve, started=0.0, ended=1.0)


@pytest.mark.parametrize("schedule", [Plateau, partial(Plateau, factor=0.25), Space(Plateau, factor=0.25)])
def test_the_refit_replays_the_learning_rates_of_the_folds(tmp_path, schedule):
    """The second fold does not improve in its second and third epoch."""
    job, trial = job_with(tmp_path, schedule), trial_of()
    assert replayed_schedule(job, trial).factors_by_epoch(4) == pytest.approx([1.0, 1.0, 0.5, 0.25])
    refit = refit_locally(job, trial, "cpu")
    assert refit.trainer.epoch == 4
    assert refit.trainer.optimizer.lr == pytest.approx([0.5 * 0.25])
    restored = restore_trainer(refit.without_trainer(), job, trial, "cpu")
    for name, array in refit.state.items():
        assert np.array_equal(restored.state()[name], array), name


def test_a_schedule_that_reacts_to_nothing_is_its_own_in_the_refit(tmp_path):
    job, trial = job_with(tmp_path, CosineDecay), trial_of()
    assert replayed_schedule(job, trial) is None
    assert type(refit_locally(job, trial, "cpu").trainer.schedule) is CosineDecay
    assert replayed_schedule(job_with(tmp_path, None), trial) is None


def test_warm_up_is_part_of_the_replayed_factors(tmp_path):
    job = job_with(tmp_path, partial(Plateau, warmup=2.0))
    assert replayed_schedule(job, trial_of()).factors_by_epoch(4) == pytest.approx([0.5, 1.0, 0.5, 0.25])

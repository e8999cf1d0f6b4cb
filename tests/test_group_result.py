"""The result of a group, as Ray Tune gets it: its best trial, with its score and parameters, and what it trained."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from searchlab import Perplexity
from searchlab.engine.group_result import GroupResult
from searchlab.training import EpochReport
from tests.sweeps import spiral_sweep
from tests.workers import make_group


def report(epoch, *means):
    """A report of trials whose two folds have these mean scores."""
    scores = np.array([mean + side for mean in means for side in (-0.125, 0.125)])
    return EpochReport(epoch, scores, scores, (None,) * len(scores), seconds=0.5, time=0.0)


def result_of(group, sweep=None):
    return GroupResult(sweep or spiral_sweep(), group)


def test_the_result_has_the_best_trial_over_all_epochs_with_its_parameters():
    result = result_of(make_group(0.1, 0.2, 0.3))
    result.add((0, 1, 2), report(1, 0.5, 0.75, 0.25))
    result.add((0, 2), report(2, 0.625, 0.5))
    assert result.metrics() == {
        "best_accuracy": 0.75,
        "best_trial": 1,
        "trials": "0, 1, 2",
        "epochs": 2,
        "seconds": 1.0,
        "params/model.dropout": 0.2,
        "params/model.hidden": 10,
        "params/optimizer": "SGD",
        "params/optimizer.Adam.lr": None,
        "params/optimizer.SGD.lr": 0.2,
        "params/training.clip_norm": 2.0,
    }


def test_the_smallest_score_is_the_best_of_a_metric_to_be_minimized():
    result = result_of(make_group(0.1, 0.2), spiral_sweep(metric=Perplexity()))
    result.add((0, 1), report(1, 0.5, 0.75))
    assert result.metrics()["best_trial"] == 0


def test_epochs_before_a_checkpoint_count_in_the_score_alone():
    """Trial 0 was the best one, and was pruned before the checkpoint: it is not in this group."""
    result = result_of(make_group(0.1, 0.2).subset((1,)))
    result.restore([((0, 1), report(1, 0.9, 0.75)), ((1,), report(2, 0.5))])
    result.add((1,), report(3, 0.625))
    metrics = result.metrics()
    assert (metrics["best_accuracy"], metrics["best_trial"]) == (0.75, 1)
    assert (metrics["epochs"], metrics["seconds"]) == (1, 0.5)


def test_trials_that_join_are_in_the_result():
    result = result_of(replace(make_group(0.1), max_followers=1))
    result.group = make_group(0.1, 0.2)
    result.add((0, 1), report(1, 0.5, 0.75))
    assert (result.metrics()["trials"], result.metrics()["best_trial"]) == ("0, 1", 1)


def test_a_group_without_a_score_has_the_same_keys():
    scored, failed = result_of(make_group(0.1)), result_of(make_group(0.1))
    scored.add((0,), report(1, 0.5))
    failed.add((0,), report(1, math.nan))
    assert failed.metrics().keys() == scored.metrics().keys()
    assert math.isnan(failed.metrics()["best_accuracy"])
    assert failed.metrics()["best_trial"] is None

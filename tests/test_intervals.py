"""Confidence intervals of repeated cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from searchlab.pruning.intervals import Interval, ratio_of_held_out, repeated_cv_interval


@pytest.mark.parametrize("shape", [(1, 2), (3, 5), (10, 10)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_interval_is_that_of_bouckaert_and_frank(shape, level):
    scores, ratio = np.random.default_rng(1).normal(0.9, 0.02, shape), 0.25
    interval = repeated_cv_interval(scores, ratio, level)
    error = np.sqrt(scores.var(ddof=1) * (1 / scores.size + ratio))
    expected = stats.t.interval(level, scores.size - 1, loc=scores.mean(), scale=error)
    np.testing.assert_allclose([interval.low, interval.high], expected, rtol=1e-10)
    assert interval.mean == pytest.approx(scores.mean())


def test_independent_scores_have_the_interval_of_a_mean():
    """Without rows in common, 95 % of the intervals cover the mean."""
    draws = np.random.default_rng(0).normal(0.0, 1.0, (4000, 2, 5))
    covered = [repeated_cv_interval(scores, 0.0).includes(0.0) for scores in draws]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_a_single_score_has_no_interval():
    interval = repeated_cv_interval(np.array([[0.9]]), 0.25)
    assert interval == Interval(0.9, None, None)
    assert interval.includes(0.9)
    assert not interval.includes(0.0)


def test_equal_scores_have_an_interval_of_width_0():
    assert repeated_cv_interval(np.full((2, 3), 0.5), 0.25) == Interval(0.5, 0.5, 0.5)


def test_ratio_of_held_out():
    assert ratio_of_held_out(np.array([80, 80]), np.array([20, 20])) == 0.25

"""A paired t test of a trial against the leader, fold by fold at the same epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchlab.pruning.epoch_summary import MAX_LATEST_TRIALS
from searchlab.pruning.learning_curves import LearningCurves

MIN_OTHER_TRIALS = 5  # at the same epoch, for their typical variance of gaps to be used
EXTRA_DEGREES_OF_FREEDOM = 4  # that the typical variance adds: as many as five folds have


@dataclass(frozen=True)
class PairedTestResult:
    """The distance of a trial to the leader, and its significance.

    Args:
        leader_row: Row of the leader in the curves.
        gap: Mean over folds of the difference in levels, less what the trial is expected to catch up.
        p_value: One-sided p value of the test; 1 where the differences do not vary over folds.
    """

    leader_row: int
    gap: float
    p_value: float


def compare_with_leader(curves: LearningCurves, trial: int, alpha: float) -> PairedTestResult | None:
    """Test whether a trial is behind the leader after its last epoch.

    The variance of the gaps over folds is that of the trial itself, or the typical one of the other trials where that
    is larger: of few folds with few rows, the same difference in every fold is common.

    Returns:
        None where the trial leads, has no score, has a single fold, owes its gap to a single fold, or where the p value
        by the variance of its own gaps exceeds `alpha`.
    """
    epoch, row = curves.last_epoch(trial), curves.row_of(trial)
    leader = curves.leader_row(epoch)
    if not math.isfinite(curves.levels[row, epoch - 1]):
        return None  # it has no score to compare yet
    gaps = curves.level_scores[leader, epoch - 1] - curves.level_scores[row, epoch - 1]  # (folds,)
    folds, mean_gap = len(gaps), float(gaps.mean())
    gap = mean_gap - _expected_catch_up(curves, leader, row, epoch, mean_gap)
    if folds < 2 or not 0.0 < gap < math.inf:
        return None
    if float(gaps.sum() - gaps.max()) / (folds - 1) <= mean_gap - gap:
        return None  # without its largest fold, nothing is left of the gap
    has_others = len(curves.latest_trials(epoch)) - 2 >= MIN_OTHER_TRIALS  # the two compared ones have levels as well
    variance, degrees = float(gaps.var(ddof=1)), folds - 1 + EXTRA_DEGREES_OF_FREEDOM * has_others
    if _p_value(gap, variance, folds, degrees) > alpha:  # it only grows with the variance
        return None
    typical = _typical_variance(curves, leader, row, epoch) if has_others else 0.0
    return PairedTestResult(leader, gap, _p_value(gap, max(variance, typical), folds, degrees))


def _expected_catch_up(curves: LearningCurves, leader: int, row: int, epoch: int, mean_gap: float) -> float:
    """Return by how much the gap closed while the epochs doubled: the next doubling is assumed to close as much."""
    half = max(1, epoch // 2) - 1
    leader_level, level = float(curves.levels[leader, half]), float(curves.levels[row, half])
    is_known = math.isfinite(leader_level) and math.isfinite(level)
    return max(0.0, leader_level - level - mean_gap) if is_known else 0.0


def _typical_variance(curves: LearningCurves, leader: int, row: int, epoch: int) -> float:
    """Return the median, over the latest other trials, of the variance over folds of their gaps to the leader."""
    rows = [other for trial in curves.latest_trials(epoch) if (other := curves.row_of(trial)) not in (leader, row)]
    others = np.array(rows[-MAX_LATEST_TRIALS:])
    gaps = curves.level_scores[leader, epoch - 1] - curves.level_scores[others, epoch - 1]  # (others, folds)
    gaps -= gaps.mean(axis=1, keepdims=True)
    squares = np.median(np.einsum("nk,nk->n", gaps, gaps))
    return float(squares / (gaps.shape[1] - 1))


def _p_value(gap: float, variance: float, folds: int, degrees: int) -> float:
    return student_t_sf(gap / math.sqrt(variance / folds), degrees) if variance > 0.0 else 1.0


def student_t_sf(t: float, degrees: int) -> float:
    """Return the survival function of Student's t distribution with at least 1 degree of freedom: P(T >= t).

    The closed form of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4, is exact to about 1e-15; significance levels are
    far above that.
    """
    angle = math.atan2(t, math.sqrt(degrees))
    cosine, odd = math.cos(angle), degrees % 2
    term = total = (cosine if odd else 1.0) if degrees > 1 else 0.0
    for step in range(2 + odd, degrees, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    within = 2.0 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return (1.0 - within) / 2.0

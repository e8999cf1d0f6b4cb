"""The statistics of a race: how sure it is that a trial lies behind the leader, fold by fold at the same epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchlab.pruning.learning_curves import RECENT, LearningCurves

OTHERS = 5  # trials at the same epoch, from which on the usual spread of gaps counts
FREEDOM = 4  # degrees of freedom that it counts for: as much as five folds would tell


@dataclass(frozen=True)
class Lag:
    """How far a trial is behind the leader after as many epochs, closing granted, and how likely chance alone does it.

    `chance` is the one-sided p value of a paired t test over folds; 1 where folds do not differ at all.
    """

    leader: int  # its row in the curves
    gap: float
    chance: float


def lag_of(curves: LearningCurves, trial: int, enough: float) -> Lag | None:
    """How a trial stands against the leader; None where it leads, or where chance plainly does more than `enough`.

    It is None for a single fold too: there is no telling then.
    """
    epoch, row = curves.length(trial), curves.row(trial)
    leader = curves.leader(epoch)
    if not math.isfinite(curves.levels[row, epoch - 1]):
        return None  # it has no score to compare yet
    gaps = curves.level_scores[leader, epoch - 1] - curves.level_scores[row, epoch - 1]
    folds, now = len(gaps), float(gaps.mean())
    gap = now - _closing(curves, leader, row, epoch, now)
    if folds < 2 or not 0.0 < gap < math.inf or float(gaps.sum() - gaps.max()) / (folds - 1) <= now - gap:
        return None
    many = len(curves.recent(epoch)) - 2 >= OTHERS  # the two that are compared have levels as well
    own, freedom = float(gaps.var(ddof=1)), folds - 1 + FREEDOM * many
    if _chance(gap, own, folds, freedom) > enough:  # it only grows with the spread
        return None
    usual = _usual(curves, leader, row, epoch) if many else 0.0
    return Lag(leader, gap, _chance(gap, max(own, usual), folds, freedom))


def _closing(curves: LearningCurves, leader: int, row: int, epoch: int, now: float) -> float:
    """By how much the gap has closed while the epochs doubled: as much is granted for the next doubling."""
    half = max(1, epoch // 2) - 1
    then, own = float(curves.levels[leader, half]), float(curves.levels[row, half])
    return max(0.0, then - own - now) if math.isfinite(then) and math.isfinite(own) else 0.0


def _usual(curves: LearningCurves, leader: int, row: int, epoch: int) -> float:
    """The median variance over folds of the other trials' gaps to the leader, of the latest trials where many are."""
    rows = [other for number in curves.recent(epoch) if (other := curves.row(number)) not in (leader, row)]
    others = np.array(rows[-RECENT:])
    gaps = curves.level_scores[leader, epoch - 1] - curves.level_scores[others, epoch - 1]
    gaps -= gaps.mean(axis=1, keepdims=True)
    squares = np.median(np.einsum("nk,nk->n", gaps, gaps))
    return float(squares / (gaps.shape[1] - 1))


def _chance(gap: float, variance: float, folds: int, freedom: int) -> float:
    return tail(gap / math.sqrt(variance / folds), freedom) if variance > 0.0 else 1.0


def tail(t: float, freedom: int) -> float:
    """The probability that Student's t with so many degrees of freedom, at least 1, is `t` or more.

    Abramowitz & Stegun (1964), 26.7.3 and 26.7.4; exact to about 1e-15, and levels are far above that.
    """
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = total = (cosine if odd else 1.0) if freedom > 1 else 0.0
    for step in range(2 + odd, freedom, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    within = 2.0 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return (1.0 - within) / 2.0

"""The order of the trials that have reached one epoch, so that a decision does not visit every trial."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from dataclasses import dataclass, field

import numpy as np

from searchlab.backend import Array

# Trials whose numbers an epoch keeps. They give the median of a variance to 3 % with five folds and to 5 % with three;
# all of a hundred thousand would give it little better, and take a hundred times as long.
MAX_LATEST_TRIALS = 1000


@dataclass
class EpochSummary:
    """The trials that have reached one epoch: their number, the leader, the latest ones, and their recent means.

    `searchlab.pruning.learning_curves` defines the terms level, leader and recent mean.

    Args:
        count: Number of trials that have reached the epoch.
        leader: Row of the trial with the best level, the first of equals; -1 as long as there is none.
        leader_level: Level of that trial.
        latest: Highest numbers of the trials that have a finite level, in order.
        recent_means: The recent means by window, in order.
    """

    count: int = 0
    leader: int = -1
    leader_level: float = -math.inf
    latest: list[int] = field(default_factory=list)
    recent_means: dict[int, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, trials: Array, rows: Array, levels: Array) -> EpochSummary:
        """Return the summary of these trials from their numbers, rows and levels, (trials,) each; at least one."""
        leader = int(levels.argmax())
        latest = np.sort(trials[np.isfinite(levels)])[-MAX_LATEST_TRIALS - 2 :]
        return cls(len(rows), int(rows[leader]), float(levels[leader]), latest.tolist())

    def add(self, trial: int, row: int, level: float) -> None:
        """Add a trial that has reached the epoch."""
        self.count += 1
        if self.leader < 0 or level > self.leader_level or (level == self.leader_level and row < self.leader):
            self.leader, self.leader_level = row, level
        if math.isfinite(level):
            insort(self.latest, trial)
            del self.latest[: -MAX_LATEST_TRIALS - 2]  # besides the two trials that a test compares

    def add_recent_mean(self, window: int, mean: float) -> None:
        """Add the recent mean of a trial; NaN is left out."""
        if mean == mean:
            insort(self.recent_means[window], mean)

    def rank(self, window: int, mean: float) -> int:
        """Return 1 plus the number of trials whose recent mean is larger."""
        means = self.recent_means[window]
        return 1 + len(means) - bisect_right(means, mean)

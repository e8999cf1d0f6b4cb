"""The scores of all trials of a sweep by epoch and fold, from which pruners decide.

Inside, larger is always better: the scores of a metric to minimize change their sign. These terms are used:

- *level* of a trial after an epoch: the best mean of two successive epochs so far, over all folds (after its first
  epoch, the mean of that epoch). It is less noisy than the score of a single epoch, and it does not sink when the
  trial overfits.
- *leader* of an epoch: the trial with the best level after this epoch, among all trials that have reached it.
- *failed* trial: one that diverged or failed for another reason. It cannot win, so no trial is compared with it.
- *recent mean* of a trial: the mean over its folds and over its latest epochs, as many as the *window* says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.pruning.epoch_summary import EpochSummary


class LearningCurves:
    """The learning curves of all trials of a sweep, as arrays with one row per trial.

    Rows are in the order in which the trials were first added. The arrays grow by doubling, and `EpochSummary` keeps
    what the pruners of this package compare a trial with. So neither adding an epoch nor a decision takes longer when
    there are more trials. The curve of a single trial, with its losses and times, is
    `searchlab.runs.trials.LearningCurve`.

    Args:
        goal: Whether larger ("max") or smaller ("min") scores are better.

    Attributes:
        goal: The argument.
        total_epochs: Number of epochs of all trials together.
        finished: Numbers of the trials that ran to their end. Only some pruners of Optuna use it.
        failed: Numbers of the failed trials.

    Example:
        >>> from searchlab.pruning.learning_curves import LearningCurves
        >>> curves = LearningCurves("min")
        >>> curves.add_epoch(7, [3.0, 5.0])
        1
        >>> curves.add_epoch(7, [2.0, 1.0])
        2
        >>> curves.fold_means.tolist()
        [[-4.0, -1.5]]
        >>> curves.levels.tolist()
        [[-4.0, -2.75]]
    """

    def __init__(self, goal: Goal) -> None:
        self.goal: Goal = goal
        self.total_epochs = 0
        self.finished: set[int] = set()
        self.failed: set[int] = set()
        self._sign = 1.0 if goal == "max" else -1.0
        self._rows: dict[int, int] = {}  # by trial
        self._trials: list[int] = []  # by row
        self._summaries: list[EpochSummary] = []  # by epoch
        self._best_mean = -np.inf  # of all trials and epochs
        self._last_epochs = np.zeros(0, np.int64)
        self._is_compared = np.zeros(0, bool)  # by row; False for failed trials
        self._scores = np.zeros((0, 0, 0))  # NaN beyond the last epoch of a trial, as in the arrays below
        self._fold_means = np.zeros((0, 0))
        self._best_means = np.zeros((0, 0))
        self._levels = np.zeros((0, 0))
        self._level_scores = np.zeros((0, 0, 0))

    def add_epoch(self, trial: int, scores: Sequence[float]) -> int:
        """Add the next epoch of a trial; one with a score that is not finite marks the trial as failed.

        Args:
            trial: Number of the trial.
            scores: The score of each fold, with the sign of the metric.

        Returns:
            The number of the epoch, from 1.

        Raises:
            ValueError: When the number of folds is not that of the trials before.
        """
        epoch = self.last_epoch(trial)
        folds = self._scores.shape[2] if self.total_epochs else len(scores)
        if len(scores) != folds:
            raise ValueError(f"trial {trial} has {len(scores)} folds, and the trials before it have {folds}")
        row = self._rows.setdefault(trial, len(self._rows))
        if row == len(self._trials):
            self._trials.append(trial)
        self._grow(row + 1, epoch + 1, folds)
        self._is_compared[row] = trial not in self.failed
        values = self._sign * np.asarray(scores, dtype=np.float64)
        mean = _mean(values)
        self._scores[row, epoch], self._fold_means[row, epoch] = values, mean
        self._best_means[row, epoch] = max(mean, self._best_means[row, epoch - 1] if epoch else -np.inf)
        self._set_level(row, epoch)
        self._last_epochs[row] = epoch + 1
        self._update_summary(row, epoch)
        self.total_epochs += 1
        if not np.isfinite(mean):
            self.mark_failed(trial)
        return epoch + 1

    def mark_finished(self, trial: int) -> None:
        """Record that a trial ran to its end: it was not stopped and did not fail."""
        self.finished.add(trial)

    def mark_failed(self, trial: int) -> None:
        """Record that a trial failed: from now on no trial is compared with it. It visits all trials."""
        if trial in self.failed:
            return
        self.failed.add(trial)
        row = self._rows.get(trial)
        if row is not None:
            self._is_compared[row] = False
            self._best_mean = self._find_best_mean()
            for epoch in range(int(self._last_epochs[row])):
                self._summaries[epoch] = self._summarize(epoch)

    def last_epoch(self, trial: int) -> int:
        """Return the number of the latest epoch of a trial, from 1; 0 for an unknown trial."""
        row = self._rows.get(trial)
        return int(self._last_epochs[row]) if row is not None else 0

    def scores_of(self, trial: int) -> Array:
        """Return the scores (epochs, folds) of a trial: larger is better, NaN where it diverged."""
        return self._scores[self._rows[trial], : self.last_epoch(trial)]

    def subset(self, trials: Collection[int]) -> LearningCurves:
        """Return a copy that holds the curves of these trials only; unknown trials are left out."""
        wanted = set(trials)
        known = [trial for trial in self._trials if trial in wanted]
        rows = [self._rows[trial] for trial in known]
        fewer = LearningCurves(self.goal)
        fewer._rows, fewer._trials = {trial: row for row, trial in enumerate(known)}, known
        fewer.finished, fewer.failed = self.finished & wanted, self.failed & wanted
        fewer._last_epochs, fewer._scores = self._last_epochs[rows], self._scores[rows]
        fewer._is_compared = self._is_compared[rows]
        fewer._fold_means, fewer._best_means = self._fold_means[rows], self._best_means[rows]
        fewer._levels, fewer._level_scores = self._levels[rows], self._level_scores[rows]
        fewer._best_mean = fewer._find_best_mean()
        fewer.total_epochs = int(fewer._last_epochs.sum())
        fewer._summaries = [fewer._summarize(epoch) for epoch in range(int(fewer._last_epochs.max(initial=0)))]
        return fewer

    @property
    def trials(self) -> list[int]:
        """The numbers of the trials by row: the list itself and not a copy, so do not change it."""
        return self._trials

    def row_of(self, trial: int) -> int:
        """Return the row of a trial in the arrays; raise KeyError for an unknown trial."""
        return self._rows[trial]

    @property
    def last_epochs(self) -> Array:
        """The number of the latest epoch of each trial (trials,)."""
        return self._last_epochs[: len(self._rows)]

    @property
    def scores(self) -> Array:
        """The scores (trials, epochs, folds); NaN beyond the last epoch of a trial and where a fold diverged."""
        return self._scores[: len(self._rows), : len(self._summaries)]

    @property
    def fold_means(self) -> Array:
        """The means over folds (trials, epochs); NaN beyond the last epoch, minus infinity where a fold diverged."""
        return self._fold_means[: len(self._rows), : len(self._summaries)]

    @property
    def best_means(self) -> Array:
        """The best mean over folds up to each epoch (trials, epochs); NaN beyond the last epoch of a trial."""
        return self._best_means[: len(self._rows), : len(self._summaries)]

    @property
    def levels(self) -> Array:
        """The level after each epoch (trials, epochs); NaN beyond the last epoch of a trial."""
        return self._levels[: len(self._rows), : len(self._summaries)]

    @property
    def level_scores(self) -> Array:
        """The score of each fold in the level after each epoch (trials, epochs, folds)."""
        return self._level_scores[: len(self._rows), : len(self._summaries)]

    def has_best_epoch(self, trial: int) -> bool:
        """Return whether no epoch of a trial that has not failed has a better mean over folds than its best epoch."""
        return bool(self._best_means[self._rows[trial], self.last_epoch(trial) - 1] >= self._best_mean)

    def rows_with_epoch(self, epoch: int) -> Array:
        """Return the rows of the trials that have reached this epoch, from 1, and not failed. It visits all trials."""
        rows: Array = np.flatnonzero((self.last_epochs >= epoch) & self._is_compared[: len(self._rows)])
        return rows

    def leader_row(self, epoch: int) -> int:
        """Return the row of the leader of this epoch, from 1; -1 where every trial that reached it has failed."""
        return self._summaries[epoch - 1].leader

    def latest_trials(self, epoch: int) -> list[int]:
        """Return the highest numbers of the trials that have a finite level after this epoch, from 1.

        They are `epoch_summary.MAX_LATEST_TRIALS` plus 2, or all: a test leaves out the two trials that it compares.
        """
        return self._summaries[epoch - 1].latest

    def rank(self, trial: int, window: int) -> tuple[int, int]:
        """Return the rank, from 1, of a trial by recent mean at its last epoch, and how many trials have reached it."""
        row, epoch = self._rows[trial], self.last_epoch(trial) - 1
        summary = self._summaries[epoch]
        if window not in summary.recent_means:  # the first question about this epoch and window
            rows = self.rows_with_epoch(epoch + 1)
            means = self.fold_means[rows, max(0, epoch + 1 - window) : epoch + 1].mean(axis=1)
            summary.recent_means[window] = sorted(means[~np.isnan(means)].tolist())
        return summary.rank(window, self._recent_mean(row, epoch, window)), summary.count

    def _set_level(self, row: int, epoch: int) -> None:
        """Set the level after this epoch, from 0, and the scores of its folds."""
        newest = self._scores[row, epoch]
        newest = (newest + self._scores[row, epoch - 1]) / 2.0 if epoch else newest
        level, previous = _mean(newest), epoch - 1
        if epoch > 1 and self._levels[row, previous] >= level:
            level, newest = float(self._levels[row, previous]), self._level_scores[row, previous]
        self._levels[row, epoch], self._level_scores[row, epoch] = level, newest

    def _recent_mean(self, row: int, epoch: int, window: int) -> float:
        """Return the recent mean at this epoch, from 0; NaN where it is not a number."""
        return float(self._fold_means[row, max(0, epoch + 1 - window) : epoch + 1].mean())

    def _update_summary(self, row: int, epoch: int) -> None:
        """Add a trial to the summary of an epoch, from 0, that it has reached."""
        if epoch == len(self._summaries):
            self._summaries.append(EpochSummary())
        if not self._is_compared[row]:
            return
        self._best_mean = max(self._best_mean, float(self._best_means[row, epoch]))
        summary = self._summaries[epoch]
        summary.add(self._trials[row], row, float(self._levels[row, epoch]))
        for window in summary.recent_means:
            summary.add_recent_mean(window, self._recent_mean(row, epoch, window))

    def _summarize(self, epoch: int) -> EpochSummary:
        """Return the summary of an epoch, from 0, from all trials that have reached it."""
        rows = self.rows_with_epoch(epoch + 1)
        if not len(rows):
            return EpochSummary()
        return EpochSummary.of(np.array(self._trials)[rows], rows, self._levels[rows, epoch])

    def _find_best_mean(self) -> float:
        """Return the best mean over folds of any epoch of the trials that have not failed; minus infinity for none."""
        best_means = self._best_means[: len(self._rows)][self._is_compared[: len(self._rows)]]
        return float(np.nanmax(best_means, initial=-np.inf))

    def _grow(self, trials: int, epochs: int, folds: int) -> None:
        """Make the arrays at least this large, by doubling."""
        rows, columns, _ = self._scores.shape
        if trials <= rows and epochs <= columns:
            return
        size = (rows if trials <= rows else max(16, 2 * rows), columns if epochs <= columns else max(8, 2 * columns))
        self._scores = _enlarged(self._scores, (*size, folds), np.nan)
        self._fold_means = _enlarged(self._fold_means, size, np.nan)
        self._best_means = _enlarged(self._best_means, size, np.nan)
        self._levels = _enlarged(self._levels, size, np.nan)
        self._level_scores = _enlarged(self._level_scores, (*size, folds), np.nan)
        self._last_epochs = _enlarged(self._last_epochs, size[:1], 0)
        self._is_compared = _enlarged(self._is_compared, size[:1], 0)


def _mean(scores: Array) -> float:
    """Return the mean over folds; minus infinity where it is not a number."""
    mean = sum(scores.tolist()) / len(scores)
    return mean if mean == mean else -np.inf


def _enlarged(array: Array, shape: tuple[int, ...], fill: float) -> Array:
    """Return a larger array that begins with the values of this one."""
    larger = np.full(shape, fill, array.dtype)
    larger[tuple(slice(0, length) for length in array.shape)] = array
    return larger

"""What every trial of a sweep has scored so far, epoch by epoch and fold by fold: what prunings decide from."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal

# Trials that an epoch remembers as the latest. From so many, the median of a spread is known to 3 % with five folds and
# to 5 % with three; to ask all of a hundred thousand would tell little more, and take a hundred times as long.
RECENT = 1000


@dataclass
class _Field:
    """The trials that have come as far as one epoch: kept in order, so that none but the newest is looked at again."""

    count: int = 0
    leader: int = 0  # the row with the best level, the first of equals
    recent: list[int] = field(default_factory=list)  # the highest numbers of trials that have a level, in order
    worths: dict[int, list[float]] = field(default_factory=dict)  # by window: means over the latest epochs, in order


class LearningCurves:
    """The scores of all trials so far, in the order in which they were first told; larger is better inside.

    A row is a trial. Its level is what it is worth so far with less noise than a single epoch has: the best mean over
    two successive epochs (its first epoch alone, until there is a second), which does not sink when it overfits. The
    arrays grow by doubling, and what the pruners here compare with is kept for each epoch: telling one costs the same
    however many have been told, and so does judging it.
    """

    def __init__(self, goal: Goal) -> None:
        self.goal: Goal = goal
        self.epochs = 0  # of all trials together
        self.finished: set[int] = set()  # trials that ran to their end: only some of Optuna's pruners ask
        self._sign = 1.0 if goal == "max" else -1.0
        self._rows: dict[int, int] = {}
        self._trials: list[int] = []  # by row
        self._fields: list[_Field] = []  # by epoch
        self._top = -np.inf
        self._lengths = np.zeros(0, np.int64)
        self._scores = np.zeros((0, 0, 0))  # NaN beyond a trial's length, as are the others
        self._means = np.zeros((0, 0))
        self._best = np.zeros((0, 0))
        self._levels = np.zeros((0, 0))
        self._level_scores = np.zeros((0, 0, 0))

    def add(self, trial: int, scores: Sequence[float]) -> int:
        """Take in the next epoch of a trial, a score per fold in the metric's own sign; returns its number from 1.

        Raises ValueError for another number of folds than before.
        """
        epoch = self.length(trial)
        folds = self._scores.shape[2] if self.epochs else len(scores)
        if len(scores) != folds:
            raise ValueError(f"trial {trial} has {len(scores)} folds, and the trials before it {folds}")
        row = self._rows.setdefault(trial, len(self._rows))
        if row == len(self._trials):
            self._trials.append(trial)
        self._make_room(row + 1, epoch + 1, folds)
        values = self._sign * np.asarray(scores, dtype=np.float64)
        self._scores[row, epoch], self._means[row, epoch] = values, _mean(values)
        self._best[row, epoch] = max(self._means[row, epoch], self._best[row, epoch - 1] if epoch else -np.inf)
        self._top = max(self._top, float(self._best[row, epoch]))
        self._settle_level(row, epoch)
        self._lengths[row] = epoch + 1
        self._join_field(row, epoch)
        self.epochs += 1
        return epoch + 1

    def finish(self, trial: int) -> None:
        """The trial has run to its end: it was not stopped, and did not fail."""
        self.finished.add(trial)

    def length(self, trial: int) -> int:
        """How many epochs of a trial are known; 0 for an unknown trial."""
        row = self._rows.get(trial)
        return int(self._lengths[row]) if row is not None else 0

    def of(self, trial: int) -> Array:
        """The scores (epochs, folds) of a trial, larger is better, NaN where it diverged."""
        return self._scores[self._rows[trial], : self.length(trial)]

    def only(self, trials: Collection[int]) -> LearningCurves:
        """A copy with the curves of these trials alone; those that are not known are left out."""
        wanted = set(trials)
        known = [trial for trial in self._trials if trial in wanted]
        rows = [self._rows[trial] for trial in known]
        fewer = LearningCurves(self.goal)
        fewer._rows, fewer._trials = {trial: row for row, trial in enumerate(known)}, known
        fewer.finished = self.finished & wanted
        fewer._lengths, fewer._scores = self._lengths[rows], self._scores[rows]
        fewer._means, fewer._best = self._means[rows], self._best[rows]
        fewer._levels, fewer._level_scores = self._levels[rows], self._level_scores[rows]
        fewer._top = float(np.nanmax(fewer._best, initial=-np.inf))
        fewer.epochs = int(fewer._lengths.sum())
        fewer._fields = [fewer._field(epoch) for epoch in range(int(fewer._lengths.max(initial=0)))]
        return fewer

    @property
    def trials(self) -> list[int]:
        """The numbers of the trials, in the order of the rows: no copy, and not to be changed."""
        return self._trials

    def row(self, trial: int) -> int:
        """The row of a trial in the arrays; raises KeyError for an unknown one."""
        return self._rows[trial]

    @property
    def lengths(self) -> Array:
        """Epochs known of each trial (trials,)."""
        return self._lengths[: len(self._rows)]

    @property
    def scores(self) -> Array:
        """Scores (trials, epochs, folds), NaN beyond a trial's length and where it diverged."""
        return self._scores[: len(self._rows), : len(self._fields)]

    @property
    def means(self) -> Array:
        """Means over folds (trials, epochs): NaN beyond a trial's length, minus infinity where a fold diverged."""
        return self._means[: len(self._rows), : len(self._fields)]

    @property
    def best(self) -> Array:
        """The best mean over folds up to each epoch (trials, epochs), NaN beyond a trial's length."""
        return self._best[: len(self._rows), : len(self._fields)]

    @property
    def levels(self) -> Array:
        """The level of each trial after each epoch (trials, epochs), NaN beyond a trial's length."""
        return self._levels[: len(self._rows), : len(self._fields)]

    @property
    def level_scores(self) -> Array:
        """The scores by fold that make up each level (trials, epochs, folds)."""
        return self._level_scores[: len(self._rows), : len(self._fields)]

    def leads(self, trial: int) -> bool:
        """Whether no epoch of any trial is better than the best of this one."""
        return bool(self._best[self._rows[trial], self.length(trial) - 1] >= self._top)

    def rows_at(self, epoch: int) -> Array:
        """The rows of the trials whose epoch of this number, from 1, is known."""
        rows: Array = np.flatnonzero(self.lengths >= epoch)
        return rows

    def leader(self, epoch: int) -> int:
        """The row of the trial with the best level after this epoch, from 1."""
        return self._fields[epoch - 1].leader

    def recent(self, epoch: int) -> list[int]:
        """The latest trials by number that have a level after this epoch, from 1: RECENT besides any two, or all."""
        return self._fields[epoch - 1].recent

    def standing(self, trial: int, window: int) -> tuple[int, int]:
        """How many trials are ahead of this one at its newest epoch, and how many have come so far, itself among them.

        They are compared by their means over folds and over so many of the latest epochs.
        """
        row, epoch = self._rows[trial], self.length(trial) - 1
        there = self._fields[epoch]
        if window not in there.worths:  # nobody has asked for this epoch and window before
            rows = self.rows_at(epoch + 1)
            worths = self.means[rows, max(0, epoch + 1 - window) : epoch + 1].mean(axis=1)
            there.worths[window] = sorted(worths[~np.isnan(worths)].tolist())
        worths = there.worths[window]
        return len(worths) - bisect_right(worths, self._worth(row, epoch, window)), there.count

    def _settle_level(self, row: int, epoch: int) -> None:
        """The level after this epoch, from 0, and its folds."""
        newest = self._scores[row, epoch]
        newest = (newest + self._scores[row, epoch - 1]) / 2.0 if epoch else newest
        level, kept = _mean(newest), epoch - 1
        if epoch > 1 and self._levels[row, kept] >= level:
            level, newest = float(self._levels[row, kept]), self._level_scores[row, kept]
        self._levels[row, epoch], self._level_scores[row, epoch] = level, newest

    def _worth(self, row: int, epoch: int, window: int) -> float:
        """The mean over folds and over the latest epochs up to this one, from 0; NaN where they are no numbers."""
        return float(self._means[row, max(0, epoch + 1 - window) : epoch + 1].mean())

    def _join_field(self, row: int, epoch: int) -> None:
        """A trial has come as far as this epoch, from 0."""
        if epoch == len(self._fields):
            self._fields.append(_Field(leader=row))
        there, level = self._fields[epoch], self._levels[row, epoch]
        there.count += 1
        best = self._levels[there.leader, epoch]
        if level > best or (level == best and row < there.leader):
            there.leader = row
        if np.isfinite(level):
            insort(there.recent, self._trials[row])
            del there.recent[: -RECENT - 2]
        for window, worths in there.worths.items():
            worth = self._worth(row, epoch, window)
            if worth == worth:
                insort(worths, worth)

    def _field(self, epoch: int) -> _Field:
        """All that have come as far as this epoch, from 0, looked at anew."""
        rows = self.rows_at(epoch + 1)
        levels = self._levels[rows, epoch]
        numbers = np.sort(np.array(self._trials)[rows[np.isfinite(levels)]])
        return _Field(len(rows), int(rows[levels.argmax()]), numbers[-RECENT - 2 :].tolist())

    def _make_room(self, trials: int, epochs: int, folds: int) -> None:
        """Arrays of at least this size; twice the old where it does not do."""
        rows, columns, _ = self._scores.shape
        if trials <= rows and epochs <= columns:
            return
        size = (rows if trials <= rows else max(16, 2 * rows), columns if epochs <= columns else max(8, 2 * columns))
        self._scores = _grown(self._scores, (*size, folds), np.nan)
        self._means = _grown(self._means, size, np.nan)
        self._best = _grown(self._best, size, np.nan)
        self._levels = _grown(self._levels, size, np.nan)
        self._level_scores = _grown(self._level_scores, (*size, folds), np.nan)
        self._lengths = _grown(self._lengths, size[:1], 0)


def _mean(scores: Array) -> float:
    """The mean over folds; minus infinity where a fold has no number."""
    mean = sum(scores.tolist()) / len(scores)
    return mean if mean == mean else -np.inf


def _grown(array: Array, shape: tuple[int, ...], empty: float) -> Array:
    """The array in the corner of a larger one."""
    larger = np.full(shape, empty, array.dtype)
    larger[tuple(slice(0, length) for length in array.shape)] = array
    return larger

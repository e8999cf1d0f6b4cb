"""The trials of a long study that TPE reads, so that proposing a trial costs the same after thousands of them."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.backend import Array

MAX_BEST = 25  # trials that TPE calls good at most: it always reads all of these
MAX_LATEST = 600  # other trials that it reads: the cost grows with them, and the result does not (bench/samplers.py)
COMPARE_CHUNK = 250  # complete trials that are compared with one another at a time, which bounds the memory


class StudyView:
    """Optuna's study, of which a sampler sees only these trials."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study, self._trials = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]


class TPEObservations:
    """The trials that TPE reads: those that run, the MAX_BEST best of those that ended, the MAX_LATEST latest others.

    The first view reads all trials of the study, each later one those that have changed: it costs the same after a
    hundred thousand trials as after a thousand. A trial that is dropped cannot come back, whatever ends later.
    """

    def __init__(self) -> None:
        self._changed: set[int] | None = None  # ids of trials, since the latest view; None before the first
        self._running: dict[int, FrozenTrial] = {}  # by number
        self._ended_count = 0
        self._latest: list[FrozenTrial] = []  # that ended, by number: enough for MAX_LATEST besides the best ones
        self._best = BestTrials()

    def mark_changed(self, trial: FrozenTrial) -> None:
        """Have the next view read a trial that starts, is reopened, or is about to end."""
        if self._changed is not None:
            self._changed.add(trial._trial_id)

    def view(self, study: Study, current: FrozenTrial) -> StudyView:
        """Return the study as it is now, for the sampler of the trial that is being drawn."""
        if self._changed is None:
            self._add(study._get_trials(deepcopy=False, use_cache=False), study)
        else:
            changed = sorted(self._changed - {current._trial_id})
            self._add([study._storage.get_trial(trial_id) for trial_id in changed], study)
        self._changed = {current._trial_id}  # it is about to get its values, and is read when it has them
        ended = self._latest
        if self._ended_count > MAX_BEST + MAX_LATEST:
            best = self._best.best()
            numbers = {trial.number for trial in best}
            ended = best + [trial for trial in self._latest if trial.number not in numbers][-MAX_LATEST:]
        return StudyView(study, sorted([*ended, *self._running.values()], key=_number))

    def _add(self, trials: Sequence[FrozenTrial], study: Study) -> None:
        """Take in trials as they are now. Each trial is taken in once after it has ended."""
        complete = []
        for trial in trials:
            self._running.pop(trial.number, None)
            if trial.state is TrialState.RUNNING:
                self._running[trial.number] = trial
            elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self._ended_count += 1
                insort(self._latest, trial, key=_number)
                del self._latest[: -MAX_BEST - MAX_LATEST]
                complete += [trial] if trial.state is TrialState.COMPLETE else []
        for start in range(0, len(complete), COMPARE_CHUNK):
            self._best.add(complete[start : start + COMPARE_CHUNK], study)


class BestTrials:
    """The complete trials that are among the MAX_BEST best, or can be when more have ended.

    The best trials are those with the fewest better ones; with several metrics, a better trial is at least as good in
    all of them. Of equal trials the earlier comes first. A trial precedes another that it is better than, or that is
    equal and later.

    A trial that MAX_BEST others precede is not among the best and never will be. Neither is any trial that it precedes,
    because the same others precede that one too. So the counts of the trials that are kept are those among all trials.
    """

    def __init__(self) -> None:
        self._trials: list[FrozenTrial] = []
        self._losses: Array = np.zeros((0, 1))  # (trials, metrics), smaller is better
        self._counts: Array = np.zeros((2, 0), np.int64)  # for each trial, how many are better, how many precede it

    def add(self, trials: Sequence[FrozenTrial], study: Study) -> None:
        """Add complete trials."""
        signs = [-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in study.directions]
        new, old_count = np.array([trial.values for trial in trials]) * signs, len(self._trials)
        losses = np.concatenate([self._losses, new]) if old_count else new
        self._trials += trials
        numbers = np.array([trial.number for trial in self._trials])
        counts = np.pad(self._counts, ((0, 0), (0, len(new))))
        counts[:, :old_count] += _count_better(
            losses[old_count:], numbers[old_count:], losses[:old_count], numbers[:old_count]
        )
        counts[:, old_count:] = _count_better(losses, numbers, losses[old_count:], numbers[old_count:])
        kept = np.flatnonzero(counts[1] < MAX_BEST)
        self._trials = [self._trials[row] for row in kept.tolist()]
        self._losses, self._counts = losses[kept], counts[:, kept]

    def best(self) -> list[FrozenTrial]:
        """Return the MAX_BEST best of all trials that were added."""
        numbers = [trial.number for trial in self._trials]
        return [self._trials[row] for row in np.lexsort((numbers, self._counts[0]))[:MAX_BEST].tolist()]


def _count_better(losses: Array, numbers: Array, other_losses: Array, other_numbers: Array) -> Array:
    """Return for each other trial how many of the first ones are better, and how many precede it: (2, others)."""
    not_worse = (losses[:, None] <= other_losses).all(-1)  # (trials, others)
    better = not_worse & (losses[:, None] < other_losses).any(-1)
    precedes = better | (not_worse & (numbers[:, None] < other_numbers))
    counts: Array = np.stack([better.sum(axis=0), precedes.sum(axis=0)])
    return counts


_number = attrgetter("number")

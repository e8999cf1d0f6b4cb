"""History: which trials of a long study TPE is shown, so that a draw costs the same after thousands of them."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.backend import Array

BEST = 25  # trials that TPE calls good at most: all of these are always seen
LATEST = 600  # other trials seen: what a draw costs grows with them, and what is found does not (bench/samplers.py)
ABREAST = 250  # complete trials that are compared with one another at once, when there are many to read


class Seen:
    """A study of which a sampler sees these trials."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study, self._trials = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]


class History:
    """What TPE is to see of a study: the running trials, the BEST of those that ended, and the LATEST of the rest.

    For the first look it reads all trials, for each later one those that have changed: a look costs the same after a
    hundred thousand trials as after a thousand. What it forgets, none that ends later can bring back.
    """

    def __init__(self) -> None:
        self._changed: set[int] | None = None  # ids of trials, since the latest look; None before the first
        self._running: dict[int, FrozenTrial] = {}  # by number
        self._ended = 0
        self._latest: list[FrozenTrial] = []  # that ended, by number: as many as LATEST without the best can take
        self._contenders = Contenders()

    def changed(self, trial: FrozenTrial) -> None:
        """The trial begins, is opened again, or is about to end."""
        if self._changed is not None:
            self._changed.add(trial._trial_id)

    def seen(self, study: Study, drawn: FrozenTrial) -> Seen:
        """The study as it is now, for the sampler of the trial that is being drawn."""
        if self._changed is None:
            self._read(study._get_trials(deepcopy=False, use_cache=False), study)
        else:
            changed = sorted(self._changed - {drawn._trial_id})
            self._read([study._storage.get_trial(one) for one in changed], study)
        self._changed = {drawn._trial_id}  # it is about to get its values, and is read when it has them
        shown = self._latest
        if self._ended > BEST + LATEST:
            best = self._contenders.best()
            numbers = {trial.number for trial in best}
            shown = best + [trial for trial in self._latest if trial.number not in numbers][-LATEST:]
        return Seen(study, sorted([*shown, *self._running.values()], key=_number))

    def _read(self, trials: Sequence[FrozenTrial], study: Study) -> None:
        """Take in trials as they are now. One that has ended is read once."""
        complete = []
        for trial in trials:
            self._running.pop(trial.number, None)
            if trial.state is TrialState.RUNNING:
                self._running[trial.number] = trial
            elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self._ended += 1
                insort(self._latest, trial, key=_number)
                del self._latest[: -BEST - LATEST]
                complete += [trial] if trial.state is TrialState.COMPLETE else []
        for at in range(0, len(complete), ABREAST):
            self._contenders.add(complete[at : at + ABREAST], study)


class Contenders:
    """The complete trials that are among the BEST, or may be when more have ended.

    The best are those than which the fewest are better, in every metric where there are several; of equals the earlier.
    A trial that BEST others precede, being better or equal and earlier, is not among them and never will be. Nor is
    any that it precedes, for the same others precede that one: so the counts of those that are kept are of all trials.
    """

    def __init__(self) -> None:
        self._trials: list[FrozenTrial] = []
        self._losses: Array = np.zeros((0, 1))  # (trials, metrics), smaller is better
        self._counts: Array = np.zeros((2, 0), np.int64)  # of each trial: how many are better, how many precede it

    def add(self, trials: Sequence[FrozenTrial], study: Study) -> None:
        """These are complete."""
        signs = [-1.0 if way is StudyDirection.MAXIMIZE else 1.0 for way in study.directions]
        new, old = np.array([trial.values for trial in trials]) * signs, len(self._trials)
        losses = np.concatenate([self._losses, new]) if old else new
        self._trials += trials
        numbers = np.array([trial.number for trial in self._trials])
        counts = np.pad(self._counts, ((0, 0), (0, len(new))))
        counts[:, :old] += _ahead(losses[old:], numbers[old:], losses[:old], numbers[:old])
        counts[:, old:] = _ahead(losses, numbers, losses[old:], numbers[old:])
        stay = np.flatnonzero(counts[1] < BEST)
        self._trials = [self._trials[at] for at in stay.tolist()]
        self._losses, self._counts = losses[stay], counts[:, stay]

    def best(self) -> list[FrozenTrial]:
        """The BEST of all that were ever added."""
        numbers = [trial.number for trial in self._trials]
        return [self._trials[at] for at in np.lexsort((numbers, self._counts[0]))[:BEST].tolist()]


def _ahead(losses: Array, numbers: Array, others: Array, their_numbers: Array) -> Array:
    """For each other (trials, metrics), how many of these are better, and how many precede it (2, trials)."""
    level = (losses[:, None] <= others).all(-1)  # (these, others)
    better = level & (losses[:, None] < others).any(-1)
    precedes = better | (level & (numbers[:, None] < their_numbers))
    ahead: Array = np.stack([better.sum(axis=0), precedes.sum(axis=0)])
    return ahead


_number = attrgetter("number")

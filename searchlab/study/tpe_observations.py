"""The trials of a long study that TPE reads, so that proposing a trial costs the same after thousands of them."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Container, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.backend import Array
from searchlab.study.observation_table import ObservationTable

MAX_BEST = 25  # trials that TPE calls good at most: it always reads all of these
MAX_LATEST = 600  # other trials that it reads: the cost grows with them, and the result does not (bench/samplers.py)
MAX_ROWS = 4 * (MAX_BEST + MAX_LATEST)  # of the table, after which it is cleared of trials that are not read any more
COMPARE_CHUNK = 250  # complete trials that are compared with one another at a time, which bounds the memory


class StudyView:
    """Optuna's study, of which a sampler sees only some trials, with what TPE reads of them.

    Args:
        study: Optuna's study.
        numbers: Numbers of the trials that are seen, in order.
        table: What TPE reads of them; None where there are several metrics, which Optuna's own code handles.
        ended_count: How many trials have ended, seen or not.
        list_trials: Returns the trials that are seen, in order; called where they are needed.
    """

    def __init__(
        self,
        study: Study,
        numbers: Sequence[int],
        table: ObservationTable | None,
        ended_count: int,
        list_trials: Callable[[], list[FrozenTrial]],
    ) -> None:
        self._study, self._list_trials, self.ended_count = study, list_trials, ended_count
        self._table = table
        self._rows: Array = table.rows(numbers) if table else np.empty(0, np.intp)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]

    @cached_property
    def _trials(self) -> list[FrozenTrial]:
        return self._list_trials()

    def groups(self) -> list[dict[str, BaseDistribution]]:
        """Return the parameters of the trials in groups that always occur together, with their distributions."""
        table = self._table
        if table is None or table.mixed:
            trials = self._get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
            return _grouped([trial.distributions for trial in trials])
        return _grouped([{name: table.distributions[name] for name in names} for names in table.structures(self._rows)])

    def has_values_of(self, space: Mapping[str, BaseDistribution]) -> bool:
        """Return whether `split` gives the values of this space as Optuna's TPE would read them."""
        table = self._table
        return table is not None and all(
            name not in table.mixed and table.distributions.get(name) == distribution
            for name, distribution in space.items()
        )

    def split(self, space: Mapping[str, BaseDistribution]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the values of these parameters in the good trials and in the others, each in the order of trials.

        The good ones are the best tenth, and MAX_BEST at most.
        """
        if self._table is None:
            raise ValueError("only trials with one metric are split")
        below, above = self._below_and_above
        return self._table.values(below, list(space)), self._table.values(above, list(space))

    @cached_property
    def _below_and_above(self) -> tuple[Array, Array]:
        """The rows of the good trials and of the others."""
        table = cast(ObservationTable, self._table)
        positions = table.ranked(self._rows)
        n_below = min(math.ceil(0.1 * table.count_ended(self._rows)), MAX_BEST)
        return self._rows[np.sort(positions[:n_below])], self._rows[np.sort(positions[n_below:])]


def _grouped(spaces: Sequence[Mapping[str, BaseDistribution]]) -> list[dict[str, BaseDistribution]]:
    """Return the names of all spaces in groups: two are in one group where each space has both or none of them."""
    distinct = {frozenset(space): space for space in reversed(spaces)}
    groups: dict[tuple[bool, ...], dict[str, BaseDistribution]] = {}
    for name in dict.fromkeys(name for space in spaces for name in space):
        distribution = next(space[name] for space in spaces if name in space)
        groups.setdefault(tuple(name in names for names in distinct), {})[name] = distribution
    return list(groups.values())


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
        self._numbers: list[int] = []  # of these
        self._best = BestTrials()
        self._table: ObservationTable | None = None  # of all these, where there is one metric

    def mark_changed(self, trial: FrozenTrial) -> None:
        """Have the next view read a trial that starts, is reopened, or is about to end."""
        if self._changed is not None:
            self._changed.add(trial._trial_id)

    def view(self, study: Study, current: FrozenTrial) -> StudyView:
        """Return the study as it is now, for the sampler of the trial that is being drawn."""
        if self._changed is None:
            if len(study.directions) == 1:
                self._table = ObservationTable(-1.0 if study.directions[0] is StudyDirection.MAXIMIZE else 1.0)
            self._add(study._get_trials(deepcopy=False, use_cache=False), study)
        else:
            changed = sorted(self._changed - {current._trial_id})
            self._add([study._storage.get_trial(trial_id) for trial_id in changed], study)
        self._changed = {current._trial_id}  # it is about to get its values, and is read when it has them
        numbers, best = self._numbers, dict[int, FrozenTrial]()
        if self._ended_count > MAX_BEST + MAX_LATEST:
            best = {trial.number: trial for trial in self._best.best()}
            numbers = [*best, *[number for number in numbers if number not in best][-MAX_LATEST:]]
        numbers = sorted([*numbers, *self._running])
        known = dict(zip(self._numbers, self._latest, strict=True)) | best | self._running
        others = [number for number in numbers if number != current.number]
        return StudyView(study, others, self._table, self._ended_count, lambda: [known[number] for number in numbers])

    def _add(self, trials: Sequence[FrozenTrial], study: Study) -> None:
        """Take in trials as they are now. Each trial is taken in once after it has ended."""
        complete = []
        for trial in trials:
            self._running.pop(trial.number, None)
            if trial.state is TrialState.RUNNING:
                self._running[trial.number] = trial
            elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self._ended_count += 1
                place = bisect(self._numbers, trial.number)
                self._numbers.insert(place, trial.number)
                self._latest.insert(place, trial)
                del self._numbers[: -MAX_BEST - MAX_LATEST], self._latest[: -MAX_BEST - MAX_LATEST]
                complete += [trial] if trial.state is TrialState.COMPLETE else []
            else:
                continue
            if self._table is not None:
                self._table.set(trial)
        for start in range(0, len(complete), COMPARE_CHUNK):
            self._best.add(complete[start : start + COMPARE_CHUNK], study)
        if self._table is not None and len(self._table) > MAX_ROWS + len(self._running):
            self._table.keep({*self._numbers, *self._running, *[trial.number for trial in self._best.trials]})


class BestTrials:
    """The complete trials that are among the MAX_BEST best, or can be when more have ended.

    The best trials are those with the fewest better ones; with several metrics, a better trial is at least as good in
    all of them. Of equal trials the earlier comes first. A trial precedes another that it is better than, or that is
    equal and later.

    A trial that MAX_BEST others precede is not among the best and never will be. Neither is any trial that it precedes,
    because the same others precede that one too. So the counts of the trials that are kept are those among all trials.
    """

    def __init__(self) -> None:
        self.trials: list[FrozenTrial] = []
        self._losses: Array = np.zeros((0, 1))  # (trials, metrics), smaller is better
        self._counts: Array = np.zeros((2, 0), np.int64)  # for each trial, how many are better, how many precede it

    def add(self, trials: Sequence[FrozenTrial], study: Study) -> None:
        """Add complete trials."""
        signs = [-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in study.directions]
        new, old_count = np.array([trial.values for trial in trials]) * signs, len(self.trials)
        losses = np.concatenate([self._losses, new]) if old_count else new
        self.trials += trials
        numbers = np.array([trial.number for trial in self.trials])
        counts = np.pad(self._counts, ((0, 0), (0, len(new))))
        counts[:, :old_count] += _count_better(
            losses[old_count:], numbers[old_count:], losses[:old_count], numbers[:old_count]
        )
        counts[:, old_count:] = _count_better(losses, numbers, losses[old_count:], numbers[old_count:])
        kept = np.flatnonzero(counts[1] < MAX_BEST)
        self.trials = [self.trials[row] for row in kept.tolist()]
        self._losses, self._counts = losses[kept], counts[:, kept]

    def best(self) -> list[FrozenTrial]:
        """Return the MAX_BEST best of all trials that were added."""
        numbers = [trial.number for trial in self.trials]
        return [self.trials[row] for row in np.lexsort((numbers, self._counts[0]))[:MAX_BEST].tolist()]


def _count_better(losses: Array, numbers: Array, other_losses: Array, other_numbers: Array) -> Array:
    """Return for each other trial how many of the first ones are better, and how many precede it: (2, others)."""
    not_worse = (losses[:, None] <= other_losses).all(-1)  # (trials, others)
    better = not_worse & (losses[:, None] < other_losses).any(-1)
    precedes = better | (not_worse & (numbers[:, None] < other_numbers))
    counts: Array = np.stack([better.sum(axis=0), precedes.sum(axis=0)])
    return counts

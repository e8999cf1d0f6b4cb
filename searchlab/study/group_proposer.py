"""Proposals of groups that are worth training. An infeasible trial or a duplicate of another is not trained."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

from optuna.trial import FrozenTrial, Trial

from searchlab.fusion.groups import Group, group_size
from searchlab.runs.job import Job
from searchlab.space.constraints import ConstraintChecker
from searchlab.space.domains import Scalar
from searchlab.space.samplers import OptunaSampler
from searchlab.space.structure import structural_parameters, structure_key
from searchlab.study.storage.attributes import GROUP, INFEASIBLE
from searchlab.study.trial_proposer import TrialProposer, Values
from searchlab.study.trial_store import TrialStore

MAX_INFEASIBLE_RUN = 200  # infeasible trials in a row after which the search ends


class GroupProposer:
    """Proposes the groups of one study.

    Args:
        job: The sweep and its options.
        store: The trials of the study.

    Attributes:
        workers: The number of workers, as far as it is known; each of them should have something to train.
        best_sizes: By structure, the number of trials that train fastest side by side.
        generation_start: For each trial of a reproducible search, the first trial of its generation.
        no_feasible_reason: Why no further trial can be proposed; None while one can.
    """

    def __init__(self, job: Job, store: TrialStore) -> None:
        self.job, self.sweep, self.store = job, job.sweep, store
        self.workers = job.config.workers or 1
        self.best_sizes: dict[Hashable, int] = {}
        self.generation_start = store.generation_starts() if job.generation else {}
        self.no_feasible_reason: str | None = None
        self._awaited: int | None = None  # the open trial that a sampler object of the user's has repeated
        self._generation: int | None = None  # the first trial of the generation that is being drawn
        self._stored: dict[int, FrozenTrial] = {}  # trials that a killed process has drawn of it
        self._trials = TrialProposer(job, store.study)
        self._constraint = ConstraintChecker(job.sweep, job.rows.load)

    def must_wait(self) -> bool:
        """Return whether nothing is proposed until an open trial ends, because a sampler object has repeated its point.

        A sampler that has no more points says so when its last trial ends, and repeats points until then.
        """
        return self._awaited in self.store.open_trials

    def trials_left(self) -> int:
        """Return how many trials are still to be proposed; outside of a grid, an infeasible trial does not count."""
        return 0 if self.no_feasible_reason or self.store.sampler_stopped else self.trials_missing()

    def trials_missing(self) -> int:
        """Return how many trials are missing to those requested, whether or not any can still be proposed."""
        free = 0 if self._trials.has_grid else self.store.infeasible_count
        return max(0, self.job.trials - (self.store.trial_count - free))

    def next_group(self) -> Group | None:
        """Return the next group; None when no trial is left to propose.

        Where the best size for its structure is not measured yet, the group holds one trial and `max_followers` says
        how many more may join it.
        """
        max_size = self._max_size()
        proposed = self._propose_trainable({}) if max_size else None
        if proposed is None:
            return None
        number, values = proposed
        group = Group(str(number), (number,), (values,), self.job.config.seed)
        if max_size == 1 or self._trials.trains_alone(number):
            return group
        is_fixed = self.job.config.fuse != "auto" or bool(self.job.generation)
        size = max_size if is_fixed else self.best_sizes.get(structure_key(self.sweep, values))
        if size is None:
            return replace(group, max_followers=max_size - 1)
        return self._fill(group, min(max_size, size))

    def grow(self, group: Group, size: int) -> Group:
        """Return the group with more trials of its structure, up to `size`, which is the best size for it."""
        self.best_sizes[structure_key(self.sweep, group.parameters[0])] = size
        return self._fill(replace(group, max_followers=0), min(size, 1 + group.max_followers))

    def next_generation(self) -> list[Group]:
        """Return the groups of a generation: none of its trials is trained before the last one is proposed."""
        start, groups = self.store.trial_count, list[Group]()
        self._generation = start
        while self.trials_left() and self.store.trial_count - start < self.job.generation:
            group = self.next_group()
            groups += [group] if group else []
        for group in groups:
            self.generation_start |= dict.fromkeys(group.trials, start)
        return groups

    def interrupted_groups(self) -> list[Group]:
        """Return the open trials of a killed process, in the groups in which they were trained.

        A generation that was killed while it was drawn is drawn to its end, as it would have been.
        """
        trials = self.store.generation_in_drawing() if self.job.generation else {}
        if trials:
            self._stored = trials
            self.store.rewind(min(trials))
            return self.next_generation()
        return self._open_groups()

    def _open_groups(self) -> list[Group]:
        """Return the groups that a killed process had given out, with those of their trials that are open."""
        members: dict[str, list[tuple[int, Values]]] = {}
        merged_groups: dict[str, tuple[str, ...]] = {}
        for number, stored in self.store.interrupted_trials():
            trial, values = self._trials.reopen(number, stored)
            if not self._start(number, trial, values):
                continue
            about = stored.user_attrs.get(GROUP, {"group": str(number)})
            members.setdefault(about["group"], []).append((number, values))
            merged_groups[about["group"]] = tuple(about.get("parts", ()))
            self.generation_start[number] = about.get("since", 0)
        return [
            Group(
                name,
                tuple(number for number, _ in trials),
                tuple(values for _, values in trials),
                self.job.config.seed,
                merged_groups=merged_groups[name],
            )
            for name, trials in members.items()
        ]

    def store_merged(self, group: Group) -> Group:
        """Return the same group, after storing which groups it merges, if any."""
        if group.merged_groups:
            self._store_group(group, parts=list(group.merged_groups))
        return group

    def _fill(self, group: Group, size: int) -> Group:
        """Return the group with further trials of its structure until it holds `size`, or none is left."""
        fixed = structural_parameters(self.sweep, group.parameters[0])
        for _ in range(size - len(group.trials)):
            if not self.trials_left() or not self._trials.fits_structure(self.store.trial_count, fixed):
                break
            if proposed := self._propose(fixed):
                trials, parameters = (*group.trials, proposed[0]), (*group.parameters, proposed[1])
                group = replace(group, trials=trials, parameters=parameters)
        if len(group.trials) > 1:
            self._store_group(group)
        return group

    def _max_size(self) -> int:
        """Return how many trials the next group may hold."""
        job, left = self.job, self.trials_left()
        if job.generation and job.config.fuse == "auto":
            return min(left, max(1, job.generation // 4))
        return group_size(
            job.config.fuse,
            trials=job.trials,
            started=job.trials - left,
            workers=self.workers,
            startup_trials=self.sweep.sampler.startup_trials,
            same_structure=self._trials.structure_run(self.store.trial_count),
        )

    def _propose_trainable(self, fixed: Mapping[str, Scalar]) -> tuple[int, Values] | None:
        """Propose trials until one is to be trained, and return it; None when none is left."""
        infeasible_run = 0
        while self.trials_left():
            before = self.store.infeasible_count
            if proposed := self._propose(fixed):
                return proposed
            if self.must_wait():
                return None
            # duplicates count as trials, and so do infeasible points of a grid: these come to an end by themselves
            is_infeasible = self.store.infeasible_count > before and not self._trials.has_grid
            infeasible_run = infeasible_run + 1 if is_infeasible else 0
            if infeasible_run == MAX_INFEASIBLE_RUN:
                self.no_feasible_reason = f"{MAX_INFEASIBLE_RUN} trials in a row violate the constraint"
        return None

    def _propose(self, fixed: Mapping[str, Scalar]) -> tuple[int, Values] | None:
        """Create the next trial and return it; None where it is not trained."""
        number = self.store.trial_count
        if number in self._stored:
            return self._propose_stored(number, self._stored.pop(number), fixed)
        generation = {GROUP: {"group": str(number), "since": self._generation}} if self.job.generation else None
        trial, values = self._trials.propose(number, fixed, generation)
        self.store.trial_count += 1
        return (number, values) if self._start(number, trial, values) else None

    def _propose_stored(
        self, number: int, stored: FrozenTrial, fixed: Mapping[str, Scalar]
    ) -> tuple[int, Values] | None:
        """Return a trial that is stored already, as if it were new; None where it is not trained."""
        self.store.trial_count += 1
        if stored.state.is_finished():  # untrained, because nothing of its generation was trained
            self.store.infeasible_count += INFEASIBLE in stored.user_attrs
            return None
        trial, values = self._trials.reopen(number, stored, fixed)
        return (number, values) if self._start(number, trial, values) else None

    def _start(self, number: int, trial: Trial, values: Values) -> bool:
        """Add a trial to the store, and return whether it is to be trained; otherwise it ends untrained."""
        self.store.start(number, trial, values)
        if self.sweep.constraint is not None:
            violation = self._constraint.violation(values)
            self.store.report_violation(number, violation)
            if violation > 0:
                self.store.mark_infeasible(number, self._constraint.violation_message(violation))
                return False
        if isinstance(self.sweep.sampler, OptunaSampler):
            self._awaited = self.store.open_original(values)
        return not self.store.link_duplicate(number, values)

    def _store_group(self, group: Group, **about: object) -> None:
        generation = {"since": self._generation} if self.job.generation else {}
        self.store.store_group(group.trials, {"group": group.id, **generation, **about})

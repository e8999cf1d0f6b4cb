"""Drawing: groups of trials that are worth training. What the constraint forbids or a twin answers ends at once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

from optuna.trial import Trial

from searchlab.fusion.groups import Group, group_size
from searchlab.runs.job import Job
from searchlab.space.constraints import Candidates
from searchlab.space.domains import Scalar
from searchlab.space.structure import structural
from searchlab.study.survivor_queue import structure_of
from searchlab.study.trial_proposer import TrialProposer, Values
from searchlab.study.trial_store import TrialStore

IN_VAIN = 200  # draws in a row that break the constraint, until the search gives up


class GroupProposer:
    """Draws the groups of one study. `in_vain` says why no more can be drawn, should it come to that."""

    def __init__(self, job: Job, ledger: TrialStore) -> None:
        self.job, self.sweep, self.ledger = job, job.sweep, ledger
        self.workers = job.workers or 1  # that train, as far as is known
        self.in_vain: str | None = None
        self.pays: dict[Hashable, int] = {}  # by structure: how many trials are trained fastest side by side
        self.generation: dict[int, int] = {}  # of a trial: the first number of its generation, where reproducible
        self._proposals = TrialProposer(job, ledger.study)
        self._candidates = Candidates(job.sweep, job.sweep.data.training)

    def left(self) -> int:
        """How many trials are still to be drawn. One that breaks the constraint does not count, save in a plan."""
        free = 0 if self._proposals.listed else self.ledger.infeasible
        return 0 if self.in_vain else max(0, self.job.trials - (self.ledger.count - free))

    def group(self) -> Group | None:
        """The next group; None when no trial is left to draw.

        Where it is not known yet how many trials of its structure pay, it is the leader with `room` for others.
        """
        most = self._most()
        drawn = self._worthwhile({}) if most else None
        if drawn is None:
            return None
        number, parameters = drawn
        group = Group(str(number), (number,), (parameters,), self.job.seed)
        if most == 1 or self._proposals.alone(number):
            return group
        known = self.job.fuse != "auto" or bool(self.job.generation)
        pays = most if known else self.pays.get(structure_of(self.sweep, parameters))
        return replace(group, room=most - 1) if pays is None else self.fill(group, min(most, pays))

    def grow(self, group: Group, pays: int) -> Group:
        """The group with as many more trials as make `pays` in all, as far as it has room."""
        self.pays[structure_of(self.sweep, group.parameters[0])] = pays
        return self.fill(replace(group, room=0), min(pays, 1 + group.room))

    def fill(self, group: Group, size: int) -> Group:
        """The group with followers drawn at its structure until it holds so many, or none is left."""
        fixed = structural(self.sweep, group.parameters[0])
        for _ in range(size - len(group.trials)):
            if not self.left() or not self._proposals.follows(self.ledger.count, fixed):
                break
            if drawn := self._draw(fixed):
                trials, parameters = (*group.trials, drawn[0]), (*group.parameters, drawn[1])
                group = replace(group, trials=trials, parameters=parameters)
        if len(group.trials) > 1:
            self._write_down(group)
        return group

    def next_generation(self) -> list[Group]:
        """The groups of a generation, all drawn before any of it is trained: they know of those before alone."""
        since, groups = self.ledger.count, list[Group]()
        while self.left() and self.ledger.count - since < self.job.generation:
            group = self.group()
            groups += [group] if group else []
        for group in groups:
            self.generation |= dict.fromkeys(group.trials, since)
            self._write_down(group, since=since)
        return groups

    def take_up(self) -> list[Group]:
        """Open trials of a killed process, in the groups they were handed out in."""
        found: dict[str, list[tuple[int, Values]]] = {}
        parts: dict[str, tuple[str, ...]] = {}
        for number, frozen in self.ledger.left_open():
            trial, parameters = self._proposals.reopen(number, frozen)
            if not self._begin(number, trial, parameters):
                continue
            told = frozen.user_attrs.get("group", {"group": str(number)})
            found.setdefault(told["group"], []).append((number, parameters))
            parts[told["group"]] = tuple(told.get("parts", ()))
            self.generation[number] = told.get("since", 0)
        return [
            Group(name, tuple(n for n, _ in drawn), tuple(p for _, p in drawn), self.job.seed, parts=parts[name])
            for name, drawn in found.items()
        ]

    def merge(self, group: Group) -> Group:
        """The same group, written down where it brings others together."""
        if group.parts:
            self._write_down(group, parts=list(group.parts))
        return group

    def _most(self) -> int:
        """How many trials the next group may hold."""
        job, left = self.job, self.left()
        if job.generation and job.fuse == "auto":
            return min(left, max(1, job.generation // 4))
        alike, start_up = self._proposals.alike(self.ledger.count), self.sweep.sampler.start_up
        return group_size(
            job.fuse, trials=job.trials, begun=job.trials - left, workers=self.workers, start_up=start_up, alike=alike
        )

    def _worthwhile(self, fixed: Mapping[str, Scalar]) -> tuple[int, Values] | None:
        """Draw until a trial is worth training; None when none is left."""
        vain = 0
        while self.left():
            before = self.ledger.infeasible
            if drawn := self._draw(fixed):
                return drawn
            # a twin counts, as does any point of a plan: these come to an end by themselves
            vain = 0 if self.ledger.infeasible == before or self._proposals.listed else vain + 1
            if vain == IN_VAIN:
                self.in_vain = f"{IN_VAIN} points in a row broke the constraint"
        return None

    def _draw(self, fixed: Mapping[str, Scalar]) -> tuple[int, Values] | None:
        """A new trial; None where it need not be trained."""
        number = self.ledger.count
        trial, parameters = self._proposals.draw(number, fixed)
        self.ledger.count += 1
        return (number, parameters) if self._begin(number, trial, parameters) else None

    def _begin(self, number: int, trial: Trial, parameters: Values) -> bool:
        """Whether a trial that is drawn is to be trained; else it has ended, or ends when its twin does."""
        self.ledger.begin(number, trial, parameters)
        if self.sweep.constraint is not None:
            excess = self._candidates.excess(parameters)
            self.ledger.constrain(number, excess)
            if excess > 0:
                self.ledger.rule_out(number, self._candidates.told(excess))
                return False
        return not self.ledger.follow(number, parameters)

    def _write_down(self, group: Group, **about: object) -> None:
        for number in group.trials:
            self.ledger.belongs(number, {"group": group.id, **about})

"""What a worker does with a group: build it or take it up from its checkpoint, train it, and report every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from searchlab.backend import Device, unavailable_reason
from searchlab.data.loaded import LoadedDataset
from searchlab.engine.checkpoints import Checkpoints
from searchlab.engine.group_run import GroupRun
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Group
from searchlab.fusion.memory import Needs
from searchlab.fusion.speed import Speeds
from searchlab.runs.study_client import StudyClient, StudyUnreachable
from searchlab.space.byte_size import size
from searchlab.space.sweep import Sweep

Outcome: TypeAlias = Literal["ended", "back", "paused"]  # of training a group


@dataclass(frozen=True)
class Worker:
    """Trains groups of one sweep on one device. The data is read once, however many groups come.

    A group that would take more than `memory` bytes, its data included, trains in parts, one after the other: what is
    drawn and what comes of it are the same on every machine. None is as much as there is.
    """

    sweep: Sweep
    judge: StudyClient
    checkpoints: Checkpoints
    device: Device = "cpu"
    memory: int | None = None

    @cached_property
    def table(self) -> LoadedDataset:
        """The training rows on the device; raises UserMistake when there is no such device."""
        missing = unavailable_reason(self.device)
        if missing:
            raise UserMistake(f"device {self.device!r} cannot be used here: {missing}.")
        return self.sweep.data.training().on(self.device)

    @cached_property
    def needs(self) -> Needs:
        """What structures take. It is measured on the host, so for another device the rows are read once more."""
        return Needs(self.sweep, self.table if self.device == "cpu" else self.sweep.data.training(), self.device)

    @cached_property
    def speeds(self) -> Speeds:
        """How many trials of a structure train fastest side by side."""
        return Speeds(self.sweep, self.table, self.device)

    def train(self, group: Group) -> None:
        """Train a group to its end, or until it is put back. What goes wrong in its own code fails its trials."""
        parts: list[Group] = []
        try:
            with self._answering(group):
                group = self._grown(group)
                parts = self._parts(group)
        except MemoryError:  # measuring takes more than training may
            parts = [replace(group, room=0)]
        for part in parts:
            outcome = self._attempt(part, whole=len(parts) == 1)
            if outcome == "paused":
                return
            if outcome == "ended":
                self.checkpoints.drop(group.id)

    def _grown(self, group: Group) -> Group:
        """The group with the followers that are worth it, where it has room for any."""
        if not group.room:
            return group
        leader, most = group.parameters[0], 1 + group.room
        if self.memory is not None:
            most = max(1, self.needs.most([leader] * most, self.memory))
        return self.judge.grow(group, self.speeds.best(leader, most))

    def _parts(self, group: Group) -> list[Group]:
        """The group cut to what fits, first what its checkpoint holds; nothing where not one trial fits: all fail."""
        most = self._most(group)
        if not most:
            return []
        saved = self.checkpoints.of(group)
        begun = [number for number in group.trials if saved and number in saved.trials]
        rest = [number for number in group.trials if number not in begun]
        cuts = [some[at : at + most] for some in (begun, rest) for at in range(0, len(some), most)]
        return [group.of(numbers) for numbers in cuts]

    def _most(self, group: Group) -> int:
        """How many of its trials may train side by side; 0 where not one fits, and all have failed."""
        count = len(group.trials)
        most = count if group.most is None else min(count, group.most)
        if self.memory is None:
            return most
        fit = self.needs.most(group.parameters, self.memory)
        if group.most is not None:
            needed = self.needs.of(group.parameters[0]).bytes(self.needs.folds) + self.needs.data
            self.judge.weigh(group.trials, needed, self.memory)
        if not fit:
            self.judge.fail(group.trials, f"infeasible: {self.needs.told(group.parameters[0], self.memory)}")
            self.checkpoints.drop(group.id)
        elif fit < most:
            self._tell_cut(group, fit, self.memory)
        return min(most, fit)

    def _tell_cut(self, group: Group, most: int, memory: int) -> None:
        needs, parameters = self.needs, group.parameters[0]
        name, each = needs.named(parameters) or "this structure", needs.of(parameters).replica
        self.judge.note(
            name,
            f"memory: {name} takes {size(each)} a replica, {needs.folds} a trial; of a group of {len(group.trials)} "
            f"trials {most} at a time fit into the {size(memory)} of a worker",
        )

    @contextmanager
    def _answering(self, group: Group) -> Iterator[None]:
        """What goes wrong within fails these trials."""
        try:
            yield
        except (WorldFault, MemoryError, StudyUnreachable):
            raise  # the disk, the data or the network, not the trial: the same would happen to the next one
        except Exception as error:
            self.judge.fail(group.trials, _reason(error))

    def _attempt(self, group: Group, *, whole: bool) -> Outcome:
        """Train the group; where its memory runs out, its halves one after the other, at last each trial alone."""
        outcome: Outcome = "ended"
        try:
            with self._answering(group):
                outcome = self._train(group, whole=whole)
            return outcome
        except MemoryError as error:
            told = str(error).strip() or "there was no memory left"
        left = self.judge.running(group.trials)  # outside of `except`, which would hold on to what the group took
        if len(left) == 1:
            self.judge.fail(left, f"infeasible: alone in its worker, it ran out of memory ({told})")
        half = (len(left) + 1) // 2
        for numbers in (left[:half], left[half:]) if len(left) > 1 else ():
            outcome = self._attempt(group.of(numbers), whole=False)
            if outcome == "paused":
                break
        return outcome

    def _train(self, group: Group, *, whole: bool) -> Outcome:
        run = GroupRun.begin(group, self.sweep, self.table, self.judge, self.checkpoints.of(group), self.device)
        if group.parts:
            self._save(group, run)
            for part in group.parts:
                self.checkpoints.drop(part)
        while run.trials and not run.last():
            before = len(run.trials)
            run.advance()
            if run.paused:
                self._save(group, run)
                return "paused"
            if run.trials and whole and len(run.trials) < before and run.thin():
                self._save(group, run)
                if self.judge.take_back(group.of(run.trials), run.trainer.epoch):
                    return "back"
            elif run.trials and self.checkpoints.due():
                self._save(group, run)
        if run.trials:
            self.judge.finish(run.trials, run.trainer.advance())
        return "ended"

    def _save(self, group: Group, run: GroupRun) -> None:
        self.checkpoints.save(group.id, run.checkpoint())


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    if isinstance(error, UserMistake) and text:
        return text[0]  # a sentence for people: the class adds nothing
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

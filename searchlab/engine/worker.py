"""A worker trains groups: it splits them to its memory, continues them from checkpoints, and reports every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from searchlab.backend import Device, unavailable_reason
from searchlab.data.loaded import LoadedDataset
from searchlab.data.training_rows import TrainingRows
from searchlab.engine.checkpoints import CheckpointStore
from searchlab.engine.group_run import GroupRun
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Group
from searchlab.fusion.memory import MemoryModel
from searchlab.fusion.speed import SpeedModel
from searchlab.runs.study_client import StudyClient, StudyUnreachable
from searchlab.space.byte_size import format_bytes
from searchlab.space.sweep import Sweep
from searchlab.tracebacks import error_sentence, traceback_text

GroupState: TypeAlias = Literal["ended", "returned", "paused"]  # "returned": its survivors wait for other trials


@dataclass(frozen=True)
class Worker:
    """A worker for one sweep on one device; it reads the data once for all groups.

    A group that needs more than `memory` bytes, its data included, trains in parts one after the other, so that the
    trials and their results are the same on every machine.

    Args:
        sweep: The sweep.
        rows: The training rows.
        study: Where groups are reported to.
        checkpoints: Where groups are saved.
        device: Device to train on; default "cpu".
        memory: Bytes that the data and a group may take; default: no limit.
    """

    sweep: Sweep
    rows: TrainingRows
    study: StudyClient
    checkpoints: CheckpointStore
    device: Device = "cpu"
    memory: int | None = None

    @cached_property
    def data(self) -> LoadedDataset:
        """The training rows on the device; raise UserMistake when the device cannot be used."""
        reason = unavailable_reason(self.device)
        if reason:
            raise UserMistake(f"device {self.device!r} cannot be used here: {reason}.")
        return self.rows.load().to(self.device)

    @cached_property
    def memory_model(self) -> MemoryModel:
        """The memory needs of the sweep's structures, measured on the host."""
        return MemoryModel(self.sweep, self.rows.load(), self.device)

    @cached_property
    def speed_model(self) -> SpeedModel:
        """The speeds of the sweep's structures, measured on the device."""
        return SpeedModel(self.sweep, self.data, self.device)

    def train(self, group: Group) -> None:
        """Train a group until it ends or is saved and returned. Exceptions in the network's code fail its trials."""
        parts: list[Group] = []
        try:
            with self._failing(group):
                group = self._add_followers(group)
                parts = self._split(group)
        except MemoryError:  # to measure takes more memory than to train may take
            parts = [replace(group, max_followers=0)]
        for part in parts:
            state = self._train_within_memory(part, may_return=len(parts) == 1)
            if state == "paused":
                return
            if state == "ended":
                self.checkpoints.delete(group.id)

    def _add_followers(self, group: Group) -> Group:
        """Return the group with as many more trials as make it faster and fit, if it may have any."""
        if not group.max_followers:
            return group
        leader, size = group.parameters[0], 1 + group.max_followers
        if self.memory is not None:
            size = max(1, self.memory_model.max_trials([leader] * size, self.memory))
        return self.study.grow(group, self.speed_model.best_group_size(leader, size))

    def _split(self, group: Group) -> list[Group]:
        """Return parts of the group that fit into memory, trials in its checkpoint first; none when all have failed."""
        size = self._max_side_by_side(group)
        if not size:
            return []
        saved = self.checkpoints.load_group(group)
        started = [number for number in group.trials if saved and number in saved.trials]
        new = [number for number in group.trials if number not in started]
        parts = [numbers[i : i + size] for numbers in (started, new) for i in range(0, len(numbers), size)]
        return [group.subset(numbers) for numbers in parts]

    def _max_side_by_side(self, group: Group) -> int:
        """Return how many of its trials may train side by side; when not even one fits, fail all and return 0."""
        count = len(group.trials)
        allowed = count if group.max_side_by_side is None else min(count, group.max_side_by_side)
        if self.memory is None:
            return allowed
        model = self.memory_model
        fitting = model.max_trials(group.parameters, self.memory)
        if group.max_side_by_side is not None:  # a worker has crashed: the message may need these numbers
            needed = model.measure(group.parameters[0]).total_bytes(model.folds) + model.data_bytes
            self.study.report_memory(group.trials, needed, self.memory)
        if not fitting:
            shortage = model.shortage_message(group.parameters[0], self.memory)
            self.study.fail(group.trials, f"infeasible: {shortage}")
            self.checkpoints.delete(group.id)
        elif fitting < allowed:
            self._notify_split(group, fitting, self.memory)
        return min(allowed, fitting)

    def _notify_split(self, group: Group, fitting: int, memory: int) -> None:
        model, parameters = self.memory_model, group.parameters[0]
        name = model.structure_name(parameters) or "this structure"
        replica_bytes = format_bytes(model.measure(parameters).replica_bytes)
        self.study.notify(
            name,
            f"memory: {name} needs {replica_bytes} per replica, with {model.folds} replicas per trial; of a group of "
            f"{len(group.trials)} trials, {fitting} at a time fit into the {format_bytes(memory)} of a worker",
        )

    @contextmanager
    def _failing(self, group: Group) -> Iterator[None]:
        """Fail the trials of this group for an exception within the block, unless another trial would meet it too."""
        try:
            yield
        except (WorldFault, MemoryError, StudyUnreachable):
            raise  # from the disk, the data or the network, or handled by the caller
        except Exception as error:
            self.study.fail(group.trials, error_sentence(error), traceback_text(error))

    def _train_within_memory(self, group: Group, *, may_return: bool) -> GroupState:
        """Train the group; when memory runs out, train its halves one after the other, down to each trial alone."""
        state: GroupState = "ended"
        try:
            with self._failing(group):
                state = self._train(group, may_return=may_return)
            return state
        except MemoryError as error:
            reason = str(error).strip() or "no memory was left"
        numbers = self.study.running(group.trials)  # after `except`, whose traceback keeps the group's arrays alive
        if len(numbers) == 1:
            self.study.fail(numbers, f"infeasible: the trial ran out of memory alone in its worker ({reason})")
        half = (len(numbers) + 1) // 2
        for part in (numbers[:half], numbers[half:]) if len(numbers) > 1 else ():
            state = self._train_within_memory(group.subset(part), may_return=False)
            if state == "paused":
                break
        return state

    def _train(self, group: Group, *, may_return: bool) -> GroupState:
        saved = self.checkpoints.load_group(group)
        run = GroupRun.start(group, self.sweep, self.data, self.study, saved, self.device)
        if group.merged_groups and saved:
            self._save(group, run)
        for merged in group.merged_groups:
            self.checkpoints.delete(merged)
        while run.trials and not run.is_last_epoch:
            count = len(run.trials)
            run.advance()
            if run.is_paused:
                return "paused" if self._save(group, run) else "ended"
            if may_return and 0 < len(run.trials) < count and run.should_return_survivors:
                is_saved = self._save(group, run)
                if is_saved and self.study.return_survivors(group.subset(run.trials), run.trainer.epoch):
                    return "returned"
            elif run.trials and self.checkpoints.is_due():
                self._save(group, run)
        if run.trials:
            self.study.finish(run.trials, run.trainer.advance())
        return "ended"

    def _save(self, group: Group, run: GroupRun) -> bool:
        """Save the trials that the study continues after the latest epoch; return whether there are any."""
        run.await_decision()
        if run.trials:
            self.checkpoints.save(group.id, run.checkpoint())
        return bool(run.trials)

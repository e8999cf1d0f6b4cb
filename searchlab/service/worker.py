"""What a worker does with a group: build it or take it up from its checkpoint, train it, and report every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np

from searchlab.backend import Device, why_not
from searchlab.data.examples import Table
from searchlab.errors import UserMistake, WorldFault
from searchlab.service.checkpoints import Checkpoint, Checkpoints
from searchlab.sweep.groups import Group, build
from searchlab.sweep.memory import Needs, size
from searchlab.sweep.sweep import Sweep
from searchlab.training import Report, Trainer

Answer: TypeAlias = Callable[[], list[int]]


class Judge(Protocol):
    """The study as a worker sees it, in this process or another."""

    def report(self, numbers: Sequence[int], report: Report) -> Answer:
        """Take in an epoch; the answer, once it is asked for, says which trials go on."""

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        """Take in the last epoch of these trials."""

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        """These trials ended without a value."""

    def note(self, about: str, text: str) -> None:
        """Something for whoever watches, told once for each thing it is about."""


@dataclass(frozen=True)
class Worker:
    """Trains groups of one sweep on one device. The data is read once, however many groups come.

    A group that would take more than `memory` bytes, its data included, trains in parts, one after the other: what is
    drawn and what comes of it are the same on every machine. None is as much as there is.
    """

    sweep: Sweep
    judge: Judge
    checkpoints: Checkpoints
    device: Device = "cpu"
    memory: int | None = None

    @cached_property
    def table(self) -> Table:
        """The training rows on the device; raises UserMistake when there is no such device."""
        missing = why_not(self.device)
        if missing:
            raise UserMistake(f"device {self.device!r} cannot be used here: {missing}.")
        return self.sweep.data.training().on(self.device)

    @cached_property
    def needs(self) -> Needs:
        """What structures take. It is measured on the host, so for another device the rows are read once more."""
        return Needs(self.sweep, self.table if self.device == "cpu" else self.sweep.data.training(), self.device)

    def train(self, group: Group) -> None:
        """Train a group to its end. What goes wrong in its own code fails its trials; the sweep goes on."""
        for part in [group] if self.memory is None else self._parts(group, self.memory):
            with self._answering(part):
                self._train(part)
            self.checkpoints.drop(group.id)

    def _parts(self, group: Group, memory: int) -> list[Group]:
        """The group cut to what fits, first what its checkpoint holds; nothing where not one trial fits: all fail."""
        most = 0
        with self._answering(group):
            most = self.needs.most(group.parameters, memory)
            if not most:
                self.judge.fail(group.trials, self.needs.told(group.parameters[0], memory))
        if most >= len(group.trials):
            return [group]
        if not most:
            self.checkpoints.drop(group.id)
            return []
        self._tell_cut(group, most, memory)
        saved = self.checkpoints.load(group.id)
        begun = [number for number in group.trials if saved and number in saved.trials]
        rest = [number for number in group.trials if number not in begun]
        cuts = [some[at : at + most] for some in (begun, rest) for at in range(0, len(some), most)]
        return [group.of(numbers) for numbers in cuts]

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
        except WorldFault:
            raise  # the disk or the data, not the trial: the same would happen to the next one
        except Exception as error:
            self.judge.fail(group.trials, _reason(error))

    def _train(self, group: Group) -> None:
        run = _Run.begin(self, group)
        while run.trials and not run.last():
            run.advance()
            if run.trials and self.checkpoints.due():
                self.checkpoints.save(group.id, Checkpoint(run.trials, tuple(run.reports), run.trainer.state()))
        if run.trials:
            self.judge.finish(run.trials, run.trainer.advance())


@dataclass
class _Run:
    """A group at work: its trainer, the trials still in it, every report so far, and the answer to the latest.

    An answer is taken up after the epoch that follows, so that no time is lost on the way to the study and back: a
    trial that the study stops trains one epoch more. A trial that diverged is dropped at once.
    """

    judge: Judge
    trainer: Trainer
    trials: tuple[int, ...]
    folds: int
    reports: list[tuple[tuple[int, ...], Report]] = field(default_factory=list)
    answer: Answer | None = None

    @classmethod
    def begin(cls, worker: Worker, group: Group) -> _Run:
        saved = worker.checkpoints.load(group.id)
        saved = saved and saved.of(group.trials)  # those that have ended since are not taken up again
        trials = saved.trials if saved else group.trials
        split = worker.sweep.validation.split(worker.table)
        parameters = [group.parameters[group.trials.index(number)] for number in trials]
        trainer = build(worker.sweep, parameters, worker.table, split, group.seed, worker.device)
        run = cls(worker.judge, trainer, trials, split.folds)
        if saved:
            trainer.restore(saved.epoch, saved.state)
            for numbers, report in saved.reports:  # a study that was killed has forgotten the curves of open trials
                run.tell(numbers, report)
        return run

    def last(self) -> bool:
        """Whether the epoch to come is the last."""
        return self.trainer.epoch + 1 >= self.trainer.epochs

    def advance(self) -> None:
        """Train an epoch that is not the last, and go on with the trials that are well and were not stopped."""
        report, before = self.trainer.advance(), self.answer
        self.tell(self.trials, report)
        well = [not any(report.failures[at * self.folds : (at + 1) * self.folds]) for at in range(len(self.trials))]
        survivors = before() if before else self.trials
        self.keep([at for at, number in enumerate(self.trials) if well[at] and number in survivors])

    def tell(self, numbers: tuple[int, ...], report: Report) -> None:
        """Report an epoch, and keep the report for a checkpoint."""
        self.reports.append((numbers, report))
        self.answer = self.judge.report(numbers, report)

    def keep(self, stay: Sequence[int]) -> None:
        """Go on with the trials at these positions."""
        if len(stay) < len(self.trials):
            self.trials = tuple(self.trials[position] for position in stay)
            if stay:
                rows = np.array(stay)[:, None] * self.folds + np.arange(self.folds)
                self.trainer.keep(rows.reshape(-1))


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    if isinstance(error, UserMistake) and text:
        return text[0]  # a sentence for people: the class adds nothing
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

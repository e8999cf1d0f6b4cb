"""A group at work: trained epoch by epoch, each reported, with whom the study lets go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.engine.checkpoints import Checkpoint
from searchlab.fusion.groups import Group, build
from searchlab.pruning.pruner import Pruner
from searchlab.runs.study_client import Decision, PendingDecision, StudyClient
from searchlab.space.sweep import Sweep
from searchlab.training import EpochReport, Trainer

AT_ONCE = 0.1  # seconds of an epoch from which the way to the study and back no longer counts
WORTH = 0.5  # seconds left to train, below which survivors are not saved to be put together with others


@dataclass
class GroupRun:
    """A group at work: its trainer, the trials still in it, every report so far, and the answer to the latest.

    Where the pruner may stop many, and where an epoch takes long, the answer is waited for. Elsewhere it is taken up
    after the epoch that follows, so that no time is lost on the way to the study and back. A trial that diverged is
    dropped at once.
    """

    judge: StudyClient
    pruner: Pruner
    trainer: Trainer
    trials: tuple[int, ...]
    folds: int
    reports: list[tuple[tuple[int, ...], EpochReport]] = field(default_factory=list)
    answer: PendingDecision | None = None
    paused: bool = False
    began: int = 0  # trials that it began with
    left: float = 0.0  # seconds that its last epochs will take, by the latest

    @classmethod
    def begin(
        cls,
        group: Group,
        sweep: Sweep,
        table: LoadedDataset,
        judge: StudyClient,
        saved: Checkpoint | None,
        device: Device,
    ) -> GroupRun:
        """Build the group, and go on from what is saved of it."""
        trials = saved.trials if saved else group.trials
        split = sweep.validation.split(table)
        parameters = [group.parameters[group.trials.index(number)] for number in trials]
        trainer = build(sweep, parameters, table, split, group.seed, device)
        run = cls(judge, sweep.chosen_pruner, trainer, trials, split.folds, began=len(trials))
        if saved:
            trainer.restore(saved.epoch, saved.state)
            run.reports += saved.reports
            judge.recall(saved.reports)  # a study that was killed has forgotten the curves of open trials
        return run

    def last(self) -> bool:
        """Whether the epoch to come is the last."""
        return self.trainer.epoch + 1 >= self.trainer.epochs

    def thin(self) -> bool:
        """Whether so few are left, with so much to train, that they had better be put together with others."""
        return 2 * len(self.trials) <= self.began and self.left >= WORTH

    def advance(self) -> None:
        """Train an epoch that is not the last, and go on with the trials that are well and were not stopped."""
        report, before = self.trainer.advance(), self.answer
        self.left = report.seconds * (self.trainer.epochs - self.trainer.epoch)
        self.reports.append((self.trials, report))
        at_once = self.pruner.decisive(report.epoch) or report.seconds >= AT_ONCE
        self.answer = self.judge.report(self.trials, report, at_once=at_once)
        if at_once:
            before = self.answer
        verdict = before() if before else Decision(self.trials)
        well = [not any(report.failures[at * self.folds : (at + 1) * self.folds]) for at in range(len(self.trials))]
        self.keep([at for at, number in enumerate(self.trials) if well[at] and number in verdict.stay])
        self.paused = verdict.pause and bool(self.trials)

    def checkpoint(self) -> Checkpoint:
        """Where it stands."""
        return Checkpoint(self.trials, tuple(self.reports), self.trainer.state())

    def keep(self, stay: Sequence[int]) -> None:
        """Go on with the trials at these positions."""
        if len(stay) < len(self.trials):
            self.trials = tuple(self.trials[position] for position in stay)
            if stay:
                rows = np.array(stay)[:, None] * self.folds + np.arange(self.folds)
                self.trainer.keep(rows.reshape(-1))

"""The training of one group, epoch by epoch: each epoch is reported, and only the trials that continue stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.engine.checkpoints import Checkpoint
from searchlab.fusion.groups import Group, build_trainer
from searchlab.pruning.pruner import Pruner
from searchlab.runs.study_client import Decision, PendingDecision, StudyClient
from searchlab.space.sweep import Sweep
from searchlab.training import EpochReport, Trainer

# seconds of an epoch from which the worker waits for the decision: the round trip then costs little in comparison
URGENT_EPOCH_SECONDS = 0.1
MIN_MERGE_SECONDS = 0.5  # seconds left to train below which survivors are not returned to be merged with others


@dataclass
class GroupRun:
    """A group in training.

    The worker waits for the study's decision where the pruner may stop many trials, and where an epoch takes long.
    Elsewhere the decision takes effect after the following epoch, so that the round trip costs no time. A diverged
    trial is dropped at once.

    Attributes:
        study: Where epochs are reported to.
        pruner: The sweep's pruner.
        trainer: The trainer of the trials that are left, (R,) replicas.
        trials: Numbers of the trials that are left.
        folds: Number of folds of a trial.
        initial_trials: Number of trials at the start.
        reports: Every report so far, each with its trials.
        pending: The decision about the latest report.
        is_paused: Whether the study wants the group to be saved and returned.
        remaining_seconds: Estimated seconds of the epochs that are left, from the latest epoch.
    """

    study: StudyClient
    pruner: Pruner
    trainer: Trainer
    trials: tuple[int, ...]
    folds: int
    initial_trials: int
    reports: list[tuple[tuple[int, ...], EpochReport]] = field(default_factory=list)
    pending: PendingDecision | None = None
    is_paused: bool = False
    remaining_seconds: float = 0.0

    @classmethod
    def start(
        cls,
        group: Group,
        sweep: Sweep,
        data: LoadedDataset,
        study: StudyClient,
        saved: Checkpoint | None,
        device: Device,
    ) -> GroupRun:
        """Build the trainer of a group, and restore what is saved of it."""
        trials = saved.trials if saved else group.trials
        split = sweep.validation.split(data)
        parameters = [group.parameters[group.trials.index(number)] for number in trials]
        trainer = build_trainer(sweep, parameters, data, split, group.seed, device)
        run = cls(study, sweep.effective_pruner, trainer, trials, split.folds, initial_trials=len(trials))
        if saved:
            trainer.restore(saved.epoch, saved.state)
            run.reports += saved.reports
            study.restore_reports(saved.reports)  # a study that was killed has lost the curves of open trials
        return run

    @property
    def is_last_epoch(self) -> bool:
        """Whether the next epoch is the last."""
        return self.trainer.epoch + 1 >= self.trainer.epochs

    @property
    def should_return_survivors(self) -> bool:
        """Whether at most half of the trials are left, and enough training that merging them with others pays."""
        return 2 * len(self.trials) <= self.initial_trials and self.remaining_seconds >= MIN_MERGE_SECONDS

    def advance(self) -> None:
        """Train an epoch that is not the last, and continue with the trials that neither diverged nor were stopped."""
        report, previous = self.trainer.advance(), self.pending
        self.remaining_seconds = report.seconds * (self.trainer.epochs - self.trainer.epoch)
        self.reports.append((self.trials, report))
        urgent = self.pruner.worker_waits(report.epoch) or report.seconds >= URGENT_EPOCH_SECONDS
        self.pending = self.study.report(self.trials, report, urgent=urgent)
        pending = self.pending if urgent else previous
        decision = pending() if pending else Decision(self.trials)
        folds = self.folds
        diverged = [any(report.failures[i * folds : (i + 1) * folds]) for i in range(len(self.trials))]
        self._select([i for i, number in enumerate(self.trials) if number in decision.trials and not diverged[i]])
        self.is_paused = decision.pause and bool(self.trials)

    def await_decision(self) -> None:
        """Continue with the trials that the study continues after the latest epoch.

        It must have decided upon every epoch of a checkpoint, because it does not decide upon restored ones.
        """
        running = self.study.running(self.trials)
        self._select([position for position, number in enumerate(self.trials) if number in running])

    def checkpoint(self) -> Checkpoint:
        """Return the state of the group."""
        return Checkpoint(self.trials, tuple(self.reports), self.trainer.state())

    def _select(self, positions: Sequence[int]) -> None:
        """Continue with the trials at these positions of the group."""
        if len(positions) < len(self.trials):
            self.trials = tuple(self.trials[position] for position in positions)
            if positions:
                rows = np.array(positions)[:, None] * self.folds + np.arange(self.folds)  # (trials, folds)
                self.trainer.select_replicas(rows.reshape(-1))

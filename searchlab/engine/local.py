"""The local engine: groups train in this process, one after another. For tests, debugging and notebooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TypeAlias

from threadpoolctl import threadpool_limits

from searchlab.engine.checkpoints import CheckpointStore
from searchlab.engine.protocol import FollowUp
from searchlab.engine.refit import RefitState, available_device, refit_locally
from searchlab.engine.signals import STOP_MESSAGE, interruptible
from searchlab.engine.worker import Worker
from searchlab.fusion.groups import Group
from searchlab.runs.events import EventHandler
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.study_client import PendingDecision
from searchlab.runs.trials import TrialRecord, ended, replay_events
from searchlab.study.study import Study
from searchlab.training import EpochReport

PauseReason: TypeAlias = Callable[[], str | None]  # why the group is to be saved after its epoch; None to go on


class LocalStudy:
    """The study as a worker in the same process sees it: every decision is ready at once."""

    def __init__(self, study: Study, pause_reason: PauseReason) -> None:
        self.running, self.restore_reports = study.running, study.restore_reports
        self.finish, self.fail, self.notify = study.finish, study.fail, study.notify
        self.grow, self.return_survivors = study.grow, study.return_survivors
        self._study, self._pause_reason = study, pause_reason

    def report(self, numbers: Sequence[int], report: EpochReport, *, urgent: bool) -> PendingDecision:
        if reason := self._pause_reason():
            self._study.notify("pause", reason)
            self._study.pause()
        decision = self._study.report(numbers, report)
        return lambda: decision

    def report_memory(self, numbers: Sequence[int], needed: int, limit: int) -> None:
        """Do nothing: the numbers are for a study that outlives a worker's crash, and this one does not."""


def session(job: Job) -> AbstractContextManager[None]:
    """Return a context that does nothing: search and refit share this process."""
    return nullcontext()


def refit(job: Job, trial: TrialRecord) -> RefitState:
    """Train the trial once more on all training rows."""
    return refit_locally(job, trial, available_device(job.config.device), measures_layers=True)


def search(job: Job, handler: EventHandler, follow_up: FollowUp | None = None) -> SearchResult:
    """Train group after group until the study has no more, or a signal stops this process; then the follow-up's."""
    result = _search(job, handler)
    following = follow_up(result) if follow_up and not result.paused else None
    return replace(result, follow_up=_search(*following)) if following else result


def _search(job: Job, handler: EventHandler) -> SearchResult:
    study, stop = Study(job, handler), threading.Event()
    try:
        replay_events(ended(study.records()), handler)
        with interruptible(stop):
            train_groups(study, lambda: STOP_MESSAGE if stop.is_set() else None)
        return SearchResult(study.records(), study.end_reason, stop.is_set())
    finally:
        study.close()


def train_groups(study: Study, pause_reason: PauseReason) -> None:
    """Train the study's groups in this process until it has no more, or there is a reason to pause.

    The reason is asked for before each group, and after each epoch, which it has saved.
    """
    job = study.job
    worker = Worker(
        sweep=job.sweep,
        rows=job.rows,
        study=LocalStudy(study, pause_reason),
        checkpoints=CheckpointStore(job.checkpoints),
        device=available_device(job.config.device),
        memory=job.memory,
    )
    # NumPy is imported already, so environment variables no longer set its number of threads
    with threadpool_limits(job.sweep.resources.blas_threads):
        while not pause_reason() and (group := study.ask()):
            if not isinstance(group, Group):
                raise RuntimeError("the only worker was told to wait for other groups")
            worker.train(group)

"""The local engine: groups train in this process, one after the other. For tests, debugging and notebooks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from threadpoolctl import threadpool_limits

from searchlab.engine.checkpoints import Checkpoints
from searchlab.engine.refit import Refit, device_here, refit_here
from searchlab.engine.signals import STOPPING, interruptible
from searchlab.engine.worker import Worker
from searchlab.fusion.groups import Group
from searchlab.runs.events import Tracker
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.study_client import PendingDecision
from searchlab.runs.trials import TrialRecord, ended, retell
from searchlab.study.study import Study
from searchlab.training import EpochReport


class _Here:
    """The study as a worker in its own process sees it: an answer is there at once."""

    def __init__(self, study: Study, stop: threading.Event) -> None:
        self.running, self.recall, self.finish, self.fail = study.running, study.recall, study.finish, study.fail
        self.note, self.grow, self.take_back = study.note, study.grow, study.take_back
        self._study, self._stop = study, stop

    def report(self, numbers: Sequence[int], report: EpochReport, *, at_once: bool) -> PendingDecision:
        if self._stop.is_set():
            self._study.note("pause", STOPPING)
            self._study.pause()
        verdict = self._study.report(numbers, report)
        return lambda: verdict

    def weigh(self, numbers: Sequence[int], needed: int, memory: int) -> None:
        """Nothing: here no process is killed but this one."""


def session(job: Job) -> AbstractContextManager[None]:
    """What search and refit have in common: nothing but this process."""
    return nullcontext()


def refit(job: Job, trial: TrialRecord) -> Refit:
    """The trial trained once more on all training rows."""
    return refit_here(job.sweep, trial, job.seed, device_here(job.device))


def search(job: Job, tracker: Tracker) -> SearchResult:
    """Train group after group until the study has no more, or the process is told to stop."""
    study, stop = Study(job, tracker), threading.Event()
    try:
        retell(ended(study.records()), tracker)
        device = device_here(job.device)
        worker = Worker(job.sweep, _Here(study, stop), Checkpoints(job.checkpoints), device, job.memory)
        # NumPy is imported already, so the environment cannot say it any more
        with threadpool_limits(job.sweep.resources.threads), interruptible(stop):
            while not stop.is_set() and (group := study.ask()):
                assert isinstance(group, Group), "whoever asks here has nothing at work"
                worker.train(group)
        return SearchResult(study.records(), study.over, stop.is_set())
    finally:
        study.close()

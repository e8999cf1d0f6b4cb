"""The local engine: groups train in this process, one after the other. For tests, debugging and notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from threadpoolctl import threadpool_limits

from searchlab.service.checkpoints import Checkpoints
from searchlab.service.job import Job
from searchlab.service.records import TrialRecord, ended, retell
from searchlab.service.study import Study
from searchlab.service.worker import Answer, Worker
from searchlab.tracking.tracker import Tracker
from searchlab.training import Report


class _Here:
    """The study as a worker in its own process sees it: an answer is there at once."""

    def __init__(self, study: Study) -> None:
        self.finish, self.fail, self.note, self._report = study.finish, study.fail, study.note, study.report

    def report(self, numbers: Sequence[int], report: Report) -> Answer:
        survivors = self._report(numbers, report)
        return lambda: survivors


def search(job: Job, tracker: Tracker) -> list[TrialRecord]:
    """Train group after group until the study has no more; returns every trial of the study."""
    study = Study(job, tracker)
    try:
        retell(ended(study.records()), tracker)
        worker = Worker(job.sweep, _Here(study), Checkpoints(job.checkpoints), job.device, job.memory)
        with threadpool_limits(1):  # NumPy is imported already, so the environment cannot say it any more
            while group := study.ask():
                worker.train(group)
        return study.records()
    finally:
        study.close()

"""The local engine: groups train in this process, one after the other. For tests, debugging and notebooks."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

from searchlab.service.checkpoints import Checkpoints
from searchlab.service.job import Job
from searchlab.service.records import TrialRecord, ended, retell
from searchlab.service.study import Study
from searchlab.service.worker import Worker
from searchlab.tracking.tracker import Tracker


def search(job: Job, tracker: Tracker) -> list[TrialRecord]:
    """Train group after group until the study has no more; returns every trial of the study."""
    study = Study(job, tracker)
    try:
        retell(ended(study.records()), tracker)
        worker = Worker(job.sweep, study, Checkpoints(job.checkpoints), job.device)
        with threadpool_limits(1):  # NumPy is imported already, so the environment cannot say it any more
            while group := study.ask():
                worker.train(group)
        return study.records()
    finally:
        study.close()

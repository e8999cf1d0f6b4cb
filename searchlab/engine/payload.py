"""The payload: a job as bytes for the processes of a cluster, with the training rows where they are shipped."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import ray

from searchlab.cluster.shipped_data import ShippedData
from searchlab.data.training_rows import TrainingRows
from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.project import import_first_from
from searchlab.runs.job import Job
from searchlab.space.callbacks import without_callbacks


@dataclass(frozen=True)
class JobPayload:
    """A job as bytes.

    Attributes:
        name: Name of the sweep.
        content: The pickled job.
        root: Root of the project that the job's modules are imported from; None where there is none.
        rows: Reference to the training rows in Ray's object store; None where each worker reads them itself.
    """

    name: str
    content: bytes
    root: Path | None
    rows: Any = None

    def open(self) -> Job:
        """Return the job, in the process that received it."""
        if self.root is not None:
            import_first_from(self.root)
        job: Job = cloudpickle.loads(self.content)
        if self.rows is None:
            return job
        data = ShippedData(ray.get(self.rows))
        return replace(job, sweep=replace(job.sweep, data=data), rows=TrainingRows(data))


def payload_for_study(job: Job) -> JobPayload:
    """Return the payload with the whole job."""
    return JobPayload(job.name, _serialize(job), job.root)


def payload_for_workers(job: Job) -> JobPayload:
    """Return the payload with what a worker needs; shipped rows go into the object store, and to each node once."""
    rows = ray.put(job.rows.load()) if job.config.ship_data else None
    return JobPayload(job.name, _serialize(job.for_workers()), job.root, rows)


def _serialize(job: Job) -> bytes:
    """Return the job as bytes, with what the sweep file itself defines by value: no worker could import it by name."""
    for name, module in list(sys.modules.items()):
        if name.startswith(SWEEP_FILE_PREFIX):
            cloudpickle.register_pickle_by_value(module)
    content: bytes = cloudpickle.dumps(replace(job, sweep=without_callbacks(job.sweep)))
    return content

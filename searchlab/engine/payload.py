"""The parcel: a job as it travels to the processes of a cluster, and the training rows that may go with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle
import ray

from searchlab.cluster.shipped_data import ShippedData
from searchlab.runs.job import Job
from searchlab.space.loader import MODULE_PREFIX


@dataclass(frozen=True)
class JobPayload:
    """A job in bytes and its name, the folders its modules are imported from, and a reference to the training rows;
    None where workers read them by themselves."""

    name: str
    content: bytes
    path: tuple[str, ...]
    rows: Any = None

    def open(self) -> Job:
        """The job, in the process that received it."""
        extend_path(self.path)
        job: Job = cloudpickle.loads(self.content)
        return (
            job if self.rows is None else replace(job, sweep=replace(job.sweep, data=ShippedData(ray.get(self.rows))))
        )


def payload_for_study(job: Job) -> JobPayload:
    """All of the job."""
    return JobPayload(job.name, _packed(job), _path_of(job))


def payload_for_workers(job: Job) -> JobPayload:
    """What a worker needs of the job; rows that travel lie in the object store, where each node fetches them once."""
    rows = ray.put(job.sweep.data.training()) if job.ship_data else None
    return JobPayload(job.name, _packed(job.for_workers()), _path_of(job), rows)


def extend_path(path: Sequence[str]) -> None:
    """Put the sweep's project first on this process' import path, once."""
    sys.path[:0] = [entry for entry in path if entry not in sys.path]


def _packed(job: Job) -> bytes:
    """The job as bytes. What the sweep file itself defines goes along by value: no worker could import it by name."""
    for name, module in list(sys.modules.items()):
        if name.startswith(MODULE_PREFIX):
            cloudpickle.register_pickle_by_value(module)
    content: bytes = cloudpickle.dumps(job)
    return content


def _path_of(job: Job) -> tuple[str, ...]:
    return (str(job.root),) if job.root else ()

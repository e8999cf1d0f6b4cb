"""A Ray of this machine for several tests: the engine uses the one that its process is connected to."""

from __future__ import annotations

import os
from contextlib import contextmanager

import ray

from searchlab.cluster import connection
from searchlab.cluster.local_ray import end_processes, quiet_ray


@contextmanager
def local_ray(**resources):
    """A Ray of this machine within the block."""
    before = dict(os.environ)
    os.environ.update(connection.DRIVER_ENVIRONMENT)
    with quiet_ray() as processes:
        try:
            connection.start_ray(processes, **resources)
            yield
        finally:
            ray.shutdown()
            end_processes(processes)
            os.environ.clear()
            os.environ.update(before)

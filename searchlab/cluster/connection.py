"""The Ray cluster a sweep runs on: one at an address, the one this process is in, or a new one of this machine's."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchlab.environment import worker_environment
from searchlab.errors import WorldFault
from searchlab.runs.job import Job
from searchlab.runs.ray_errors import first_line

ESSENTIAL = ("gcs_server", "raylet")  # of Ray's own processes
STORE = 256 * 2**20  # bytes of object store: only parcels and reports travel, data is read where it is used
SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}  # else a death is a traceback
QUIET = {  # read by Ray in the driver when it starts
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # 24 ms less per trial
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never used: the study is the truth
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # interrupt.py listens
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # workers that start side by side; else each would wait for the one before
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # a submitted job brings the same project; the sweep's copy of it holds
}
# Ray's proxy starts a process for each client, which now and then ends at once (seen twice in some thirty connections)
REFUSED, TRIES, PAUSE = "Initialization failure from server", 4, 2.0  # seconds between two tries
HERE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}  # not 60: what dies on this machine does not come back


@contextmanager
def connected(job: Job) -> Iterator[None]:
    """Within the block this process is in the job's cluster; a new one lives as long as the block.

    Raises WorldFault where no cluster answers.
    """
    if ray.is_initialized():
        yield
        return
    workers = worker_environment(job.sweep.resources.threads)
    before = dict(os.environ)
    os.environ.update({**workers, **QUIET, **({} if job.address else HERE)})  # a new local cluster inherits them
    try:
        if job.address:
            _join(job, job.address, {"env_vars": workers, **({"working_dir": str(job.root)} if job.root else {})})
        else:
            cores = math.ceil((job.workers or 1) * job.sweep.resources.cpus)
            ray.init(address="local", num_cpus=cores, include_dashboard=False, object_store_memory=STORE, **SILENT)
        yield
    finally:
        ray.shutdown()
        os.environ.clear()
        os.environ.update(before)


def _join(job: Job, address: str, runtime_env: dict[str, Any]) -> None:
    tries = TRIES if address.startswith("ray://") else 1
    while True:
        tries -= 1
        try:
            ray.init(address=address, runtime_env=runtime_env, **SILENT)
            return
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            if tries and REFUSED in str(error):
                time.sleep(PAUSE)
                continue
            raise WorldFault(
                f"no Ray cluster answers at {address} ({first_line(error)}); a cluster that asks for a token wants "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN in the environment. "
                f"`searchlab resume {job.name}` goes on when it answers."
            ) from error


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """For what must live and die with the driver: the node it is on, or through Ray's client the cluster's head."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def check_node() -> None:
    """Raise RayError when a process that Ray cannot do without has died: it would go on in part, or end this one."""
    node: Any = ray._private.worker._global_node  # of a cluster elsewhere it has no processes
    dead = [name for name, _ in node.dead_processes() if name in ESSENTIAL] if node else []
    if dead:
        raise RayError(f"its {' and '.join(dead)} died")

"""The Ray cluster of a job: one at an address, the one this process is in already, or a new one of this machine."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_when_event_set,
    wait_fixed,
)

from searchlab.cluster.local_ray import (
    Abort,
    GroupLeader,
    Report,
    early_failure,
    end_processes,
    loopback_allowed,
    quiet_ray,
    restore_signal_handlers,
    watched,
)
from searchlab.cluster.token import token_variables
from searchlab.environment import KERNELS_VARIABLE, secret_variables, worker_environment
from searchlab.errors import WorldFault
from searchlab.runs.job import Job
from searchlab.runs.ray_errors import first_line
from searchlab.space.kernel_choice import kernels_of

OBJECT_STORE_BYTES = 256 * 2**20  # only payloads and reports travel; data are read where they are used
LOG_OPTIONS: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}  # else a crash prints traces
DRIVER_ENVIRONMENT = {  # Ray reads these in the driver when it starts
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # a submitted job has the same project; the sweep's copy of it is used
}
LOCAL_ENVIRONMENT = {  # for a cluster of this machine
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",  # instead of 60: a process that dies here does not come back
}
# Ray's client proxy starts a process for each client, which now and then ends at once (twice in some 30 connections)
CLIENT_FAILURE = "Initialization failure from server"
CLIENT_ATTEMPTS, CLIENT_PAUSE = 4, 2.0  # the pause in seconds
START_ATTEMPTS = 3  # a raylet waits 15 s for its agents and then dies; on a busy machine they may take longer


@contextmanager
def connected(job: Job, abort: Abort | None = None, report: Report | None = None) -> Iterator[None]:
    """Within the block this process is in the job's cluster; a new cluster ends with the block.

    Args:
        job: The job.
        abort: Raises KeyboardInterrupt in the block; called when a process of this machine's Ray has died. Default:
            Ray's processes are not watched.
        report: Gets a sentence before this process ends, where a dead Ray cannot be left.

    Raises:
        WorldFault: When no cluster answers at the job's address.
        RayError: When a cluster of this machine cannot be started, or one of its processes has died.
    """
    if ray.is_initialized():
        with _watched(job, [], abort, report):
            yield
        return
    with _environment(job), quiet_ray(secret_variables(os.environ, _needed_variables(job))) as processes:
        try:
            _connect(job, processes)
            restore_signal_handlers()
            with _watched(job, processes, abort, report):
                yield
        finally:
            ray.shutdown()
            end_processes(processes)


@contextmanager
def local_cluster(job: Job, processes: list[GroupLeader], canceled: threading.Event) -> Iterator[None]:
    """Within the block this process is connected to a new Ray of this machine, which ends with the block.

    It may be entered outside of the main thread, which then has to restore its handler of SIGTERM.

    Args:
        job: The job.
        processes: Gets the processes of Ray as they are started.
        canceled: When it is set, a start that fails is not tried again.

    Raises:
        RayError: When it does not start.
    """
    withheld = secret_variables(os.environ, _needed_variables(job))
    with _environment(job), quiet_ray(withheld, processes):
        try:
            start_ray(processes, canceled, **_local_options(job))
            yield
        finally:
            ray.shutdown()
            end_processes(processes)


@contextmanager
def _environment(job: Job) -> Iterator[None]:
    """Within the block, the environment has the variables that Ray reads; its new processes inherit it."""
    before, local = dict(os.environ), {} if job.config.address else LOCAL_ENVIRONMENT
    os.environ.update({**_worker_variables(job), **DRIVER_ENVIRONMENT, **local})
    if local:
        os.environ.update(token_variables())
    try:
        yield
    finally:  # the variables that are the same stay: another thread may read them now
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


def _worker_variables(job: Job) -> dict[str, str]:
    """Return the variables of a worker, with the kernels by name: one without Numba says so, and computes nothing."""
    return {**worker_environment(job.sweep.resources.blas_threads), KERNELS_VARIABLE: kernels_of(job.sweep)}


def _needed_variables(job: Job) -> tuple[str, ...]:
    """Return the beginnings of the names of variables with secrets that Ray, the study or the workers read."""
    store = ("AWS_",) if str(job.checkpoints).startswith("s3://") else ()
    database = ("PG",) if str(job.storage).startswith("postgres") else ()
    return ("RAY_", *store, *database)


def _watched(
    job: Job, processes: list[GroupLeader], abort: Abort | None, report: Report | None
) -> AbstractContextManager[None]:
    if abort is None:
        return nullcontext()
    return watched(job.name, processes, abort, report or print)


def _connect(job: Job, processes: list[GroupLeader]) -> None:
    """Join the cluster at the job's address, or start one on this machine, whose processes are listed then."""
    if job.config.address:
        workers = _worker_variables(job)
        _join(job, job.config.address, {"env_vars": workers, **({"working_dir": str(job.root)} if job.root else {})})
        return
    start_ray(processes, **_local_options(job))


def _local_options(job: Job) -> dict[str, Any]:
    """Return the options of a Ray of this machine: its number of cores, what its workers take together, and more."""
    cpus = math.ceil((job.config.workers or 1) * job.sweep.resources.cpus)
    return {"num_cpus": cpus, "include_dashboard": job.config.ray_dashboard}


def start_ray(processes: list[GroupLeader], canceled: threading.Event | None = None, **resources: Any) -> None:
    """Start a Ray of this machine with these resources, and try again where it does not start.

    Args:
        processes: The list that `quiet_ray` gave, which holds the processes of Ray then.
        canceled: When it is set, a start that fails is not tried again; default: it always is.
        resources: Options of `ray.init`, such as `num_cpus=2`.

    Raises:
        RayError: When it has not started after `START_ATTEMPTS` attempts; none leaves a process.
    """
    stop = stop_after_attempt(START_ATTEMPTS) | stop_when_event_set(canceled or threading.Event())
    attempts = Retrying(retry=retry_if_exception_type(RayError), stop=stop, reraise=True)
    attempts(_start_once, processes, resources)


def _start_once(processes: list[GroupLeader], resources: dict[str, Any]) -> None:
    options: dict[str, Any] = {
        "include_dashboard": False,
        "dashboard_host": "127.0.0.1",
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": "127.0.0.1",  # else Ray listens on every interface
    }
    try:
        with loopback_allowed(), early_failure(processes):
            ray.init(address="local", **options | resources, **LOG_OPTIONS)
    except Exception as error:  # Ray raises this very class when its processes do not start
        ray.shutdown()
        end_processes(processes)
        processes.clear()
        raise RayError(f"it did not start: {first_line(error)}") from error


def _join(job: Job, address: str, runtime_env: dict[str, Any]) -> None:
    """Connect to the cluster at this address."""
    attempts = Retrying(
        retry=retry_if_exception(lambda error: CLIENT_FAILURE in str(error)),
        stop=stop_after_attempt(CLIENT_ATTEMPTS if address.startswith("ray://") else 1),
        wait=wait_fixed(CLIENT_PAUSE),
        reraise=True,
    )
    try:
        attempts(ray.init, address=address, runtime_env=runtime_env, **LOG_OPTIONS)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise WorldFault(
            f"no Ray cluster answers at {address} ({first_line(error)}); if the cluster needs a token, set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN. "
            f"`searchlab resume {job.name}` continues the sweep when the cluster answers."
        ) from error


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Return the strategy for an actor that lives and dies with the driver: on its node, or on a client's head node."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)

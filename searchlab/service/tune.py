"""The Ray Tune engine: one Tune trial carries one group; the study is an actor that every worker reports to.

Ray Tune decides where and when a group trains, with what resources, and tries again when a worker dies. It is never
asked what happened: the study knows.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import cloudpickle
import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.search import Searcher

from searchlab.environment import worker_environment
from searchlab.errors import WorldFault
from searchlab.service.checkpoints import Checkpoints
from searchlab.service.desk import Desk, RemoteStudy, extend_path
from searchlab.service.interrupt import STOPPING, interruptible
from searchlab.service.job import Found, Job
from searchlab.service.records import ended, retell
from searchlab.service.room import cores, share
from searchlab.service.worker import Worker
from searchlab.sweep.file import MODULE_PREFIX
from searchlab.sweep.groups import Later
from searchlab.tracking.tracker import Tracker, replay

RETRIES = 100  # times a Tune trial is tried again after its worker died; the desk gives up on its trials long before
SHIFT = 1.0  # seconds below which a Tune trial goes on with another group: scheduling one costs Tune some 25 ms
LATER = 0.02  # seconds until a worker asks again for a group that has to wait for others to end
POLL = 0.2  # seconds between two looks at what the study has to tell
SILENCE = 30.0  # seconds without an answer after which the study is dead: Ray would end this process after 60
STUCK = 10.0  # seconds for the search to break off; inside of a call to a dead Ray it cannot
ESSENTIAL = ("gcs_server", "raylet")  # of Ray's own processes
STORE = 256 * 2**20  # bytes of object store: only parcels and reports travel, data is read where it is used
SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}  # else a death is a traceback
QUIET = {  # read by Ray in the driver when it starts
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # 24 ms less per trial
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never used: the study is the truth
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # interrupt.py listens
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
HERE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}  # not 60: what dies on this machine does not come back


def search(job: Job, tracker: Tracker) -> Found:
    """Train group after group on the workers of a Ray cluster until the study has no more, or the process is stopped.

    Raises WorldFault when the search had to stop early; the study keeps what was reached.
    """
    try:
        return _search(job, tracker)
    except (RayError, TuneError) as error:
        raise WorldFault(_told(job.name, error)) from error


def _told(name: str, error: Exception) -> str:
    """One sentence: that of a fault of the world in another process, or what Ray met and how to go on."""
    lines = str(error).strip().splitlines()
    faults = [line.partition(": ")[2] for line in lines if line.startswith(f"{WorldFault.__module__}.WorldFault: ")]
    if faults:
        return faults[-1]
    return f"Ray could not go on ({lines[0]}); what had ended is kept, and `searchlab resume {name}` goes on."


def _search(job: Job, tracker: Tracker) -> Found:
    parcel, stop = _parcel(job), threading.Event()
    with _ray(job), interruptible(stop) as break_off:  # in this order: Ray would take the signals for itself
        desk: Any = ray.remote(Desk).options(num_cpus=0, max_concurrency=1).remote(parcel, _path_of(job))
        retell(ended(ray.get(desk.records.remote())), tracker)
        with _listening(job.name, desk, tracker, stop, break_off):
            _fit(job, desk, parcel)
        found = Found(ray.get(desk.records.remote()), ray.get(desk.over.remote()), stop.is_set())
        halted: str | None = ray.get(desk.halted.remote())
        ray.get(desk.close.remote())
    if halted:
        raise WorldFault(halted)
    return found


class _Groups(Searcher):
    """Tune's searcher: suggests to take a group while there are any, and tells the study when Tune gives one up.

    The group itself is drawn when its worker is there to train it: by then more trials have ended to learn from.
    """

    def __init__(self, desk: Any) -> None:
        super().__init__(metric="groups", mode="max")
        self._desk = desk

    def suggest(self, trial_id: str) -> Any:
        return {"holder": trial_id} if ray.get(self._desk.more.remote()) else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        if error:
            reason = f"its worker process died {RETRIES + 1} times (killed, or out of memory)"
            ray.get(self._desk.abandon.remote(trial_id, reason))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a new run asks the study."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a new run asks the study."""


class _Shift(tune.Trainable):
    """The body of a Tune trial: one step that trains its group to its end. The process is reused for the next one.

    Where groups are so short that scheduling them would cost more than training them, it goes on with the next, for a
    second at most.
    """

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        extend_path(given["path"])
        self._parcel, self._desk, self._holder = given["parcel"], given["desk"], config["holder"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._holder = new_config["holder"]
        return True

    def step(self) -> dict[str, Any]:
        worker, begun, groups = _worker(self._parcel, self._desk), time.monotonic(), 0
        try:
            while time.monotonic() - begun < SHIFT and (group := ray.get(self._desk.take.remote(self._holder))):
                if isinstance(group, Later):
                    time.sleep(LATER)
                    continue
                worker.train(group)
                groups += 1
        except WorldFault as fault:
            told = _told("", fault) if isinstance(fault, RayError) else str(fault)  # the study's, or of this process
            ray.get(self._desk.halt.remote(told))
        return {"done": True, "groups": groups}


@lru_cache(maxsize=1)
def _worker(parcel: bytes, desk: Any) -> Worker:
    """One per process and sweep, so that a reused process reads the data once."""
    job: Job = cloudpickle.loads(parcel)
    memory = job.memory
    if memory is None:  # a cluster: only its machines know
        memory = share(job.device, min(job.workers, cores()))
    return Worker(job.sweep, RemoteStudy(desk), Checkpoints(job.checkpoints), job.device, memory)


def _fit(job: Job, desk: Any, parcel: bytes) -> None:
    folder = job.checkpoints.parent / "ray"
    resources: dict[str, float] = {"cpu": 1, "gpu": 1} if job.device == "cuda" else {"cpu": 1}
    body = tune.with_parameters(_Shift, parcel=parcel, path=_path_of(job), desk=desk)
    tuner = tune.Tuner(
        tune.with_resources(body, resources),
        tune_config=tune.TuneConfig(
            search_alg=_Groups(desk), num_samples=-1, max_concurrent_trials=job.workers, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=job.name,
            storage_path=str(folder),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # a worker keeps its own, per group
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _listening(
    name: str, desk: Any, tracker: Tracker, stop: threading.Event, break_off: Callable[[], None]
) -> Iterator[None]:
    """Pass what the study tells to the tracker, from a thread of its own, until the block ends; and `stop` to it.

    Where the desk does not answer any more, the block is broken off with that RayError: Tune would try for minutes.
    """
    done, lost = threading.Event(), list[RayError]()

    def listen() -> None:
        try:
            while not done.wait(POLL):
                _check_node()
                if stop.is_set():
                    ray.get(desk.pause.remote(STOPPING), timeout=SILENCE)
                replay(ray.get(desk.drain.remote(), timeout=SILENCE), tracker)
        except RayError as error:
            lost.append(error)
            break_off()
            if not done.wait(STUCK):  # in a call that ends with this process: then nobody else would say it
                tracker.note(_told(name, error))

    thread = threading.Thread(target=listen, name="study-listener", daemon=True)
    thread.start()
    try:
        try:
            yield
        finally:
            done.set()
            thread.join()
    except KeyboardInterrupt:
        raise lost[0] if lost else KeyboardInterrupt from None
    replay(ray.get(desk.drain.remote()), tracker)


def _check_node() -> None:
    """Raise RayError when a process that Ray cannot do without has died: it would go on in part, or end this one."""
    node: Any = ray._private.worker._global_node  # of a cluster elsewhere it has no processes
    dead = [name for name, _ in node.dead_processes() if name in ESSENTIAL] if node else []
    if dead:
        raise RayError(f"its {' and '.join(dead)} died")


@contextmanager
def _ray(job: Job) -> Iterator[None]:
    """A Ray cluster for the length of the block: the one this process is in, one at an address, or a new one."""
    if ray.is_initialized():
        yield
        return
    workers = worker_environment()
    before = dict(os.environ)
    os.environ.update({**workers, **QUIET, **({} if job.address else HERE)})  # a new local cluster inherits them
    try:
        if job.address:
            ray.init(address=job.address, runtime_env={"env_vars": workers}, **SILENT)
        else:
            ray.init(
                address="local", num_cpus=job.workers, include_dashboard=False, object_store_memory=STORE, **SILENT
            )
        yield
    finally:
        ray.shutdown()
        os.environ.clear()
        os.environ.update(before)


def _parcel(job: Job) -> bytes:
    """The job as bytes. What the sweep file itself defines goes along by value: no worker could import it by name."""
    for name, module in list(sys.modules.items()):
        if name.startswith(MODULE_PREFIX):
            cloudpickle.register_pickle_by_value(module)
    parcel: bytes = cloudpickle.dumps(job)
    return parcel


def _path_of(job: Job) -> list[str]:
    return [str(job.root)] if job.root else []

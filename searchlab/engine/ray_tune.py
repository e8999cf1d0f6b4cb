"""The Ray Tune engine: one Tune trial is one worker's shift; the study is an actor that every worker reports to.

Ray Tune decides where and when a shift begins, with what resources, and begins it anew elsewhere when its worker or its
node dies. It is never asked what happened: the study knows.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.execution import class_cache

from searchlab.backend import Device
from searchlab.cluster.connection import connected, on_this_node
from searchlab.cluster.fair_share import one_slot, slot_source_of
from searchlab.engine.driver_loop import POLL, listening
from searchlab.engine.payload import JobPayload, payload_for_study, payload_for_workers
from searchlab.engine.refit import Refit, device_here, refit_here
from searchlab.engine.signals import interruptible
from searchlab.engine.study_actor import StudyActor
from searchlab.engine.tune_worker import (
    RETRIES,
    IdleStopper,
    RecoveryCallback,
    TuneWorker,
    WorkerSearcher,
    bundle,
    keep_keys,
)
from searchlab.errors import WorldFault
from searchlab.runs.events import Tracker, replay
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.ray_errors import as_searchlab_error
from searchlab.runs.trials import TrialRecord, ended, retell
from searchlab.space.resources import devices_of


def session(job: Job) -> AbstractContextManager[None]:
    """What search and refit have in common: on a cluster one connection, so that its own of it is made once.

    A cluster of this machine ends with its search, and its memory is the refit's.
    """
    return connected(job) if job.address else nullcontext()


def search(job: Job, tracker: Tracker) -> SearchResult:
    """Train group after group on the workers of a Ray cluster until the study has no more, or the process is stopped.

    Raises WorldFault when the search had to stop early; the study keeps what was reached. Raises UserMistake where
    another process keeps the study.
    """
    try:
        return _search(job, tracker)
    except (RayError, TuneError) as error:
        raise as_searchlab_error(job.name, error) from error


def refit(job: Job, trial: TrialRecord) -> Refit:
    """The trial trained once more on all training rows: here, or by a worker of the cluster that has the device.

    Raises WorldFault when the cluster could not, UserMistake where its worker met one.
    """
    if job.address is None:
        return refit_here(job.sweep, trial, job.seed, device_here(job.device))
    try:
        with connected(job), one_slot(job):
            device = _device_there(job)
            needs = job.sweep.resources.on(device)
            there: Any = ray.remote(_refit_there).options(
                num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0), memory=needs.get("memory"), max_retries=RETRIES
            )
            refitted: Refit = ray.get(there.remote(payload_for_workers(job), trial, device))
            return refitted
    except RayError as error:
        raise as_searchlab_error(job.name, error) from error


def _search(job: Job, tracker: Tracker) -> SearchResult:
    stop = threading.Event()
    with connected(job), interruptible(stop) as break_off:  # in this order: Ray would take the signals for itself
        desk = _desk(job)
        _open(desk, tracker, stop)
        retell(ended(ray.get(desk.records.remote())), tracker)
        with listening(job.name, desk, tracker, slot_source_of(job, tracker), stop, break_off):
            _fit(job, desk)
        found = SearchResult(ray.get(desk.records.remote()), ray.get(desk.over.remote()), stop.is_set())
        halted: str | None = ray.get(desk.halted.remote())
        ray.get(desk.close.remote())
    if halted:
        raise WorldFault(halted)
    return found


def _desk(job: Job) -> Any:
    """The study's actor, on the driver's node: with the driver it lives, and with no worker it dies."""
    remote: Any = ray.remote
    actor = remote(concurrency_groups={"news": 1})(
        StudyActor
    )  # news are told also while the study waits for its storage
    return actor.options(num_cpus=0, scheduling_strategy=on_this_node()).remote(payload_for_study(job))


def _open(desk: Any, tracker: Tracker, stop: threading.Event) -> None:
    """Have the study opened; whoever watches hears what it has to wait for, and may leave it at that."""
    opening, news = desk.open.remote(), desk.drain.remote()
    while not ray.wait([opening], timeout=POLL)[0]:
        if stop.is_set():
            raise KeyboardInterrupt
        if ray.wait([news], timeout=0)[0]:  # not waited for: its process may take long to start
            replay(ray.get(news), tracker)
            news = desk.drain.remote()
    for told in (news, desk.drain.remote()):  # the first may be from before the end
        replay(ray.get(told), tracker)
    ray.get(opening)


def _fit(job: Job, desk: Any) -> None:
    folder = tempfile.mkdtemp(prefix="searchlab-tune-")
    body = tune.with_parameters(TuneWorker, parcel=payload_for_workers(job), desk=desk)
    tuner = tune.Tuner(
        tune.with_resources(body, partial(bundle, job.sweep.resources)),
        tune_config=tune.TuneConfig(search_alg=WorkerSearcher(desk), num_samples=-1),
        run_config=tune.RunConfig(
            name=job.name,
            storage_path=folder,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[RecoveryCallback(desk)],
            stop=IdleStopper(desk),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # a worker keeps its own, per group
        ),
    )
    try:
        with _keys_stay():
            tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _keys_stay() -> Iterator[None]:
    """Within the block Tune passes no keys of a store on; after it, Tune does for others in this process as before."""
    passed_on = class_cache.ENV_VARS_TO_PROPAGATE
    keep_keys()
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE = passed_on


def _device_there(job: Job) -> Device:
    """Where the cluster has it done: on a GPU if the sweep may use one and there is one."""
    *others, last = devices_of(job.device)
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return others[0] if others and there.get("GPU") else last


def _refit_there(parcel: JobPayload, trial: TrialRecord, device: Device) -> Refit:
    """The refit as a worker of the cluster does it."""
    job = parcel.open()
    return refit_here(job.sweep, trial, job.seed, device)

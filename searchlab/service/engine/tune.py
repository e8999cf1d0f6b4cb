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
from searchlab.errors import WorldFault
from searchlab.service.cluster.connection import connected, on_this_node
from searchlab.service.cluster.seating import one_seat, seating_of
from searchlab.service.engine.desk import Desk
from searchlab.service.engine.faults import fault
from searchlab.service.engine.interrupt import interruptible
from searchlab.service.engine.job import Found, Job
from searchlab.service.engine.listening import POLL, listening
from searchlab.service.engine.parcel import Parcel, parcel_for_study, parcel_for_workers
from searchlab.service.engine.refit import Refit, device_here, refit_here
from searchlab.service.engine.shift import RETRIES, Losses, Openings, Shift, Vacancy, bundle, keep_keys
from searchlab.service.records import TrialRecord, ended, retell
from searchlab.sweep.resources import devices_of
from searchlab.tracking.tracker import Tracker, replay


def session(job: Job) -> AbstractContextManager[None]:
    """What search and refit have in common: on a cluster one connection, so that its own of it is made once.

    A cluster of this machine ends with its search, and its memory is the refit's.
    """
    return connected(job) if job.address else nullcontext()


def search(job: Job, tracker: Tracker) -> Found:
    """Train group after group on the workers of a Ray cluster until the study has no more, or the process is stopped.

    Raises WorldFault when the search had to stop early; the study keeps what was reached. Raises UserMistake where
    another process keeps the study.
    """
    try:
        return _search(job, tracker)
    except (RayError, TuneError) as error:
        raise fault(job.name, error) from error


def refit(job: Job, trial: TrialRecord) -> Refit:
    """The trial trained once more on all training rows: here, or by a worker of the cluster that has the device.

    Raises WorldFault when the cluster could not, UserMistake where its worker met one.
    """
    if job.address is None:
        return refit_here(job.sweep, trial, job.seed, device_here(job.device))
    try:
        with connected(job), one_seat(job):
            device = _device_there(job)
            needs = job.sweep.resources.on(device)
            there: Any = ray.remote(_refit_there).options(
                num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0), memory=needs.get("memory"), max_retries=RETRIES
            )
            refitted: Refit = ray.get(there.remote(parcel_for_workers(job), trial, device))
            return refitted
    except RayError as error:
        raise fault(job.name, error) from error


def _search(job: Job, tracker: Tracker) -> Found:
    stop = threading.Event()
    with connected(job), interruptible(stop) as break_off:  # in this order: Ray would take the signals for itself
        desk = _desk(job)
        _open(desk, tracker, stop)
        retell(ended(ray.get(desk.records.remote())), tracker)
        with listening(job.name, desk, tracker, seating_of(job, tracker), stop, break_off):
            _fit(job, desk)
        found = Found(ray.get(desk.records.remote()), ray.get(desk.over.remote()), stop.is_set())
        halted: str | None = ray.get(desk.halted.remote())
        ray.get(desk.close.remote())
    if halted:
        raise WorldFault(halted)
    return found


def _desk(job: Job) -> Any:
    """The study's actor, on the driver's node: with the driver it lives, and with no worker it dies."""
    remote: Any = ray.remote
    actor = remote(concurrency_groups={"news": 1})(Desk)  # news are told also while the study waits for its storage
    return actor.options(num_cpus=0, scheduling_strategy=on_this_node()).remote(parcel_for_study(job))


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
    body = tune.with_parameters(Shift, parcel=parcel_for_workers(job), desk=desk)
    tuner = tune.Tuner(
        tune.with_resources(body, partial(bundle, job.sweep.resources)),
        tune_config=tune.TuneConfig(search_alg=Openings(desk), num_samples=-1),
        run_config=tune.RunConfig(
            name=job.name,
            storage_path=folder,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            callbacks=[Losses(desk)],
            stop=Vacancy(desk),
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


def _refit_there(parcel: Parcel, trial: TrialRecord, device: Device) -> Refit:
    """The refit as a worker of the cluster does it."""
    job = parcel.open()
    return refit_here(job.sweep, trial, job.seed, device)

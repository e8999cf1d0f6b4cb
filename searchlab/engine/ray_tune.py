"""The Ray Tune engine: each worker is a Tune trial, and the study is an actor that every worker reports to.

Tune decides where and when a worker starts and with which resources, restarts it elsewhere when its process or its node
dies, and shows each group as a result of its worker. Results are read from the study, never from Tune.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError
from ray.tune.error import TuneError

from searchlab.backend import Device
from searchlab.cluster.connection import connected, on_this_node
from searchlab.cluster.exit_message import exit_message
from searchlab.cluster.fair_share import create_slot_source, reserve_one_slot
from searchlab.cluster.local_ray import Report, dashboard_text
from searchlab.engine.driver_loop import POLL_INTERVAL, forward_events
from searchlab.engine.payload import JobPayload, payload_for_study, payload_for_workers
from searchlab.engine.protocol import FollowUp
from searchlab.engine.refit import RefitState, available_device, refit_locally
from searchlab.engine.signals import interruptible
from searchlab.engine.study_actor import StudyActor
from searchlab.engine.tuner import MAX_RESTARTS, run_tuner, search_name
from searchlab.errors import WorldFault
from searchlab.runs.events import EventHandler, Message, forward
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.ray_errors import as_searchlab_error
from searchlab.runs.trials import TrialRecord, ended, replay_events
from searchlab.space.resources import allowed_devices


def session(job: Job) -> AbstractContextManager[None]:
    """Return a context in which search and refit share one connection to a cluster.

    A Ray of this machine ends with its search instead, so that the refit has its memory.
    """
    return connected(job) if job.config.address else nullcontext()


def search(
    job: Job, handler: EventHandler, follow_up: FollowUp | None = None, stop: threading.Event | None = None
) -> SearchResult:
    """Train groups on the workers of a Ray cluster until the study has no more, or a signal stops this process.

    A signal sets `stop`, an event of its own unless given. A search of the follow-up is carried out on the same
    cluster. Raises WorldFault when a search had to stop early; its study keeps what was reached. Raises UserMistake
    when another process owns the study.
    """
    try:
        return _search(job, handler, follow_up, stop or threading.Event())
    except (RayError, TuneError) as error:
        raise as_searchlab_error(job.name, error) from error


def refit(job: Job, trial: TrialRecord) -> RefitState:
    """Train the trial once more on all training rows: in this process, or on the cluster.

    Raises WorldFault when the cluster cannot, and UserMistake when its worker raises one.
    """
    if job.config.address is None:
        return refit_locally(job, trial, available_device(job.config.device), measures_layers=True)
    try:
        with connected(job), reserve_one_slot(job):
            device = _cluster_device(job)
            needs = job.sweep.resources.ray_resources(device)
            task: Any = ray.remote(_refit_payload).options(
                num_cpus=needs["CPU"],
                num_gpus=needs.get("GPU", 0),
                memory=needs.get("memory"),
                max_retries=MAX_RESTARTS,
            )
            result: RefitState = ray.get(task.remote(payload_for_workers(job), trial, device))
            return result
    except RayError as error:
        raise as_searchlab_error(job.name, error) from error


def _search(job: Job, handler: EventHandler, follow_up: FollowUp | None, stop: threading.Event) -> SearchResult:
    with (
        exit_message(job.name, job.config.home) as report,
        interruptible(stop) as abort,
        connected(job, abort, report),
    ):
        if job.config.ray_dashboard:
            handler.handle(Message(dashboard_text()))
        result = _run_study(job, handler, stop, abort, report)
        following = follow_up(result) if follow_up and not result.paused else None
        if following:
            result = replace(result, follow_up=_run_study(*following, stop, abort, report))
    return result


def _run_study(
    job: Job, handler: EventHandler, stop: threading.Event, abort: Callable[[], None], report: Report
) -> SearchResult:
    """Train the trials of one study on the cluster that this process is connected to."""
    study_actor = _create_study_actor(job)
    _open_study(study_actor, handler, stop)
    replay_events(ended(ray.get(study_actor.records.remote())), handler)
    with forward_events(job.name, study_actor, handler, create_slot_source(job, handler), stop, abort, report):
        run_tuner(job, study_actor)
    result = SearchResult(
        trials=ray.get(study_actor.records.remote()),
        over=ray.get(study_actor.end_reason.remote()),
        paused=stop.is_set(),
    )
    stop_reason: str | None = ray.get(study_actor.stop_reason.remote())
    ray.get(study_actor.close.remote())
    if stop_reason:
        raise WorldFault(stop_reason)
    return result


def _create_study_actor(job: Job) -> Any:
    """Start the study's actor on the driver's node: it ends with the driver, and outlives every worker.

    Ray shows the name of its class in the titles of processes and the lists of actors.
    """
    remote: Any = ray.remote
    named = type(f"{search_name(job)}-study", (StudyActor,), {"__module__": StudyActor.__module__})
    actor = remote(concurrency_groups={"events": 1})(named)  # events come even while the study waits
    return actor.options(num_cpus=0, scheduling_strategy=on_this_node()).remote(payload_for_study(job))


def _open_study(study_actor: Any, handler: EventHandler, stop: threading.Event) -> None:
    """Open the study, and forward its events while it waits; raise KeyboardInterrupt when `stop` is set meanwhile."""
    opening, events = study_actor.open.remote(), study_actor.drain_events.remote()
    while not ray.wait([opening], timeout=POLL_INTERVAL)[0]:
        if stop.is_set():
            raise KeyboardInterrupt
        if ray.wait([events], timeout=0)[0]:  # without waiting: the actor's process may take long to start
            forward(ray.get(events), handler)
            events = study_actor.drain_events.remote()
    for remaining in (events, study_actor.drain_events.remote()):  # the first call may be from before the last event
        forward(ray.get(remaining), handler)
    ray.get(opening)


def _cluster_device(job: Job) -> Device:
    """Return the device of a refit on the cluster: a GPU if the sweep may use one and the cluster has one."""
    *preferred, last = allowed_devices(job.config.device)
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return preferred[0] if preferred and resources.get("GPU") else last


def _refit_payload(payload: JobPayload, trial: TrialRecord, device: Device) -> RefitState:
    """Return the refit that a worker of the cluster carries out, without what cannot travel."""
    return refit_locally(payload.open(), trial, device, measures_layers=True).without_trainer()

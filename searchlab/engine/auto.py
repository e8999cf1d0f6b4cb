"""The automatic engine: groups train in this process at once, and on Ray Tune from when that is worth its start.

A search that lasts changes over: while this process trains, Ray starts beside it; then the group at work is saved after
its epoch, the study is closed, and the engine of Ray Tune opens it, as `resume` does. A search that is short never
starts Ray. Where Ray cannot start, the search goes on in this process. A search with callbacks of Ray Tune, or with
Ray's dashboard, begins on Ray.
"""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from searchlab.engine.background_ray import BackgroundRay
from searchlab.engine.local import train_groups
from searchlab.engine.protocol import FollowUp, engine_named
from searchlab.engine.refit import RefitState, available_device, refit_locally
from searchlab.engine.search_progress import SearchProgress
from searchlab.engine.signals import STOP_MESSAGE, interruptible, restore_handlers
from searchlab.runs.events import EventHandler
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.trials import TrialRecord, ended, replay_events
from searchlab.study.study import Study
from searchlab.wording import count

FIRST_ESTIMATE_SECONDS = 3.0  # of a search, before which nothing is known of its length
MIN_REMAINING_SECONDS = 20.0  # of a search in this process that Ray is started for
RAY_START_SECONDS = 8.0  # from then until its workers train, on two cores


def session(job: Job) -> AbstractContextManager[None]:
    """Return a context that does nothing: Ray ends with the search, and the refit is carried out in this process."""
    return nullcontext()


def refit(job: Job, trial: TrialRecord) -> RefitState:
    """Train the trial once more on all training rows, in this process."""
    return refit_locally(job, trial, available_device(job.config.device), measures_layers=True)


def search(job: Job, handler: EventHandler, follow_up: FollowUp | None = None) -> SearchResult:
    """Train until the study has no more groups, or a signal stops this process; then the follow-up's.

    Raises what the engine of Ray Tune raises, from when it carries out the search.
    """
    if begins_on_ray(job):
        return engine_named("tune").search(job, handler, follow_up)
    with BackgroundRay(job, restore_handlers) as ray:
        result, is_on_ray = _search(job, handler, follow_up, ray)
        following = follow_up(result) if follow_up and not is_on_ray and not result.paused else None
        return replace(result, follow_up=_search(*following, None, ray)[0]) if following else result


def begins_on_ray(job: Job) -> bool:
    """Return whether the search begins on Ray.

    It does where Ray runs, on a GPU, whose memory this process would keep, and with what Ray alone shows or calls.
    """
    asks_for_ray = bool(job.config.address or job.config.ray_dashboard or job.sweep.callbacks)
    return asks_for_ray or available_device(job.config.device) != "cpu" or _is_connected()


def _search(
    job: Job, handler: EventHandler, follow_up: FollowUp | None, ray: BackgroundRay
) -> tuple[SearchResult, bool]:
    """Carry out one search, and return whether Ray's workers ended it, and carried out that of the follow-up."""
    stop, progress = threading.Event(), SearchProgress(job, handler)
    study = Study(job, progress)
    is_interrupted = bool(study.store.open_trials)  # perhaps by a trial that ends the process in which it trains
    try:
        replay_events(ended(study.records()), progress)
        progress.begin()
        ray.is_wanted = lambda: is_interrupted or _is_worth_ray(progress)
        with interruptible(stop):
            if is_interrupted:
                ray.wait(stop)
            reasons: list[str] = []
            train_groups(study, lambda: _pause_reason(study, stop, ray, reasons))
            if stop.is_set() or not reasons or not study.is_unfinished():
                return SearchResult(study.records(), study.end_reason, stop.is_set()), False
            is_ready = ray.is_ready  # not any more where it has died since the study was paused for it
            if is_ready:
                study.notify("pause", _change_message(job))
                ray.stop_watching()
            study.close()
            if is_ready:
                tune: Any = engine_named("tune")
                return tune.search(job, progress, follow_up, stop), True
        return _search(job, progress, follow_up, ray)
    finally:
        study.close()


def _pause_reason(study: Study, stop: threading.Event, ray: BackgroundRay, reasons: list[str]) -> str | None:
    """Return why the group at work is to be saved, and add that to the reasons; None to go on."""
    if ray.fault:
        study.notify("ray", f"Ray cannot be used here ({ray.fault}); the search goes on in this process")
    if stop.is_set():
        reasons.append(STOP_MESSAGE)
    elif ray.is_ready:
        reasons.append(_change_message(study.job))
    return reasons[-1] if reasons else None


def _change_message(job: Job) -> str:
    return f"Ray has started: the search continues on Ray Tune, with {count(job.config.workers or 1, 'worker')}"


def _is_worth_ray(progress: SearchProgress) -> bool:
    is_known = progress.seconds >= FIRST_ESTIMATE_SECONDS
    return is_known and progress.remaining_seconds() >= MIN_REMAINING_SECONDS


def _is_connected() -> bool:
    """Return whether this process is connected to a Ray already, without importing it."""
    ray: Any = sys.modules.get("ray")
    return bool(ray and ray.is_initialized())

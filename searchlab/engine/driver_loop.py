"""The driver's loop during a search: it forwards the study's events, refreshes the slots, and passes on a stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from searchlab.cluster.fair_share import SlotSource
from searchlab.cluster.local_ray import ABORT_TIMEOUT, Report, end_process
from searchlab.engine.signals import STOP_MESSAGE
from searchlab.runs.events import EventHandler, forward
from searchlab.runs.ray_errors import error_sentence

POLL_INTERVAL = 0.2  # seconds between two requests for events
STUDY_TIMEOUT = 30.0  # seconds without an answer after which the study counts as dead: Ray ends this process after 60


@contextmanager
def forward_events(
    name: str,
    study_actor: Any,
    handler: EventHandler,
    slots: SlotSource,
    stop: threading.Event,
    abort: Callable[[], None],
    report: Report,
) -> Iterator[None]:
    """Within the block, forward the study's events to the handler from a thread of its own.

    Args:
        name: Name of the sweep, for error messages.
        study_actor: The handle of the study's actor.
        handler: Gets the events.
        slots: Source of the slots, which the thread sends to the study for as long as the block runs.
        stop: When it is set, the study is paused.
        abort: Raises KeyboardInterrupt in the block; called when the study does not answer, because Tune alone would
            keep trying for minutes.
        report: Gets the error's sentence when this process ends, because the block hangs in a call that nothing
            interrupts.

    Raises:
        RayError: When the study's actor has died.
    """
    done, errors = threading.Event(), list[RayError]()
    slots.update(study_actor)

    def run() -> None:
        try:
            _forward_until(done, study_actor, handler, slots, stop)
        except RayError as error:
            errors.append(error)
            abort()
            if not done.wait(ABORT_TIMEOUT):
                end_process(report, error_sentence(name, error))

    thread = threading.Thread(target=run, name="study-events", daemon=True)
    thread.start()
    try:
        try:
            yield
        finally:
            done.set()
            thread.join()
    except KeyboardInterrupt:
        raise errors[0] if errors else KeyboardInterrupt from None
    slots.close()
    forward(ray.get(study_actor.drain_events.remote()), handler)


def _forward_until(
    done: threading.Event, study_actor: Any, handler: EventHandler, slots: SlotSource, stop: threading.Event
) -> None:
    """Forward events until `done` is set; raise RayError when the study's actor has died."""
    is_paused = False
    while not done.wait(POLL_INTERVAL):
        if stop.is_set() and not is_paused:
            study_actor.pause.remote(STOP_MESSAGE)  # without waiting: the study may be waiting for its storage
            is_paused = True
        slots.update(study_actor)
        forward(ray.get(study_actor.drain_events.remote(), timeout=STUDY_TIMEOUT), handler)

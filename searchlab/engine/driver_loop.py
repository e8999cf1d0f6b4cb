"""Listening: while workers train, the driver hears what the study has to tell, and says when to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from searchlab.cluster.connection import check_node
from searchlab.cluster.fair_share import SlotSource
from searchlab.engine.signals import STOPPING
from searchlab.runs.events import Tracker, replay
from searchlab.runs.ray_errors import error_sentence

POLL = 0.2  # seconds between two looks at what the study has to tell
SILENCE = 30.0  # seconds without an answer after which the study is dead: Ray would end this process after 60
STUCK = 10.0  # seconds for the search to break off; inside of a call to a dead Ray it cannot


@contextmanager
def listening(
    name: str, desk: Any, tracker: Tracker, seating: SlotSource, stop: threading.Event, break_off: Callable[[], None]
) -> Iterator[None]:
    """Pass what the study tells to the tracker, from a thread of its own, until the block ends; and `stop` to it.

    Where the desk does not answer any more, the block is broken off with that RayError: Tune would try for minutes.
    """
    done, lost = threading.Event(), list[RayError]()
    seating.arrange(desk)

    def listen() -> None:
        try:
            _listen(desk, tracker, seating, stop, done)
        except RayError as error:
            lost.append(error)
            break_off()
            if not done.wait(STUCK):  # in a call that ends with this process: then nobody else would say it
                tracker.note(error_sentence(name, error))

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
    seating.leave()
    replay(ray.get(desk.drain.remote()), tracker)


def _listen(desk: Any, tracker: Tracker, seating: SlotSource, stop: threading.Event, done: threading.Event) -> None:
    """Until it is done; raises RayError when the desk or this machine's Ray is gone."""
    paused = False
    while not done.wait(POLL):
        check_node()
        if stop.is_set() and not paused:
            desk.pause.remote(STOPPING)  # not waited for: the study may be waiting for its storage
            paused = True
        seating.arrange(desk)
        replay(ray.get(desk.drain.remote(), timeout=SILENCE), tracker)

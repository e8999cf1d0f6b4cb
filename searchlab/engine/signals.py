"""Ctrl-C: once, and every group finishes its epoch and is saved; twice, and the search stops at once."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a terminal's, and what a container or a cluster sends before it kills

ECHO = 0.5  # seconds: who tells a process and its group, as timeout(1) does, tells it twice and means it once

STOPPING = "stopping: every group finishes its epoch and is saved; once more stops at once"


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[Callable[[], None]]:
    """Within the block, the first signal sets `stop` and a second one, no echo of it, raises KeyboardInterrupt.

    What it gives may be called from any thread, and breaks the block off as the second signal does. Signals reach the
    main thread alone; in another, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    main = threading.get_ident()
    since, broken = math.inf, False  # when the first was heard; whether nothing is waited for any more

    def heard(number: int, frame: FrameType | None) -> None:
        nonlocal since
        stop.set()
        since = min(since, time.monotonic())
        if broken or time.monotonic() > since + ECHO:
            raise KeyboardInterrupt

    def break_off() -> None:
        nonlocal broken
        broken = True
        signal.pthread_kill(main, signal.SIGTERM)  # to that thread, lest it waits on; Ray blocks Ctrl-C's in its jobs

    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield break_off
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

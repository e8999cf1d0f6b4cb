"""Ctrl-C: once, and every group finishes its epoch and is saved; twice, and the search stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a terminal's, and what a container or a cluster sends before it kills

STOPPING = "stopping: every group finishes its epoch and is saved; once more stops at once"


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[Callable[[], None]]:
    """Within the block, the first signal sets `stop` and the second raises KeyboardInterrupt.

    What it gives may be called from any thread, and breaks the block off as the second signal does. Signals reach the
    main thread alone; in another, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    def break_off() -> None:
        stop.set()
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield break_off
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

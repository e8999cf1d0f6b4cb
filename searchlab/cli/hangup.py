"""A terminal that is closed does not end a run, which can be watched and stopped from another one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hangup_ignored() -> Iterator[None]:
    """Within the block, this process and those it starts ignore SIGHUP, the signal of a terminal that is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)

"""Signals that stop a search: the first one has every group finish its epoch and be saved, the second stops at once."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what a container or a cluster sends before it kills
ABORT_SIGNAL = signal.SIGUSR2  # from this process to itself: Ray's jobs block SIGINT, and its library takes SIGTERM

# seconds in which further signals count as the first one: timeout(1) signals both a process and its group
DUPLICATE_WINDOW = 0.5

STOP_MESSAGE = "stopping: every group finishes its epoch and is saved; a second signal stops at once"


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[Callable[[], None]]:
    """Within the block, set `stop` at the first signal, and raise KeyboardInterrupt at a second one.

    The block gets a function that any thread may call to raise KeyboardInterrupt in it at once. Python handles signals
    in the main thread only; in another thread this context does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    main = threading.get_ident()
    first_signal, is_aborted = math.inf, False  # monotonic time of the first signal

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first_signal
        if number == ABORT_SIGNAL and not is_aborted:
            signal.signal(signal.SIGTERM, handle)  # for `restore_handlers`
            return
        stop.set()
        first_signal = min(first_signal, time.monotonic())
        if is_aborted or time.monotonic() > first_signal + DUPLICATE_WINDOW:
            raise KeyboardInterrupt

    def abort() -> None:
        nonlocal is_aborted
        if is_aborted:
            return  # the block is being left: a second exception would interrupt that
        is_aborted = True
        signal.pthread_kill(main, ABORT_SIGNAL)  # to the main thread, so that a call that it waits in returns

    previous = {number: signal.signal(number, handle) for number in (*SIGNALS, ABORT_SIGNAL)}
    try:
        yield abort
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def restore_handlers() -> None:
    """Have the main thread, in an `interruptible` block, install its handler of SIGTERM again; from any thread.

    Ray's library replaces it by one that ends the process.
    """
    if callable(signal.getsignal(ABORT_SIGNAL)):
        signal.pthread_kill(threading.main_thread().ident or 0, ABORT_SIGNAL)

"""Retries of calls to a service that may be unavailable for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from searchlab.errors import WorldFault

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between two attempts; each pause is twice the one before
NOTIFY_AFTER = 1.0  # seconds of an outage before it is reported

T = TypeVar("T")


class Unavailable(Exception):
    """A service that does not answer, for the reason given; another attempt may succeed."""


class RetryPolicy:
    """Repeats calls to one service while it is unavailable, and limits how long its outage may last.

    All threads that use a policy share its outage: the time of the outage counts from the first call that failed, in
    whatever thread, one line reports it, and the first call that succeeds ends it. Libraries for retries, such as
    tenacity, which the other loops of this project use, give each call an outage of its own: a hundred threads would
    report a hundred outages, and each call after the time is up would wait as long again.

    Args:
        timeout: Seconds that an outage may last. It may be changed at any time.
        service: What is called, as in "the study's database sqlite:///study.db"; errors and lines begin with it.
        advice: What the user can rely on and do after an outage that lasts too long; a sentence that ends the error.
        notify: Gets a line for people when an outage lasts longer than a second, and another one when it is over.

    Attributes:
        before_attempt: Called before every attempt; it may raise Unavailable too. Default: does nothing.
    """

    def __init__(self, timeout: float, service: str, advice: str, notify: Callable[[str], None] | None = None) -> None:
        self.timeout, self._service, self._advice = timeout, service, advice
        self.before_attempt: Callable[[], None] = lambda: None
        self._notify = notify or (lambda text: None)
        self._lock = threading.Lock()
        self._outage_start: float | None = None  # monotonic
        self._reported = False

    def call(
        self,
        action: Callable[[], T],
        repeat: Callable[[], T] | None = None,
        before_attempt: Callable[[], None] | None = None,
    ) -> T:
        """Call `action` until it does not raise Unavailable, with growing pauses, and return its result.

        Args:
            action: The call. It raises Unavailable when the service does not answer, even though the call may have
                taken effect there.
            repeat: The call for the second and further attempts, where repeating `action` would do its work twice;
                default `action`.
            before_attempt: Called before each attempt instead of the policy's own `before_attempt`.

        Returns:
            What the first attempt that succeeds returns.

        Raises:
            WorldFault: When the outage exceeds the timeout. Until the service answers again, later calls then make one
                attempt each.
        """
        pause, attempt = FIRST_PAUSE, action
        while True:
            try:
                (before_attempt or self.before_attempt)()
                current, attempt = attempt, repeat or attempt
                result = current()
                break
            except Unavailable as error:
                failure = error
            self._wait(pause, failure)
            pause = min(2 * pause, LONGEST_PAUSE)
        if self._outage_start is not None:
            self._end_outage()
        return result

    def _wait(self, pause: float, failure: Unavailable) -> None:
        now = time.monotonic()
        with self._lock:
            start = self._outage_start = now if self._outage_start is None else self._outage_start
            is_long = now - start >= NOTIFY_AFTER
            should_report, self._reported = is_long and not self._reported, is_long or self._reported
        if now - start >= self.timeout:
            raise WorldFault(
                f"{self._service} has not answered for {self.timeout:g} seconds ({failure}); {self._advice}"
            ) from failure
        if should_report:
            self._notify(f"{self._service} does not answer ({failure}); waiting up to {self.timeout:g} seconds for it")
        time.sleep(min(pause, start + self.timeout - now))

    def _end_outage(self) -> None:
        with self._lock:
            start, was_reported = self._outage_start, self._reported
            self._outage_start, self._reported = None, False
        if was_reported and start is not None:
            self._notify(f"{self._service} answers again, after {time.monotonic() - start:.0f} seconds")

"""Patience with what goes away and comes back: it is asked again, with growing pauses, until time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from searchlab.errors import WorldFault

FIRST, LONGEST = 0.1, 2.0  # seconds between two tries
SILENT = 1.0  # seconds of an outage of which nobody needs to hear

T = TypeVar("T")


class Unavailable(Exception):
    """What was asked does not answer, for this reason; asking again may help."""


class RetryPolicy:
    """How long to wait for something. An outage is one for all threads that meet it, and is over when any is answered.

    `tell` hears of an outage that lasts, and of its end. `check` is done before everything that is asked.
    """

    def __init__(self, seconds: float, what: str, kept: str, tell: Callable[[str], None] | None = None) -> None:
        self.seconds, self._what, self._kept = seconds, what, kept
        self.check: Callable[[], None] = lambda: None
        self._tell = tell or (lambda text: None)
        self._lock = threading.Lock()
        self._since: float | None = None  # monotonic: when the outage began
        self._told = False

    def call(
        self, ask: Callable[[], T], again: Callable[[], T] | None = None, check: Callable[[], None] | None = None
    ) -> T:
        """The answer. Where the first was lost on its way, `again` asks so that nothing is done twice.

        `check` is done before each try, instead of what is done otherwise.
        Raises WorldFault when there is none in time, and from then on at the first try, until there is one again.
        """
        pause = FIRST
        while True:
            try:
                (check or self.check)()
                question, ask = ask, again or ask
                answer = question()
                break
            except Unavailable as error:
                away = error
            self._wait(pause, away)
            pause = min(2 * pause, LONGEST)
        if self._since is not None:
            self._end()
        return answer

    def _wait(self, pause: float, away: Unavailable) -> None:
        now = time.monotonic()
        with self._lock:
            since = self._since = now if self._since is None else self._since
            news, self._told = not self._told and now - since >= SILENT, self._told or now - since >= SILENT
        if now - since >= self.seconds:
            raise WorldFault(
                f"{self._what} has not answered for {self.seconds:g} seconds ({away}); {self._kept}"
            ) from away
        if news:
            self._tell(f"{self._what} does not answer ({away}); waiting for it, {self.seconds:g} seconds at most")
        time.sleep(min(pause, since + self.seconds - now))

    def _end(self) -> None:
        with self._lock:
            since, told = self._since, self._told
            self._since, self._told = None, False
        if told and since is not None:
            self._tell(f"{self._what} answers again, after {time.monotonic() - since:.0f} seconds")

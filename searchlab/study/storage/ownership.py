"""Ownership of a study in a database: one process at a time writes it, on whatever host that process runs."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable
from contextlib import suppress
from operator import not_

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine
from tenacity import RetryCallState, RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable
from searchlab.study.storage.advisory_lock import LockAttempt, ServerConnection

OWNER_TIMEOUT = 40.0  # seconds to wait for an earlier owner to end: the server notices a dead host after 25
CHECK_INTERVAL = 10.0  # seconds between two checks that the lock is still held
POLL_INTERVAL = 0.5  # seconds between two attempts to take it
NOTIFY_AFTER = 2.0  # seconds of waiting before it is reported


class Ownership:
    """PostgreSQL's advisory lock for one study, held on a connection of its own for as long as that connection lives.

    Args:
        engine: Of the database.
        study: The name of the study.
        notify: Gets a line for people when an earlier owner is waited for.

    Attributes:
        token: Identifies this owner. It is written into the study, so that an owner that was cut off from the database
            can tell whether another process owned the study in the meantime.

    Raises:
        UserMistake: When another process owns the study and does not end.
    """

    def __init__(self, engine: Engine, study: str, notify: Callable[[str], None] | None = None) -> None:
        self.token = uuid.uuid4().hex
        self._engine, self._study = engine, study
        self._guard = threading.Lock()
        self._connection: Connection | None = None
        self._known_as: ServerConnection | None = None  # the connection that held the lock last
        self._needs_check = threading.Event()  # a connection was lost, and perhaps this one too
        self._lost_reason: str | None = None  # set when the study will not be owned here again
        self._ended = threading.Event()
        self._acquire(notify or (lambda text: None))
        check = threading.Thread(target=_check_often, args=(weakref.ref(self), self._ended), daemon=True)
        check.name = "study-ownership"
        check.start()

    def ensure(self, *, verify: bool = False) -> None:
        """Ensure that the lock is held, and take it again where its connection was lost.

        Args:
            verify: Ask the server in any case; otherwise only after a connection was lost.

        Raises:
            Unavailable: While the database is.
            WorldFault: When another process has owned the study in the meantime: what this one knows is out of date.
        """
        if verify or self._needs_check.is_set() or self._lost_reason:
            with self._guard:
                self._ensure()

    def connection_lost(self) -> None:
        """Have the next `ensure` check the lock, because a connection to the database was lost."""
        self._needs_check.set()

    def release(self) -> None:
        """Release the lock, so that another process can own the study."""
        self._ended.set()
        with self._guard:
            self._lost_reason = self._lost_reason or f"the study {self._study!r} is closed"
            self._close()

    def _ensure(self) -> None:
        if self._lost_reason:
            raise WorldFault(self._lost_reason)
        self._needs_check.clear()  # before the check: a connection lost after it is checked again
        try:
            if not self._is_held():
                self._reacquire()
        except Unavailable:
            self._needs_check.set()
            raise

    def _is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except Unavailable:
            self._close()
            return False
        return True

    def _acquire(self, notify: Callable[[str], None]) -> None:
        """Take the lock for the first time, waiting for an earlier owner."""
        notified = threading.Event()

        def report(state: RetryCallState) -> None:
            if (state.seconds_since_start or 0.0) > NOTIFY_AFTER and not notified.is_set():
                notified.set()
                notify(
                    f"another process owns the study {self._study!r}; waiting up to {OWNER_TIMEOUT:g} seconds for it"
                )

        with LockAttempt(self._engine, self._study) as attempt:
            attempts = Retrying(
                retry=retry_if_result(not_),
                wait=wait_fixed(POLL_INTERVAL),
                stop=stop_after_delay(OWNER_TIMEOUT),
                before_sleep=report,
            )
            try:
                attempts(attempt.try_lock)
            except RetryError:
                raise UserMistake(
                    f"{self._study!r} is being run by another process{_host_of(attempt.holder())}; one at a time, or "
                    "choose another name with --name."
                ) from None
            self._connection, self._known_as = attempt.keep_connection()

    def _reacquire(self) -> None:
        """Take the lock again after its connection was lost."""
        with LockAttempt(self._engine, self._study) as attempt:

            def end_own_connection(state: RetryCallState) -> None:
                holder = attempt.holder()
                if holder is None:
                    return
                is_own = self._known_as is not None and holder[:2] == self._known_as[:2]
                if not is_own or (state.seconds_since_start or 0.0) > OWNER_TIMEOUT:
                    self._give_up(_host_of(holder))
                attempt.terminate(holder)  # the server does not know yet that it was cut off

            attempts = Retrying(
                retry=retry_if_result(not_), wait=wait_fixed(POLL_INTERVAL / 10), before_sleep=end_own_connection
            )
            attempts(attempt.try_lock)
            if attempt.latest_owner() not in (None, self.token):
                self._give_up("")
            self._connection, self._known_as = attempt.keep_connection()

    def _give_up(self, host: str) -> None:
        """Raise WorldFault, now and at every later call."""
        self._ended.set()
        self._lost_reason = (
            f"another process{host} has taken the study {self._study!r} over while this one was cut off from its "
            "database; the trials that had ended are kept."
        )
        raise WorldFault(self._lost_reason)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Unavailable):
                connection.close()


def _check_often(reference: weakref.ref[Ownership], ended: threading.Event) -> None:
    """Verify the lock every CHECK_INTERVAL seconds: a study that is idle for an hour must keep its owner too."""
    while not ended.wait(CHECK_INTERVAL):
        ownership = reference()
        if ownership is None:
            return
        with suppress(Unavailable, WorldFault):  # the next call to the study raises it
            ownership.ensure(verify=True)
        del ownership


def _host_of(connection: ServerConnection | None) -> str:
    return f" on {connection.host}" if connection and connection.host else ""

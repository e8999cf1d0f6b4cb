"""PostgreSQL's advisory lock of a study, held by the one connection that writes the study."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from operator import not_
from typing import TYPE_CHECKING, Any, NamedTuple

from tenacity import RetryCallState, RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from searchlab.errors import UserMistake
from searchlab.study.storage.postgres import Database

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT = 10  # seconds
OWNER_TIMEOUT = 40.0  # seconds to wait for an earlier owner to end: the server notices a dead host after 25
POLL_INTERVAL = 0.5  # seconds between two attempts to take the lock
NOTIFY_AFTER = 2.0  # seconds of waiting before it is reported

SESSION_SETTINGS = {
    "tcp_keepalives_idle": "10",  # by default a host that is cut off keeps the lock for two hours
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "idle_session_timeout": "0",  # an idle owner keeps the study
    "synchronous_commit": "off",  # see OwnedDatabaseJournal
}
APPLY_SETTINGS = """
SELECT set_config(s.name, given.value, false)
FROM pg_settings s JOIN unnest(%s::text[], %s::text[]) AS given(name, value) USING (name)
"""  # older servers lack some
TRY_LOCK = "SELECT pg_try_advisory_lock(%s, %s)"
SELECT_HOLDER = """
SELECT a.pid, a.backend_start, host(a.client_addr) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class TakenOver(Exception):
    """A study that another process owns now; the text is " on HOST" where the server says on which."""


class ServerConnection(NamedTuple):
    """A connection as the server knows it.

    Attributes:
        pid: The id of the server's process for it.
        started: When it was opened; with the pid, it identifies the connection.
        host: The address it comes from, None where the server does not say.
    """

    pid: int
    started: datetime
    host: str | None


class StudyLock:
    """The lock of one study. The connection that holds it is the one that writes the study.

    The server releases the lock when that connection ends, in whatever way, and only after it has committed or undone
    what the connection had begun. So whatever the connection executes is executed by the study's owner, without asking,
    and once another connection has the lock, nothing that was sent before can still arrive.

    Args:
        database: The database of the study.
        study: The name of the study.

    Attributes:
        connection: The connection that holds the lock; None where there is none.
        known_as: The connection that held the lock last, as the server knows it.
    """

    def __init__(self, database: Database, study: str) -> None:
        self._database, self._study, self._keys = database, study, _lock_keys(study)
        self.connection: Connection[Any] | None = None
        self.known_as: ServerConnection | None = None

    def acquire(self, notify: Callable[[str], None]) -> Connection[Any]:
        """Take the lock for the first time, waiting for an earlier owner; return the connection that holds it.

        Raises:
            Unavailable: While the database is.
            UserMistake: When another process owns the study and does not end.
        """
        notified = False

        def report(state: RetryCallState) -> None:
            nonlocal notified
            if (state.seconds_since_start or 0.0) > NOTIFY_AFTER and not notified:
                notified = True
                notify(
                    f"another process owns the study {self._study!r}; waiting up to {OWNER_TIMEOUT:g} seconds for it"
                )

        attempts = Retrying(
            retry=retry_if_result(not_),
            wait=wait_fixed(POLL_INTERVAL),
            stop=stop_after_delay(OWNER_TIMEOUT),
            before_sleep=report,
        )
        with self._new_connection() as connection:
            try:
                attempts(self._try_lock, connection)
            except RetryError:
                raise UserMistake(
                    f"{self._study!r} is being run by another process{_host_of(self._holder(connection))}; one at a "
                    "time, or choose another name with --name."
                ) from None
        return connection

    def reacquire(self) -> Connection[Any]:
        """Take the lock again after its connection was lost; return the one that holds it now.

        Raises:
            Unavailable: While the database is.
            TakenOver: When another connection has it.
        """

        with self._new_connection() as connection:

            def end_own_connection(state: RetryCallState) -> None:
                holder = self._holder(connection)
                if holder is None:
                    return
                is_own = self.known_as is not None and holder[:2] == self.known_as[:2]
                if not is_own or (state.seconds_since_start or 0.0) > OWNER_TIMEOUT:
                    raise TakenOver(_host_of(holder))
                # the server does not know yet that the connection was cut off
                connection.execute("SELECT pg_terminate_backend(%s)", (holder.pid,))

            attempts = Retrying(
                retry=retry_if_result(not_), wait=wait_fixed(POLL_INTERVAL / 10), before_sleep=end_own_connection
            )
            attempts(self._try_lock, connection)
        return connection

    def close(self) -> None:
        """Close the connection, which releases the lock. The call is idempotent."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(Exception):  # it may be lost
                connection.close()

    @contextmanager
    def _new_connection(self) -> Iterator[Connection[Any]]:
        """Give the block a new connection to take the lock on, which is kept if the block succeeds."""
        self.close()
        connection = self._database.connect(CONNECT_TIMEOUT)
        try:
            with self._database.translated(opening=True):
                connection.execute(APPLY_SETTINGS, (list(SESSION_SETTINGS), list(SESSION_SETTINGS.values())))
                yield connection
                self.known_as = self._holder(connection)
        except BaseException:
            connection.close()
            raise
        self.connection = connection

    def _try_lock(self, connection: Connection[Any]) -> bool:
        (is_held,) = connection.execute(TRY_LOCK, self._keys).fetchone() or (False,)
        return bool(is_held)

    def _holder(self, connection: Connection[Any]) -> ServerConnection | None:
        """Return the connection that holds the lock; None for a moment between two holders."""
        row = connection.execute(SELECT_HOLDER, self._keys).fetchone()
        return ServerConnection(*row) if row else None


def _lock_keys(study: str) -> tuple[int, int]:
    """Return the two integers of 31 bits that identify a study's lock to PostgreSQL."""
    digest = hashlib.sha256(f"searchlab study {study}".encode()).digest()
    first, second = (int.from_bytes(digest[start : start + 4], "big") >> 1 for start in (0, 4))
    return first, second


def _host_of(connection: ServerConnection | None) -> str:
    return f" on {connection.host}" if connection and connection.host else ""

"""Ownership: a lock in the database itself says which one process writes a study, wherever that process runs."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from searchlab.errors import UserMistake
from searchlab.service.patience import Away

WAIT = 40.0  # seconds for an earlier owner to be gone: its server notices a dead host after 25
LOOK = 10.0  # seconds between two looks whether the lock is still held
POLL = 0.5  # seconds between two tries to take it
NOTICE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}  # else two hours
HOLDER = """
SELECT a.pid, a.backend_start, host(a.client_addr) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :first AND l.objid = :second AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Holder(NamedTuple):
    """A connection as its server sees it."""

    pid: int  # of the server's process
    since: datetime
    host: str | None  # the address it comes from, where it is told


class Ownership:
    """PostgreSQL's advisory lock for one study, on a connection of its own: it is held as long as that lives.

    Raises UserMistake where another process keeps it.
    """

    def __init__(self, engine: Engine, study: str) -> None:
        self._engine, self._study = engine, study
        self._keys = dict(zip(("first", "second"), _keys(study), strict=True))
        self._connection: Connection | None = None
        self._own: Holder | None = None  # as which the lock was held last
        self._seen = float("-inf")  # monotonic: when it was held for certain
        self._guard = threading.Lock()
        self.keep()

    def keep(self) -> None:
        """Take the lock, or see once in a while that it is held still; where its connection was lost, take it again.

        Raises Away while the database is, and UserMistake where another process has taken the study over.
        """
        if time.monotonic() - self._seen < LOOK:
            return
        with self._guard:
            if not self._held():
                self._take()
            self._seen = time.monotonic()

    def lost(self) -> None:
        """A connection was lost: this one may be too."""
        self._seen = float("-inf")

    def release(self) -> None:
        """Let another process have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except Away:
            self.release()
            return False
        return True

    def _take(self) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # not the pool's any more: closing it lets go of the lock
        try:
            for name, value in NOTICE.items():
                connection.execute(text(f"SET {name} = {value}"))
            deadline = time.monotonic() + WAIT
            while not connection.scalar(text("SELECT pg_try_advisory_lock(:first, :second)"), self._keys):
                self._wait(self._holder(connection), connection, deadline)
            self._own = self._holder(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _wait(self, other: Holder | None, connection: Connection, deadline: float) -> None:
        if other is not None and self._own is not None and other[:2] == self._own[:2]:
            # our own from before, of which only its server does not know yet that it was cut off
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": other.pid})
        elif time.monotonic() > deadline:
            where = f" on {other.host}" if other and other.host else ""
            raise UserMistake(f"{self._study!r} is being run by another process{where}; one at a time.")
        time.sleep(POLL)

    def _holder(self, connection: Connection) -> Holder | None:
        row = connection.execute(text(HOLDER), self._keys).one_or_none()
        return Holder(*row) if row else None


def _keys(study: str) -> tuple[int, int]:
    """The two numbers of 31 bits that PostgreSQL knows the lock by."""
    digest = hashlib.sha256(f"searchlab study {study}".encode()).digest()
    first, second = (int.from_bytes(digest[at : at + 4], "big") >> 1 for at in (0, 4))
    return first, second

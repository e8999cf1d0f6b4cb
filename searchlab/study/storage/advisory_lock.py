"""PostgreSQL's advisory lock of a study: who holds it, and a connection that tries to take it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from searchlab.runs.retry import Unavailable
from searchlab.study.storage.attributes import OWNER

CONNECTION_SETTINGS = {  # by default a host that is cut off keeps the lock for two hours, and an idle owner may lose it
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "idle_session_timeout": "0",
}
SET_STATEMENT = "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name"  # older servers lack some
TRY_LOCK = "SELECT pg_try_advisory_lock(:first, :second)"
SELECT_HOLDER = """
SELECT a.pid, a.backend_start, host(a.client_addr) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :first AND l.objid = :second AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
SELECT_OWNER = """
SELECT a.value_json FROM study_user_attributes a JOIN studies s USING (study_id)
WHERE s.study_name = :study AND a.key = :key
"""


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


class LockAttempt:
    """A connection that tries to take the lock, and is closed after the block unless `keep_connection` was called.

    Args:
        engine: Of the database.
        study: The name of the study to lock.
    """

    def __init__(self, engine: Engine, study: str) -> None:
        self._engine, self._study, self._is_kept = engine, study, False
        self._keys = dict(zip(("first", "second"), _lock_keys(study), strict=True))

    def __enter__(self) -> LockAttempt:
        self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection.detach()  # from the pool, so that closing it releases the lock
        try:
            for name, value in CONNECTION_SETTINGS.items():
                self._connection.execute(text(SET_STATEMENT), {"name": name, "value": value})
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_kept:
            with suppress(Unavailable):
                self._connection.close()

    def try_lock(self) -> bool:
        """Take the lock unless another connection holds it; return whether this one does."""
        return bool(self._connection.scalar(text(TRY_LOCK), self._keys))

    def holder(self) -> ServerConnection | None:
        """Return the connection that holds the lock; None for a moment between two holders."""
        row = self._connection.execute(text(SELECT_HOLDER), self._keys).one_or_none()
        return ServerConnection(*row) if row else None

    def terminate(self, other: ServerConnection) -> None:
        """Have the server end another connection of the same user."""
        self._connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": other.pid})

    def latest_owner(self) -> str | None:
        """Return the token of the process that opened the study last; None where none has written one."""
        value = self._connection.scalar(text(SELECT_OWNER), {"study": self._study, "key": OWNER})
        return None if value is None else str(json.loads(value))

    def keep_connection(self) -> tuple[Connection, ServerConnection | None]:
        """Return the connection, which then stays open after the block, and how the server knows it."""
        known_as = self.holder()
        self._is_kept = True
        return self._connection, known_as


def _lock_keys(study: str) -> tuple[int, int]:
    """Return the two integers of 31 bits that identify a study's lock to PostgreSQL."""
    digest = hashlib.sha256(f"searchlab study {study}".encode()).digest()
    first, second = (int.from_bytes(digest[start : start + 4], "big") >> 1 for start in (0, 4))
    return first, second

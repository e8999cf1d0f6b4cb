"""PostgreSQL's advisory lock of a study: who has it, and one connection that tries for it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from searchlab.runs.retry import Unavailable

OWNER = "owner"  # the study's attribute that names whoever opened it last
SETTINGS = {  # else a host that is cut off keeps the lock for two hours, and an owner at rest may lose it
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "idle_session_timeout": "0",
}
SET = "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name"  # older servers lack some
TRY = "SELECT pg_try_advisory_lock(:first, :second)"
HOLDER = """
SELECT a.pid, a.backend_start, host(a.client_addr) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :first AND l.objid = :second AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
LATEST = """
SELECT a.value_json FROM study_user_attributes a JOIN studies s USING (study_id)
WHERE s.study_name = :study AND a.key = :key
"""


class Holder(NamedTuple):
    """A connection as its server sees it."""

    pid: int  # of the server's process
    since: datetime
    host: str | None  # the address it comes from, where it is told


class Attempt:
    """A connection that tries for the lock; it is closed at the end of the block unless it has won it."""

    def __init__(self, engine: Engine, study: str) -> None:
        self._engine, self._study, self._won = engine, study, False
        self._keys = dict(zip(("first", "second"), _keys(study), strict=True))

    def __enter__(self) -> Attempt:
        self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection.detach()  # not the pool's any more: closing it lets go of the lock
        try:
            for name, value in SETTINGS.items():
                self._connection.execute(text(SET), {"name": name, "value": value})
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._won:
            with suppress(Unavailable):
                self._connection.close()

    def takes(self) -> bool:
        """Whether it has the lock now."""
        return bool(self._connection.scalar(text(TRY), self._keys))

    def holder(self) -> Holder | None:
        """Who has it; None for a moment between two."""
        row = self._connection.execute(text(HOLDER), self._keys).one_or_none()
        return Holder(*row) if row else None

    def end(self, other: Holder) -> None:
        """Have the server end another connection of ours."""
        self._connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": other.pid})

    def latest_owner(self) -> str | None:
        """The token of whoever opened the study last; None where nobody has written one."""
        found = self._connection.scalar(text(LATEST), {"study": self._study, "key": OWNER})
        return None if found is None else str(json.loads(found))

    def won(self) -> tuple[Connection, Holder | None]:
        """The connection, which is to live on, and what its server knows it by."""
        own = self.holder()
        self._won = True
        return self._connection, own


def _keys(study: str) -> tuple[int, int]:
    """The two numbers of 31 bits that PostgreSQL knows the lock by."""
    digest = hashlib.sha256(f"searchlab study {study}".encode()).digest()
    first, second = (int.from_bytes(digest[at : at + 4], "big") >> 1 for at in (0, 4))
    return first, second

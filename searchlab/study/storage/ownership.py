"""Ownership: one process at a time writes a study that lies in a database, wherever that process runs."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable
from searchlab.study.storage.advisory_lock import Attempt, Holder

WAIT = 40.0  # seconds for an earlier owner to be gone: its server notices a dead host after 25
LOOK = 10.0  # seconds between two looks whether the lock is still held
POLL = 0.5  # seconds between two tries to take it
SILENT = 2.0  # seconds of waiting of which nobody needs to hear


class Ownership:
    """PostgreSQL's advisory lock for one study, on a connection of its own: it is held as long as that lives.

    An earlier owner is waited for; `waiting` hears of it. Raises UserMistake where it stays. `token` is this owner's,
    to be written into the study as OWNER: by it one that was cut off knows whether another had the study meanwhile.
    """

    def __init__(self, engine: Engine, study: str, waiting: Callable[[str], None] | None = None) -> None:
        self.token = uuid.uuid4().hex
        self._engine, self._study = engine, study
        self._guard = threading.Lock()
        self._connection: Connection | None = None
        self._own: Holder | None = None  # as which the lock was held last
        self._doubt = threading.Event()  # a connection was lost: this one may be too
        self._gone: str | None = None  # why it is nobody's here any more, for good
        self._over = threading.Event()
        self._open(waiting or (lambda _: None))
        threading.Thread(target=_look, args=(weakref.ref(self), self._over), daemon=True, name="ownership").start()

    def keep(self, *, sure: bool = False) -> None:
        """See to it that the lock is held: where a connection was lost it is looked at, and taken again.

        With `sure` it is looked at in any case. Raises Away while the database is, and WorldFault when another process
        has had the study since: what this one knows of it is not true any more.
        """
        if sure or self._doubt.is_set() or self._gone:
            with self._guard:
                self._keep()

    def doubt(self) -> None:
        """A connection was lost."""
        self._doubt.set()

    def release(self) -> None:
        """Let another process have it."""
        self._over.set()
        with self._guard:
            self._gone = self._gone or f"the study {self._study!r} was let go of"
            self._close()

    def _keep(self) -> None:
        if self._gone:
            raise WorldFault(self._gone)
        self._doubt.clear()  # before the look: what is lost after it is looked at again
        try:
            if not self._held():
                self._take_again()
        except Unavailable:
            self._doubt.set()
            raise

    def _held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except Unavailable:
            self._close()
            return False
        return True

    def _open(self, waiting: Callable[[str], None]) -> None:
        begun, told = time.monotonic(), False
        with Attempt(self._engine, self._study) as attempt:
            while not attempt.takes():
                other, passed = attempt.holder(), time.monotonic() - begun
                if passed > WAIT:
                    raise UserMistake(
                        f"{self._study!r} is being run by another process{_where(other)}; one at a time, or choose "
                        "another name with --name."
                    )
                if passed > SILENT and not told:
                    waiting(f"another process has the study {self._study!r}; waiting for it, {WAIT:g} seconds at most")
                    told = True
                time.sleep(POLL)
            self._connection, self._own = attempt.won()

    def _take_again(self) -> None:
        begun = time.monotonic()
        with Attempt(self._engine, self._study) as attempt:
            while not attempt.takes():
                other = attempt.holder()
                ours = other is not None and self._own is not None and other[:2] == self._own[:2]
                if other is not None and (not ours or time.monotonic() - begun > WAIT):
                    self._lose(_where(other))
                if other is not None:  # from before: its server alone does not know yet that it was cut off
                    attempt.end(other)
                time.sleep(POLL / 10)
            if attempt.latest_owner() not in (None, self.token):
                self._lose("")
            self._connection, self._own = attempt.won()

    def _lose(self, where: str) -> None:
        self._over.set()
        self._gone = (
            f"another process{where} has taken the study {self._study!r} over while this one was cut off from its "
            "database; what had ended is kept in it."
        )
        raise WorldFault(self._gone)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Unavailable):
                connection.close()


def _look(ownership: weakref.ref[Ownership], over: threading.Event) -> None:
    """Once in a while, for as long as it is held: a study of which nothing is asked for an hour has an owner too."""
    while not over.wait(LOOK):
        held = ownership()
        if held is None:
            return
        with suppress(Unavailable, WorldFault):  # whoever asks next hears of it
            held.keep(sure=True)
        del held


def _where(other: Holder | None) -> str:
    return f" on {other.host}" if other and other.host else ""

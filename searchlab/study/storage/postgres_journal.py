"""A study in PostgreSQL: Optuna's journal as rows of a table, written by one owner and read by any process."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from optuna.storages.journal import BaseJournalBackend

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import RetryPolicy, Unavailable
from searchlab.study.storage.journal_format import Operation, encode
from searchlab.study.storage.own_lines import OwnLines
from searchlab.study.storage.postgres import Database
from searchlab.study.storage.postgres_lock import StudyLock, TakenOver
from searchlab.study.storage.postgres_reader import Append, decoded, select_appends

if TYPE_CHECKING:
    from psycopg import Connection

OUTAGE_TIMEOUT = 300.0  # seconds that the owner waits for a database that became unavailable
OPEN_TIMEOUT = 30.0  # seconds that it waits for one to start; a mistake in the URL costs as long
CHECK_INTERVAL = 10.0  # seconds between two checks of an idle owner that its connection lives
SYNC_INTERVAL = 1.0  # seconds between two waits for the server's disk, at least
MAX_WAITING = 1000  # lines that wait for the next flush
ADVICE = "every trial that had ended is kept in it, and `searchlab resume` continues once it answers."
SYNC_ON, SYNC_OFF = "SET synchronous_commit = on", "SET synchronous_commit = off"
DETAILS = {  # operations about an open trial, which nobody asks for before it is handed out or has ended
    Operation.CREATE_TRIAL,
    Operation.SET_TRIAL_PARAM,
    Operation.SET_TRIAL_INTERMEDIATE_VALUE,
    Operation.SET_TRIAL_USER_ATTR,
    Operation.SET_TRIAL_SYSTEM_ATTR,
}
SELECT_STUDY = "SELECT id FROM searchlab_studies WHERE name = %s"
INSERT_STUDY = "INSERT INTO searchlab_studies (name) VALUES (%s) RETURNING id"
INSERT_APPEND = "INSERT INTO searchlab_journal (study, number, lines) VALUES (%s, %s, %s)"
SELECT_OPTUNAS_STUDY = "SELECT 1 FROM studies WHERE study_name = %s"
MARK_OPEN = "UPDATE searchlab_studies SET closed = NULL WHERE id = %s"
MARK_CLOSED = "UPDATE searchlab_studies SET closed = now() WHERE id = %s"


class OwnedDatabaseJournal(BaseJournalBackend):
    """The journal of its one owner, whose connection holds the study's lock.

    The lock also gives the lines their order: serial numbers would not, because they are visible in the order in which
    transactions end, and a reader would miss those that come late. Here one connection at a time writes a study, and
    numbers its appends itself.

    Details of an open trial wait for the next `flush`, so that a trial takes two or three statements instead of ten;
    all other operations are sent at once, with the details before them. The server confirms an append before its disk
    has it, which costs a tenth of the time. So the owner keeps the appends that may not be on the disk, at most
    SYNC_INTERVAL seconds of them, and the next one then waits for the disk. When the connection is lost, by a restart
    of the server or in the middle of an append, the owner takes the lock again, reads which of these appends the server
    has, and sends the others: none is lost, none is there twice. A row that is not its own tells it that another
    process has owned the study.

    Args:
        database: The database, in which missing tables are created.
        study: The name of the study.
        notify: Gets a line for people when the database is unavailable, when it is available again, and when an earlier
            owner is waited for.

    Raises:
        WorldFault: When the database cannot be opened.
        UserMistake: When another process owns the study and does not end.
    """

    def __init__(self, database: Database, study: str, notify: Callable[[str], None]) -> None:
        self._database, self._name = database, study
        self._policy = RetryPolicy(OPEN_TIMEOUT, f"the study's database {database.shown_as}", ADVICE, notify)
        self._guard = threading.RLock()  # of everything below: a thread checks the connection
        self._lock = StudyLock(database, study)
        self._has_failed = False  # the last attempt to send
        self._lost_reason: str | None = None  # set when the study will not be written here again
        self._ended = threading.Event()
        self._waiting: list[str] = []  # lines that wait for the next flush
        self._unsynced: list[Append] = []  # appends that the server's disk may not have
        self._confirmed = 0  # how many of them the server has confirmed
        self._last_synced: Append | None = None
        self._last_sync = time.monotonic()
        self._study, self._stored = self._policy.call(lambda: self._open(notify))
        self._own_lines = OwnLines(len(self._stored))
        self._policy.timeout = OUTAGE_TIMEOUT
        weakref.finalize(self, self._lock.close)
        check = threading.Thread(target=_check_often, args=(weakref.ref(self), self._ended), daemon=True)
        check.name = "study-connection"
        check.start()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the operations from this line on, counted from 0; they are in memory and are read once."""
        if log_number_from < self._own_lines.first:
            stored, self._stored = self._stored[log_number_from:], []
            return iter(stored)
        return self._own_lines.read(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take in operations, and send them unless they are details of an open trial.

        Raises:
            WorldFault: When the database stays unavailable, refuses them, or another process owns the study now.
        """
        with self._guard:
            if self._lost_reason is not None:
                raise WorldFault(self._lost_reason)
            if self._ended.is_set():
                raise ValueError(f"the study {self._name!r} is closed: another process may own it now")
            lines = [encode(log) for log in logs]
            self._waiting += lines
            self._own_lines.add(lines)
            must_send = len(self._waiting) > MAX_WAITING or any(log["op_code"] not in DETAILS for log in logs)
        if must_send:
            self.flush()

    def flush(self) -> None:
        """Send what waits; after it, a kill of this process loses nothing. Raises as `append_logs` does."""
        with self._guard:
            if self._waiting:
                lines, self._waiting = "".join(f"{line}\n" for line in self._waiting), []
                self._unsynced.append(Append(self._count, lines))
        self._has_failed = True  # unless the next line returns
        self._policy.call(self._send)
        self._has_failed = False

    def close(self) -> None:
        """Send what waits, wait for the server's disk, and let another process own the study. It is idempotent.

        After a failure nothing is sent: that has been raised already.
        """
        if self._ended.is_set():
            return
        self._ended.set()
        self._policy.timeout = OPEN_TIMEOUT  # the search is over: what is lost is at most its last second
        try:
            if (self._waiting or self._unsynced) and not self._has_failed:
                self.flush()
                self._policy.call(lambda: self._sync(MARK_CLOSED, (self._study,)))
        finally:
            with self._guard:
                self._lock.close()

    def check(self) -> None:
        """Take the lock again if its connection was lost, and send what the server lost; raises as `append_logs`."""
        with self._guard:
            try:
                self._execute(self._connection(), "SELECT 1")
            except Unavailable:
                self._connection()
            self._send()

    @property
    def _count(self) -> int:
        """The number of appends up to now."""
        last = self._unsynced[-1] if self._unsynced else self._last_synced
        return last.number + 1 if last else 0

    def _send(self) -> None:
        """Send the appends that the server has not confirmed; raise Unavailable when another attempt may succeed."""
        with self._guard:
            connection = self._connection()
            while self._confirmed < len(self._unsynced):
                append = self._unsynced[self._confirmed]
                row = (self._study, append.number, append.lines)
                is_last = self._confirmed == len(self._unsynced) - 1
                if is_last and time.monotonic() - self._last_sync >= SYNC_INTERVAL:
                    return self._sync(INSERT_APPEND, row)
                self._execute(connection, INSERT_APPEND, row)
                self._confirmed += 1

    def _sync(self, statement: str, row: tuple[object, ...]) -> None:
        """Execute a statement that writes, and wait until the server's disk has it and everything before it."""
        with self._guard:
            connection = self._connection()
            self._execute(connection, SYNC_ON)
            self._execute(connection, statement, row)
            self._execute(connection, SYNC_OFF)
            self._last_synced = self._unsynced[-1] if self._unsynced else self._last_synced
            self._unsynced, self._confirmed, self._last_sync = [], 0, time.monotonic()

    def _execute(self, connection: Connection[Any], statement: str, row: tuple[object, ...] | None = None) -> None:
        try:
            with self._database.translated():
                connection.execute(statement, row)
        except Unavailable:
            self._lock.close()
            raise

    def _connection(self) -> Connection[Any]:
        """Return the connection that holds the lock, after taking the lock again where it was lost."""
        if self._lost_reason is not None:
            raise WorldFault(self._lost_reason)
        connection = self._lock.connection
        if connection is None or connection.closed:
            try:
                connection = self._lock.reacquire()
                self._confirmed = self._count_confirmed(connection)
            except TakenOver as error:
                self._lock.close()
                self._ended.set()
                self._lost_reason = (
                    f"another process{error} has taken the study {self._name!r} over while this one was cut off from "
                    "its database; the trials that had ended are kept."
                )
                self._waiting, self._unsynced = [], []
                raise WorldFault(self._lost_reason) from None
            except Unavailable:
                self._lock.close()
                raise
        return connection

    def _count_confirmed(self, connection: Connection[Any]) -> int:
        """Return how many of the unsynced appends the server has; raise TakenOver where a row is not this owner's."""
        known = [self._last_synced] if self._last_synced else []
        own = known + self._unsynced
        first = own[0].number if own else 0
        with self._database.translated():
            stored = select_appends(connection, self._study, first, len(own) + 1)
        if stored != own[: len(stored)] or len(stored) < len(known):
            raise TakenOver
        return len(stored) - len(known)

    def _open(self, notify: Callable[[str], None]) -> tuple[int, list[dict[str, Any]]]:
        """Take the lock, create what is missing, and return the study's id and its operations."""
        connection, operations = self._lock.acquire(notify), list[dict[str, Any]]()
        try:
            self._execute(connection, SYNC_ON)
            self._database.create_tables(connection)
            with self._database.translated(opening=True):
                if not (row := connection.execute(SELECT_STUDY, (self._name,)).fetchone()):
                    refuse_optunas_tables(connection, self._name)
                    row = connection.execute(INSERT_STUDY, (self._name,)).fetchone()
                (study,) = row or (0,)
                while page := select_appends(connection, study, self._count):
                    operations += [operation for append in page for operation in decoded(self._name, append)]
                    self._last_synced = page[-1]
            self._execute(connection, MARK_OPEN, (study,))  # then the disk has what an earlier owner wrote, too
            self._execute(connection, SYNC_OFF)
        except BaseException:
            self._last_synced = None
            self._lock.close()
            raise
        return int(study), operations


def refuse_optunas_tables(connection: Connection[Any], study: str) -> None:
    """Raise UserMistake where a study of this name is in Optuna's own tables, where it was stored before."""
    import psycopg

    with suppress(psycopg.Error):  # the tables are another program's
        if connection.execute(SELECT_OPTUNAS_STUDY, (study,)).fetchone():
            raise UserMistake(
                f"the database has a study called {study!r} in Optuna's own tables, which this version of searchlab "
                "does not continue; it stays as it is. Choose another name with --name."
            )


def _check_often(reference: weakref.ref[OwnedDatabaseJournal], ended: threading.Event) -> None:
    """Check the lock every CHECK_INTERVAL seconds: a study that is idle for an hour must keep its owner too."""
    while not ended.wait(CHECK_INTERVAL):
        journal = reference()
        if journal is None:
            return
        with suppress(Unavailable, WorldFault):  # the next call to the study raises it
            journal.check()
        del journal

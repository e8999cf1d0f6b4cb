"""Reading the lines of studies in PostgreSQL, whoever owns them; Optuna is not needed for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from searchlab.errors import WorldFault
from searchlab.runs.retry import RetryPolicy, Unavailable
from searchlab.study.storage.journal_format import decode
from searchlab.study.storage.postgres import Database, MissingTables

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT = 3  # seconds
READ_TIMEOUT = 5.0  # seconds that a reader waits for a database
PAGE = 2000  # appends read with one question; each holds some lines
ADVICE = "no trial is lost by that; try again once it answers."
SELECT_STUDIES = """
SELECT s.id, s.name, 1 + (SELECT max(j.number) FROM searchlab_journal j WHERE j.study = s.id)
FROM searchlab_studies s WHERE %(name)s::text IS NULL OR s.name = %(name)s ORDER BY s.id
"""
SELECT_APPENDS = (
    "SELECT number, lines FROM searchlab_journal WHERE study = %s AND number >= %s ORDER BY number LIMIT %s"
)

T = TypeVar("T")


class StoredStudy(NamedTuple):
    """A study of a database that has an append.

    Attributes:
        id: Its id in the database; a study that is deleted and created again gets another one.
        name: Its name.
        appends: Number of its appends.
    """

    id: int
    name: str
    appends: int


class Append(NamedTuple):
    """Some lines of a study's journal that its owner has written at once, each with a line end.

    Attributes:
        number: How many appends the study has before this one.
        lines: The lines.
    """

    number: int
    lines: str


def select_appends(connection: Connection[Any], study: int, first: int, limit: int = PAGE) -> list[Append]:
    """Return the appends of a study from the one with this number on."""
    return [Append(*row) for row in connection.execute(SELECT_APPENDS, (study, first, limit)).fetchall()]


def decoded(study: str, append: Append) -> list[dict[str, Any]]:
    """Return the operations of an append of this study; raise WorldFault when it is damaged."""
    try:
        return [decode(line) for line in append.lines.splitlines()]
    except ValueError as error:
        raise WorldFault(
            f"row {append.number} of the study {study!r} in the table searchlab_journal is damaged; restore a copy of "
            "the table, or delete that row and all rows of the study after it, which keeps the trials that had ended "
            "before."
        ) from error


class StudyReader:
    """A reader of the studies in a database, which keeps its connection for the next call.

    Args:
        url: The URL of the database.

    Raises:
        UserMistake: When it is not that of a PostgreSQL database.
    """

    def __init__(self, url: str) -> None:
        self._database, self._lock = Database(url), threading.Lock()
        self._policy = RetryPolicy(READ_TIMEOUT, f"the study's database {self._database.shown_as}", ADVICE)
        self._open: list[Connection[Any]] = []  # none or one
        weakref.finalize(self, _close_all, self._open)

    def studies(self, name: str | None = None) -> list[StoredStudy]:
        """Return the studies that are stored, in the order of their creation, or the one of this name.

        A database without tables has none.

        Raises:
            WorldFault: When the database cannot be read.
        """

        def select(connection: Connection[Any]) -> list[StoredStudy]:
            rows = connection.execute(SELECT_STUDIES, {"name": name}).fetchall()
            return [StoredStudy(*row) for row in rows if row[2]]

        try:
            return self._policy.call(lambda: self._ask(select))
        except MissingTables:
            return []

    def appends(self, study: StoredStudy, first: int) -> Iterator[Append]:
        """Yield the appends of a study from the one with this number on."""
        while first < study.appends:
            select = partial(select_appends, study=study.id, first=first)
            page = self._policy.call(partial(self._ask, select))
            if not page:
                return  # the study was deleted
            yield from page
            first = page[-1].number + 1

    def close(self) -> None:
        """Close the connection. The next call opens another one."""
        _close_all(self._open)

    def _ask(self, question: Callable[[Connection[Any]], T]) -> T:
        with self._lock:
            try:
                with self._database.translated(opening=True):
                    if not self._open:
                        self._open.append(self._database.connect(CONNECT_TIMEOUT))
                    return question(self._open[0])
            except Unavailable:
                self.close()
                raise


def _close_all(connections: list[Connection[Any]]) -> None:
    while connections:
        connections.pop().close()

"""Opening and closing the storage of a study: a journal file at a path, or a PostgreSQL database at a URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.storages import JournalStorage

from searchlab.study.storage.journal import OwnedJournal, ReadOnlyJournal

if TYPE_CHECKING:
    from searchlab.study.storage.postgres_journal import OwnedDatabaseJournal


class OwnedStorage(JournalStorage):
    """Optuna's storage on the journal of its owner, which can be closed."""

    def __init__(self, journal: OwnedJournal | OwnedDatabaseJournal) -> None:
        self._journal = journal
        super().__init__(journal)

    def flush(self) -> None:
        """Have everything stored that a kill of this process must not lose, such as a trial that is handed out."""
        self._journal.flush()

    def close(self) -> None:
        """Close the journal, so that another process can own the study. The call is idempotent."""
        self._journal.close()


def open_owned(storage: Path | str, study: str, notify: Callable[[str], None] | None = None) -> OwnedStorage:
    """Return the storage of a study for the process that owns it; what a killed process wrote in part is repaired.

    Args:
        storage: The path of a journal file, which is created if need be, or the URL of a PostgreSQL database.
        study: The name of the study. PostgreSQL itself keeps every other owner away from it; beside a journal file
            there is a lock file for that.
        notify: Gets a line for people when the database is unavailable or another process owns the study, and when it
            is available again.

    Raises:
        WorldFault: When the storage cannot be opened.
        UserMistake: When the URL is not that of a database, or another process owns the study.
    """
    if isinstance(storage, Path):
        return OwnedStorage(OwnedJournal(storage))
    from searchlab.study.storage.postgres import Database
    from searchlab.study.storage.postgres_journal import OwnedDatabaseJournal

    return OwnedStorage(OwnedDatabaseJournal(Database(storage), study, notify or (lambda text: None)))


def open_read_only(storage: Path | str, study: str | None = None) -> JournalStorage:
    """Return the journal at this path or the database at this URL for reading, whoever owns it.

    Of a database it has only the study of this name, or all of them. Nothing is created.
    """
    if isinstance(storage, Path):
        return JournalStorage(ReadOnlyJournal(storage))
    from searchlab.study.storage.postgres_studies import ReadOnlyDatabase

    return JournalStorage(ReadOnlyDatabase(storage, study))

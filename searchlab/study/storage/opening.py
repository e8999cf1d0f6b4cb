"""Opening and closing the storage of a study: a journal file at a path, or a database at a URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.study import Study

from searchlab.study.storage.journal import OwnedJournalStorage, ReadOnlyJournal


def open_owned(
    storage: Path | str, notify: Callable[[str], None] | None = None, study: str | None = None
) -> BaseStorage:
    """Return the storage for the process that owns it; it repairs what a killed process wrote in part.

    Args:
        storage: The path of a journal file, which is created if need be, or the URL of a database.
        notify: Gets a line for people when the database is unavailable or another process owns the study, and when it
            is available again.
        study: The name of the study to own in a database that several processes share.

    Raises:
        WorldFault: When the storage cannot be opened.
        UserMistake: When the URL is not that of a database, or another process owns the study.
    """
    if isinstance(storage, Path):
        return OwnedJournalStorage(storage)
    from searchlab.study.storage import database  # here alone: SQLAlchemy takes a while to import

    return database.open_owned(storage, notify, study)


def open_read_only(storage: Path | str) -> BaseStorage:
    """Return the journal at this path or the database at this URL for reading, whoever owns it."""
    if isinstance(storage, Path):
        return JournalStorage(ReadOnlyJournal(storage))
    from searchlab.study.storage import database

    return database.open_read_only(storage)


def record_owner(storage: BaseStorage, study: Study) -> None:
    """Write into a study that several processes can reach who owns it now; beside a journal there is a lock file."""
    if isinstance(storage, RDBStorage):
        from searchlab.study.storage import database

        database.record_owner(storage, study)


def close(storage: BaseStorage) -> None:
    """Close a storage that this process owns, so that another process can own it. The call is idempotent."""
    if isinstance(storage, OwnedJournalStorage):
        storage.close()
    elif isinstance(storage, RDBStorage):
        from searchlab.study.storage import database

        database.close(storage)

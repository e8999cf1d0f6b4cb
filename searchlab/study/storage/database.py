"""Opening and closing a study in a database, which may be unavailable for a while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import Study

from searchlab.runs.retry import RetryPolicy
from searchlab.runs.urls import mask_password
from searchlab.study.storage.attributes import OWNER
from searchlab.study.storage.database_errors import MissingTables, engine_options, parse_url
from searchlab.study.storage.database_storage import DatabaseStorage
from searchlab.study.storage.ownership import Ownership

OUTAGE_TIMEOUT = 300.0  # seconds that the owner waits for a database that became unavailable
OPEN_TIMEOUT = 30.0  # seconds that it waits for one to start; a mistake in the URL costs as long
READ_TIMEOUT = 5.0  # seconds that a reader waits
RESUME_ADVICE = "every trial that had ended is kept in it, and `searchlab resume` continues once it answers."
RETRY_ADVICE = "no trial is lost by that; try again once it answers."


def open_owned(url: str, notify: Callable[[str], None] | None = None, study: str | None = None) -> BaseStorage:
    """Return the database at this URL for the one owner of a study, and create its tables.

    PostgreSQL itself keeps every other owner away from the study of this name. After another process has taken the
    study over, every call of the storage raises WorldFault.

    Args:
        url: The URL of the database, as SQLAlchemy reads it.
        notify: Gets a line for people when the database is unavailable, and when it is available again.
        study: The name of the study to own; None owns none.

    Raises:
        WorldFault: When the database cannot be opened, or stays unavailable.
        UserMistake: When the URL is not that of a database, or another process owns the study.
    """
    policy = RetryPolicy(OPEN_TIMEOUT, f"the study's database {mask_password(url)}", RESUME_ADVICE, notify)
    options = engine_options(parse_url(url), timeout=10, pool=True)
    storage = policy.call(lambda: DatabaseStorage(url, options, policy, create_tables=True))
    if study is not None and storage.engine.dialect.name == "postgresql":
        try:
            storage.ownership = policy.call(lambda: Ownership(storage.engine, study, notify))
        except BaseException:
            storage.engine.dispose()
            raise
        policy.before_attempt = storage.ownership.ensure
    policy.timeout = OUTAGE_TIMEOUT
    return storage


def open_read_only(url: str) -> BaseStorage:
    """Return the database at this URL for reading: nothing is created in it, and without tables it has no studies."""
    parts = parse_url(url)
    if parts.get_backend_name() == "sqlite" and not Path(parts.database or "").exists():
        return InMemoryStorage()  # connecting would create an empty file
    policy = RetryPolicy(READ_TIMEOUT, f"the study's database {mask_password(url)}", RETRY_ADVICE)
    options = engine_options(parts, timeout=3, pool=False)
    try:
        return policy.call(lambda: DatabaseStorage(url, options, policy, create_tables=False))
    except MissingTables:
        return InMemoryStorage()


def record_owner(storage: RDBStorage, study: Study) -> None:
    """Write the owner's token into the study, where the database has an ownership."""
    if isinstance(storage, DatabaseStorage) and storage.ownership is not None:
        study.set_user_attr(OWNER, storage.ownership.token)


def close(storage: RDBStorage) -> None:
    """Close the connections, and let another process own the study. The call is idempotent."""
    if isinstance(storage, DatabaseStorage) and storage.ownership is not None:
        storage.ownership.release()
    storage.engine.dispose()

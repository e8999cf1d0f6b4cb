"""The SQLite file of a new MLflow store: MLflow takes two seconds to create its tables, and so they are kept once."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import mlflow

from searchlab.environment import cache_folder
from searchlab.runs.file_lock import FileLock
from searchlab.runs.urls import SQLITE, sqlite_url
from searchlab.tracking.moved_artifacts import ARTIFACTS

LEFT_OVERS = ("", "-journal", "-wal", "-shm")  # endings of the files of a SQLite database
DISK_FULL = "disk is full"  # in SQLite's words
DATABASE_BYTES = 2 * 2**20  # more than a new database takes while it is created
SET_ARTIFACTS = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0"


def create_database(database: Path, home: Path) -> None:
    """Create a database with MLflow's tables if it is not there yet, once even if many processes start together.

    It is created in a file of its own that is renamed when it is complete: no process ever opens half a database, even
    if this one is killed before. The first one that this user creates with a version of MLflow is kept in the user's
    cache folder, and later ones are copies of it.

    Args:
        database: The SQLite file.
        home: Folder below which MLflow's experiment "Default", the only one in a new database, has its artifacts.

    Raises:
        OSError: When the disk is full, among others.
    """
    if database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_name(f"{database.name}.lock"), timeout=None):
        if database.exists():
            return
        partial = database.with_name(f"{database.name}.new")
        _remove(partial)
        if not _copy_kept(partial, home):
            _create_complete(partial, home)
            with suppress(OSError, sqlite3.Error):  # a cache folder that is full, or cannot be written
                _keep(partial)
        os.replace(partial, database)


def url_from_here(database: Path) -> str:
    """Return the URL of a SQLite file, relative where it is in the current folder.

    MLflow creates the folder of an absolute one again, under the name with which the URL quotes it.
    """
    return f"{SQLITE}{database.name}" if database.parent == Path.cwd() else sqlite_url(database)


def kept_database() -> Path:
    """Return the path of the empty database that is kept for this version of MLflow."""
    return cache_folder() / f"mlflow-{mlflow.__version__}-empty.db"


def _create_complete(database: Path, home: Path) -> None:
    """Create the tables; raise OSError where the disk is full, which MLflow's own exception does not say."""
    try:
        _create_tables(database, home)
    except Exception as error:
        _remove(database)
        if shutil.disk_usage(database.parent).free < DATABASE_BYTES:
            raise _disk_full(database) from error
        raise


def _remove(database: Path) -> None:
    for ending in LEFT_OVERS:
        database.with_name(f"{database.name}{ending}").unlink(missing_ok=True)


def _disk_full(database: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(database))


def _create_tables(database: Path, home: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(url_from_here(database), (home / ARTIFACTS).as_uri()).engine.dispose()  # type: ignore[no-untyped-call]


def _copy_kept(database: Path, home: Path) -> bool:
    """Copy the database that is kept; return whether there is one, and the copy is intact.

    Raises OSError where the disk is full.
    """
    try:
        shutil.copyfile(kept_database(), database)
        _set_artifacts(database, f"{(home / ARTIFACTS).as_uri()}/0")
    except (OSError, sqlite3.Error) as error:
        _remove(database)
        if getattr(error, "errno", None) == errno.ENOSPC or DISK_FULL in str(error):
            raise _disk_full(database) from error
        return False
    return True


def _keep(database: Path) -> None:
    """Keep a copy of a new database for the next one, without the name of its folder."""
    target = kept_database()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        copy = Path(folder) / target.name
        shutil.copyfile(database, copy)
        _set_artifacts(copy, f"file:///{ARTIFACTS}/0")
        os.replace(copy, target)


def _set_artifacts(database: Path, location: str) -> None:
    """Set where the experiment "Default" has its artifacts; raise sqlite3.Error where the database is damaged."""
    with closing(sqlite3.connect(database)) as connection:
        ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        with connection:
            if connection.execute(SET_ARTIFACTS, (location,)).rowcount != 1:
                raise sqlite3.DatabaseError('there is no experiment "Default"')

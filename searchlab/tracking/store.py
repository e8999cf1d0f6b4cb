"""The store under the record: opened once, its tables created once, and which of its faults may pass."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError

SQLITE = "sqlite:///"
SERVERS = ("http://", "https://", "databricks")
PERMANENT = {
    "BAD_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
}


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, patience: float | None = None) -> Iterator[None]:
    """Hold the lock of this file; raises Busy when another process keeps it for `patience` seconds.

    The system drops the lock when its holder dies, however it dies.
    """
    deadline = None if patience is None else time.monotonic() + patience
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if deadline is None else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if deadline is not None and time.monotonic() > deadline:
                    raise Busy(f"another process has held {path.name} for {patience:.0f} seconds") from None
                time.sleep(0.1)
        yield


def open_store(uri: str, home: Path) -> MlflowClient:
    """A client of the store at this address, whose tables are there."""
    if uri.startswith(SQLITE):
        create_tables(Path(uri.removeprefix(SQLITE)).absolute(), home)
    return MlflowClient(uri, registry_uri=uri)


def create_tables(database: Path, home: Path) -> None:
    """Create MLflow's tables if the database is not there yet, once even if many processes start together.

    They grow in a file of their own that gets the name when it is whole: nobody ever opens half a database, also when
    this process is killed on the way.
    """
    if database.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with locked(database.with_name(f"{database.name}.lock")):
        if database.exists():
            return
        growing = database.with_name(f"{database.name}.new")
        for left_over in (growing, growing.with_name(f"{growing.name}-journal")):
            left_over.unlink(missing_ok=True)
        SqlAlchemyStore(f"{SQLITE}{growing}", (home / "mlartifacts").as_uri()).engine.dispose()  # type: ignore[no-untyped-call]
        os.replace(growing, database)


def experiment_of(client: MlflowClient, uri: str, name: str, home: Path) -> str:
    """The id of the experiment of this name, created or taken out of the bin if need be."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)
    place = None if uri.startswith(SERVERS) else (home / "mlartifacts" / name).as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=place))
    except MlflowException as fault:
        if fault.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment_of(client, uri, name, home)  # another process was faster


def permanent(fault: BaseException) -> bool:
    """Whether to ask again is useless: the store has understood and refused, a file is gone, the program is wrong."""
    if isinstance(fault, MlflowException):
        return fault.error_code in PERMANENT
    return isinstance(fault, FileNotFoundError) or not isinstance(fault, (OSError, OperationalError))

"""The MLflow store: how it is opened, how its tables are created once, and which of its faults are permanent."""

from __future__ import annotations

import os
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError

from searchlab.runs.file_lock import FileLock

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


def open_store(uri: str, home: Path) -> MlflowClient:
    """Return a client of the store at this URL, whose tables exist."""
    if uri.startswith(SQLITE):
        create_tables(Path(uri.removeprefix(SQLITE)).absolute(), home)
    return MlflowClient(uri, registry_uri=uri)


def create_tables(database: Path, home: Path) -> None:
    """Create MLflow's tables if the database is not there yet, once even if many processes start together.

    They are created in a file of its own that is renamed when it is complete: no process ever opens half a database,
    even if this one is killed before.
    """
    if database.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_name(f"{database.name}.lock"), timeout=None):
        if database.exists():
            return
        partial = database.with_name(f"{database.name}.new")
        for left_over in (partial, partial.with_name(f"{partial.name}-journal")):
            left_over.unlink(missing_ok=True)
        SqlAlchemyStore(f"{SQLITE}{partial}", (home / "mlartifacts").as_uri()).engine.dispose()  # type: ignore[no-untyped-call]
        os.replace(partial, database)


def experiment_id(client: MlflowClient, uri: str, name: str, home: Path) -> str:
    """Return the id of the experiment of this name, created or restored if need be."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)
    location = None if uri.startswith(SERVERS) else (home / "mlartifacts" / name).as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException as fault:
        if fault.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment_id(client, uri, name, home)  # another process was faster


def is_permanent(fault: BaseException) -> bool:
    """Return whether a retry is useless: the store has refused the call, a file is missing, or the program is wrong."""
    if isinstance(fault, MlflowException):
        return fault.error_code in PERMANENT
    return isinstance(fault, FileNotFoundError) or not isinstance(fault, (OSError, OperationalError))

"""The MLflow store: how it is opened, and how its tables are created once."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
from mlflow.tracking.request_header.registry import _request_header_provider_registry

from searchlab.runs.file_lock import FileLock
from searchlab.runs.urls import SQLITE, sqlite_path, sqlite_url
from searchlab.tracking.moved_artifacts import adopt_artifacts
from searchlab.tracking.probe import authorization

SERVERS = ("http://", "https://", "databricks")


class AuthorizationHeader(RequestHeaderProvider):
    """The header of a user without a password, which MLflow does not make from its variables."""

    def in_context(self) -> bool:
        """Return True: the header belongs to every request."""
        return True

    def request_headers(self) -> dict[str, str]:
        """Return the header; where MLflow has credentials of its own, such as those of a file, they replace it."""
        return authorization(os.environ)


def open_store(uri: str, home: Path) -> MlflowClient:
    """Return a client of the store at this URL, whose tables exist."""
    if not any(isinstance(provider, AuthorizationHeader) for provider in _request_header_provider_registry):
        _request_header_provider_registry.register(AuthorizationHeader)  # type: ignore[no-untyped-call]
    if uri.startswith(SQLITE):
        database = sqlite_path(uri)
        create_tables(database, home)
        adopt_artifacts(database, home)
        uri = url_from_here(database)
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
        SqlAlchemyStore(url_from_here(partial), (home / "mlartifacts").as_uri()).engine.dispose()  # type: ignore[no-untyped-call]
        os.replace(partial, database)


def url_from_here(database: Path) -> str:
    """Return the URL of a SQLite file, relative where it is in the current folder.

    MLflow creates the folder of an absolute one again, under the name with which the URL quotes it.
    """
    return f"{SQLITE}{database.name}" if database.parent == Path.cwd() else sqlite_url(database)


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


def use_store(uri: str) -> None:
    """Let MLflow's registry look up "models:/ID" in this store, in this process.

    The environment keeps its URL, from which the secrets are known that must not be logged; MLflow would replace it.
    """
    kept = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    if kept is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = kept

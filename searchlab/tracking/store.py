"""The MLflow store: how it is opened, and the experiment of a sweep in it."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
from mlflow.tracking.request_header.registry import _request_header_provider_registry

from searchlab.runs.urls import SQLITE, sqlite_path
from searchlab.tracking.moved_artifacts import adopt_artifacts
from searchlab.tracking.new_database import create_database, url_from_here
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
        create_database(database, home)
        adopt_artifacts(database, home)
        uri = url_from_here(database)
    return MlflowClient(uri, registry_uri=uri)


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

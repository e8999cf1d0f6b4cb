"""Links to MLflow's pages of a sweep: its runs, best first. This imports nothing large, for `searchlab list`."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import SweepFolder, Workspace

EMBEDDED_SERVER = "http://127.0.0.1:5000"  # where `searchlab ui` serves the store of a home folder
VIEW = "trials"  # id of the saved view with the columns and charts of the sweep
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"  # of the experiment: MLflow's page reads it
WORKFLOW = "workflowType=machine_learning"  # without it, the page of a fresh browser opens with traces


def sorted_link(server: str, experiment: str, metric: str, goal: str) -> str:
    """Return the link to the runs of an experiment, best first, with the columns that MLflow chooses.

    Args:
        server: Address of MLflow's server.
        experiment: Id of the experiment.
        metric: Name of the primary metric, as the record has it.
        goal: Its direction, "max" or "min".
    """
    order = quote(f"metrics.`best_{metric}`", safe="")
    ascending = "false" if goal == "max" else "true"
    return f"{runs_link(server, experiment)}&orderByKey={order}&orderByAsc={ascending}"


def view_link(server: str, experiment: str) -> str:
    """Return the link to the saved view of an experiment: its runs, best first, with the columns of the sweep."""
    return f"{runs_link(server, experiment)}&viewStateShareKey={VIEW}"


def sweep_link(workspace: Workspace, folder: SweepFolder, server: str = EMBEDDED_SERVER) -> str | None:
    """Return the link to the runs of a sweep in the store of a home folder; None where it has no record there.

    Args:
        workspace: The home folder.
        folder: Folder of the sweep.
        server: Address at which `searchlab ui` serves the store.
    """
    database = workspace.path / "mlflow.db"
    with contextlib.suppress(WorldFault, UserMistake):
        manifest = SweepManifest.load(folder)
        if database.exists() and not (manifest.config.tracking_uri or "").startswith("http"):
            return _embedded_link(database, server, manifest.name, manifest.metric, manifest.goal)
    return None


def _embedded_link(database: Path, server: str, name: str, metric: str, goal: str) -> str | None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database, timeout=5.0)) as connection:
        found = connection.execute(
            "SELECT e.experiment_id, t.value FROM experiments e LEFT JOIN experiment_tags t "
            "ON t.experiment_id = e.experiment_id AND t.key = ? WHERE e.name = ? AND e.lifecycle_stage = 'active'",
            (VIEW_TAG, name),
        ).fetchone()
        if found:
            experiment, view = str(found[0]), found[1]
            return view_link(server, experiment) if view else _link_without_view(server, experiment, metric, goal)
    return None


def _link_without_view(server: str, experiment: str, metric: str, goal: str) -> str:
    """Return the link to the runs in a record that an earlier version has written."""
    from searchlab.space.metric_names import record_key  # here alone: the package imports NumPy

    return sorted_link(server, experiment, record_key(metric), goal)


def runs_link(server: str, experiment: str) -> str:
    """Return the link to the runs of an experiment, the newest first."""
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?{WORKFLOW}"

"""MLflow's server for tests, which can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress

from mlflow import MlflowClient

from searchlab.runs.workspace import Workspace
from tests.conftest import ROOT
from tests.waiting import DEADLINE, wait_for


def store_uri(home):
    """Return the URI of the MLflow store in a home folder."""
    return f"sqlite:///{home}/mlflow.db"


@contextmanager
def mlflow_server(home, port):
    """Run MLflow's server on the store of this home folder, and end all processes of its session with the block."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store_uri(home), "--workers", "1"]
    command += ["--artifacts-destination", str(home / "served"), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (home / "server.log").open("ab") as log,
        subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            wait_for(lambda: is_healthy(port))
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def is_healthy(port):
    """Return whether the server answers its health check."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
        return response.status == 200
    return False


def artifact_sizes(home, name):
    """Return the files of a sweep's runs in MLflow, downloaded one by one, as {path: size}."""
    client = MlflowClient(Workspace.at(home).tracking_uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment.artifact_location.startswith((home / "mlartifacts").as_uri())
    found = {}
    for each in client.search_runs([experiment.experiment_id]):
        left = [""]
        while left:
            for entry in client.list_artifacts(each.info.run_id, left.pop()):
                if entry.is_dir:
                    left.append(entry.path)
                else:
                    with open(client.download_artifacts(each.info.run_id, entry.path), "rb") as file:
                        found[entry.path] = len(file.read())
    return found


def download_from_ui(home, port, run_id, expected):
    """Download every artifact of a run from `searchlab ui`, and compare the sizes."""
    command = [sys.executable, "-m", "searchlab.cli", "ui", "--no-browser", "--port", str(port), "--home", str(home)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_healthy(port))
        for path, size in expected.items():
            query = urllib.parse.urlencode({"path": path, "run_uuid": run_id})
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/get-artifact?{query}", timeout=DEADLINE) as response:
                assert len(response.read()) == size, path
    finally:
        server.terminate()
        server.wait(DEADLINE)

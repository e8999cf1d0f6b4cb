"""MLflow's server for tests, which can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress


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
            wait_for(lambda: is_healthy(port), seconds=300.0)
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def is_healthy(port):
    """Return whether the server answers its health check."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
        return response.status == 200
    return False


def wait_for(condition, seconds=60.0):
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition does not hold after {seconds:.0f} s"
        time.sleep(0.02)

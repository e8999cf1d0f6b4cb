"""How the process that writes a record is started: its command, its environment and its log."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import IO

import searchlab
from searchlab.runs.urls import web_credentials

WRITER_COMMAND = (sys.executable, "-m", "searchlab.tracking.writer")
IMPORT_FIRST = "--import-first"  # argument of the command: import MLflow before anything is to be written
LOG = "mlflow.log"  # in the home folder
LOCAL_STORE = "sqlite:"  # beginning of the URL of a store in a file
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow repeats a lost "create run" blindly; the writer looks first
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # longer than a server waits for a locked SQLite file, which is 20
}


def open_log(path: Path) -> IO[bytes]:
    """Open the log to append; where that fails, as on a full disk, what would be logged is dropped."""
    try:
        return path.open("ab")
    except OSError:
        return open(os.devnull, "ab")


def environment(uri: str) -> dict[str, str]:
    """Return this process's environment, with searchlab importable also where it is not installed.

    The credentials of a web address are in MLflow's own variables: MLflow repeats the address in its errors.
    """
    variables = {**os.environ, **ENVIRONMENT, "PYTHONPATH": python_path()}
    user, password = web_credentials(uri)
    if user or password:
        variables.pop("MLFLOW_TRACKING_TOKEN", None)  # as in a browser, the address's credentials come first
        variables["MLFLOW_TRACKING_URI"] = uri  # for the masks of what is logged, where it is an option
        variables["MLFLOW_TRACKING_USERNAME"] = user
        variables["MLFLOW_TRACKING_PASSWORD"] = password or variables.get("MLFLOW_TRACKING_PASSWORD", "")
    return variables


def python_path() -> str:
    """Return PYTHONPATH for a process in any folder, with searchlab also where it is not installed."""
    root = Path(searchlab.__file__).parents[1]
    paths = [os.environ.get("PYTHONPATH", "")]
    if root != Path(sysconfig.get_path("purelib")):
        paths.insert(0, str(root))
    return os.pathsep.join(filter(None, paths))

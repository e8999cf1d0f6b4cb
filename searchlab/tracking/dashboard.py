"""The MLflow server of an embedded store: the command that starts it, and its environment."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

from searchlab.tracking.writer_process import python_path


def command(home: Path, port: int) -> list[str]:
    """Return the command of a server for the store of a home folder, on loopback only, with one worker for one person.

    It is to be started in the home folder, and so names the database without the folder, which may have any name.
    """
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db",
        "--artifacts-destination", (home / "mlartifacts").as_uri(),
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def damage_of(database: Path) -> str | None:
    """Return why SQLite cannot read the store's file; None where it can, or where another process keeps it busy."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=1.0)) as connection:
            connection.execute("select count(*) from experiments").fetchone()
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
    return None


def environment() -> dict[str, str]:
    """Return this process's environment with MLflow's telemetry and its job runner (half a gigabyte) off."""
    off = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return {**os.environ, **off, "PYTHONPATH": python_path()}

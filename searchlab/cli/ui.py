"""`searchlab ui`: MLflow's dashboard for the store of a home folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path
from types import FrameType

import click

from searchlab.cli.output import Output, home_option, json_option, tracking_option
from searchlab.errors import UserMistake, WorldFault


@click.command("ui")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port of the dashboard.")
@tracking_option
@home_option
@json_option
def ui_command(port: int, tracking_uri: str | None, home: str, as_json: bool) -> None:
    """Serve MLflow's dashboard with the sweeps of the home folder, until Ctrl-C or the terminal is closed."""
    from searchlab.runs.urls import without_password
    from searchlab.runs.workspace import Workspace
    from searchlab.tracking.dashboard import command, damage_of, environment
    from searchlab.tracking.moved_artifacts import adopt_artifacts

    output = Output(as_json)
    if tracking_uri and tracking_uri.startswith("http"):
        url = without_password(tracking_uri)
        output.console.print(f"the sweeps are recorded by an MLflow server: open {url}", soft_wrap=True)
        return output.result({"url": url})
    workspace = Workspace.at(home)
    database = workspace.path / "mlflow.db"
    if not database.exists():
        raise UserMistake(f"there is no record in {workspace.path} yet; `searchlab run SPEC` creates one.")
    if damage := damage_of(database):
        raise WorldFault(
            f"{database} is damaged ({damage}); move it away, and `searchlab resume NAME` makes the record anew."
        )
    _require_free_port(port)
    with contextlib.suppress(sqlite3.Error):  # of a damaged or locked store, MLflow's server tells
        adopt_artifacts(workspace.path / "mlflow.db", workspace.path)
    url = f"http://127.0.0.1:{port}"
    output.console.print(f"MLflow's dashboard for {workspace.path}: {url}  (stop with Ctrl-C)", soft_wrap=True)
    output.result({"url": url})
    _serve(command(workspace.path, port), environment(), workspace.path)
    return None


def _serve(command: list[str], environment: dict[str, str], folder: Path) -> None:
    """Run a server in a folder until it ends, or until a signal to this process, which ends its whole process group."""
    signals: list[int] = []
    server = subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)

    def stop(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)

    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # set explicitly: a background process ignores SIGINT by default
        signal.signal(number, stop)
    code = server.wait()
    if code and not signals:
        raise WorldFault(f"MLflow's server ended with exit code {code}; the store is unchanged.")


def _require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise WorldFault(f"port {port} is taken; choose another one, such as --port {port + 1}.") from error

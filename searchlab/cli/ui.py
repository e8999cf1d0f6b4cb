"""`searchlab ui`: MLflow's dashboard on the home's own store."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from types import FrameType

import click

from searchlab.cli.output import Output, home_option, json_option, tracking_option
from searchlab.errors import UserMistake, WorldFault


@click.command("ui")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@tracking_option
@home_option
@json_option
def ui_command(port: int, tracking_uri: str | None, home: str, as_json: bool) -> None:
    """Open MLflow's dashboard on the sweeps of this home, until Ctrl-C."""
    from searchlab.runs.workspace import Workspace
    from searchlab.tracking.dashboard import command, environment

    output = Output(as_json)
    if tracking_uri and tracking_uri.startswith("http"):
        output.console.print(f"the record is kept by a server of its own: open {tracking_uri}", soft_wrap=True)
        return output.result({"url": tracking_uri})
    place = Workspace.at(home)
    if not (place.path / "mlflow.db").exists():
        raise UserMistake(f"there is no record in {place.path} yet; `searchlab run SPEC` begins one.")
    _check_free(port)
    url = f"http://127.0.0.1:{port}"
    output.console.print(f"MLflow's dashboard on {place.path}: {url}  (Ctrl-C ends it)", soft_wrap=True)
    output.result({"url": url})
    _serve(command(place.tracking_uri, place.path, port), environment())
    return None


def _serve(command: list[str], environment: dict[str, str]) -> None:
    """Run a server until it ends, or until this process is told to: then its whole group is."""
    told: list[int] = []
    server = subprocess.Popen(command, env=environment, start_new_session=True)

    def end(number: int, frame: FrameType | None) -> None:
        told.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):  # by name: a process started in the background ignores Ctrl-C
        signal.signal(number, end)
    code = server.wait()
    if code and not told:
        raise WorldFault(f"MLflow's server ended with exit code {code}; the store is untouched.")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise WorldFault(
                f"port {port} is taken; nothing was changed: choose another, as in --port {port + 1}."
            ) from error

"""`searchlab ui`: MLflow's dashboard for the store of a home folder, at the runs of a sweep."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from searchlab.cli.output import Output, home_option, json_option, tracking_option
from searchlab.cli.servers import is_free, open_browser, require_free_port, serve
from searchlab.errors import UserMistake, WorldFault

if TYPE_CHECKING:
    from searchlab.runs.workspace import SweepFolder, Workspace

SERVER_LOG = "mlflow-server.log"  # in the home folder


@click.command("ui")
@click.argument("name", required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port of the dashboard.")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser; --json does not.")
@tracking_option
@home_option
@json_option
def ui_command(name: str | None, port: int, browser: bool, tracking_uri: str | None, home: str, as_json: bool) -> None:
    """Serve MLflow's dashboard with the sweeps of the home folder, until Ctrl-C or the terminal is closed.

    It opens at the trials of the sweep NAME, best first. Optuna's dashboard is served beside it where it is installed.
    """
    from searchlab.runs.workspace import Workspace

    output, browser = Output(as_json), browser and not as_json
    if tracking_uri and tracking_uri.startswith("http"):
        return _show_server(output, tracking_uri, name, browser)
    workspace = Workspace.at(home)
    folder = _sweep_of(workspace, name)
    _validate_store(workspace)
    require_free_port(port)
    return _serve_home(output, workspace, folder, port, browser)


def _show_server(output: Output, uri: str, name: str | None, browser: bool) -> None:
    """Print where an MLflow server shows the sweep, and open it in the browser."""
    from searchlab.runs.urls import without_password
    from searchlab.tracking.server_link import server_link

    url = without_password(uri)
    link = server_link(uri, name) if name else url
    output.console.print(f"the sweeps are recorded by an MLflow server: open {link}", markup=False, soft_wrap=True)
    output.result({"url": url, "link": link})
    if browser:
        open_browser(link)


def _serve_home(output: Output, workspace: Workspace, folder: SweepFolder | None, port: int, browser: bool) -> None:
    """Serve the dashboards of a home folder until a signal ends them."""
    from searchlab.tracking.dashboard import command, environment

    url = f"http://127.0.0.1:{port}"
    link = _link(workspace, folder, url) or url
    commands, optuna = [command(workspace.path, port)], _optuna_command(folder, port + 1)
    output.console.print(f"MLflow's dashboard for {workspace.path}: {url}  (stop with Ctrl-C)", soft_wrap=True)
    if folder and link != url:
        output.console.print(f"the trials of {folder.name}: {link}", markup=False, soft_wrap=True)
    if optuna:
        commands.append(optuna)
        output.console.print(f"Optuna's dashboard: http://127.0.0.1:{port + 1}", soft_wrap=True)
    output.result({"url": url, "link": link, "optuna": f"http://127.0.0.1:{port + 1}" if optuna else None})

    def show() -> None:
        if browser:
            open_browser(link)

    serve(commands, environment(), workspace.path, workspace.path / SERVER_LOG, f"{url}/health", show)


def _sweep_of(workspace: Workspace, name: str | None) -> SweepFolder | None:
    """Return the folder of the sweep of this name; without one that of the only sweep, and None where there are more.

    Raises UserMistake where there is no such sweep.
    """
    from searchlab.runs.manifest import SweepManifest

    if name:
        folder = workspace.sweep(name)
        SweepManifest.load(folder)
        return folder
    folders = workspace.sweeps()
    return folders[0] if len(folders) == 1 else None


def _link(workspace: Workspace, folder: SweepFolder | None, url: str) -> str | None:
    from searchlab.tracking.links import sweep_link

    return sweep_link(workspace, folder, url) if folder else None


def _optuna_command(folder: SweepFolder | None, port: int) -> list[str] | None:
    """Return the command of Optuna's dashboard for a study in a file; None where it is not installed."""
    from searchlab.study import dashboard

    has_study = folder is not None and folder.study.exists()
    if folder is None or not has_study or not dashboard.is_installed() or port > 65535 or not is_free(port):
        return None
    return dashboard.command(Path(folder.study).absolute(), port)


def _validate_store(workspace: Workspace) -> None:
    """Raise UserMistake where the home folder has no record, WorldFault where that is damaged."""
    from searchlab.tracking.dashboard import damage_of
    from searchlab.tracking.moved_artifacts import adopt_artifacts

    database = workspace.path / "mlflow.db"
    if not database.exists():
        raise UserMistake(f"there is no record in {workspace.path} yet; `searchlab run SPEC` creates one.")
    if damage := damage_of(database):
        raise WorldFault(
            f"{database} is damaged ({damage}); move it away, and `searchlab resume NAME` makes the record anew."
        )
    with contextlib.suppress(sqlite3.Error):  # of a damaged or locked store, MLflow's server tells
        adopt_artifacts(database, workspace.path)

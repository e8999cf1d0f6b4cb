"""`searchlab report`: the report of a sweep as one HTML file."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.cli.remote import address_option, cluster_url, html_from_cluster


@click.command("report")
@click.argument("name")
@click.option("--open", "in_browser", is_flag=True, help="Open the report in the browser.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the HTML instead of the path of its file.")
@address_option
@storage_option
@home_option
@json_option
def report_command(
    name: str,
    in_browser: bool,
    to_stdout: bool,
    address: str | None,
    storage: str | None,
    home: str,
    as_json: bool,
) -> None:
    """Write the report of the sweep NAME as it is now: one HTML file with tables and figures."""
    output = Output(as_json or to_stdout)
    if url := cluster_url(address):
        path, state = Path(f"{name}.html"), ""
        path.write_text(html_from_cluster(url, ["report", name, "--stdout"]), encoding="utf-8")
    else:
        from searchlab.reporting.report import create_report
        from searchlab.runs.workspace import Workspace

        report = create_report(name, Workspace.at(home, storage))
        path, state = report.path, report.state
    if to_stdout:
        click.echo(path.read_text(encoding="utf-8"))
        return
    output.console.print(f"{name}{f' ({state})' if state else ''}: {path}", markup=False, soft_wrap=True)
    if in_browser and not webbrowser.open(path.absolute().as_uri()):
        output.console.print(f"no browser could be opened; open {path} in one", markup=False, soft_wrap=True)
    output.result({"sweep": name, "state": state or None, "report": str(path.absolute())})

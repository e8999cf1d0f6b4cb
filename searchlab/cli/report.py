"""`searchlab report`: all that a sweep found, on one page of HTML."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from searchlab.cli.elsewhere import address_option, elsewhere, page_of
from searchlab.cli.output import Output, home_option, json_option, storage_option


@click.command("report")
@click.argument("name")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option("--stdout", is_flag=True, help="Print the page instead of saying where it lies.")
@address_option
@storage_option
@home_option
@json_option
def report_command(
    name: str, show: bool, stdout: bool, address: str | None, storage: str | None, home: str, as_json: bool
) -> None:
    """Write the report of the sweep NAME as it stands: one HTML file with its tables and pictures."""
    output = Output(as_json or stdout)
    if url := elsewhere(address):
        path, state = Path(f"{name}.html"), ""
        path.write_text(page_of(url, ["report", name, "--stdout"]), encoding="utf-8")
    else:
        from searchlab.reporting.report import report
        from searchlab.runs.workspace import Workspace

        written = report(name, Workspace.at(home, storage))
        path, state = written.path, written.state
    if stdout:
        click.echo(path.read_text(encoding="utf-8"))
        return
    output.console.print(f"{name}{f' ({state})' if state else ''}: {path}", markup=False, soft_wrap=True)
    if show and not webbrowser.open(path.absolute().as_uri()):
        output.console.print("no browser could be opened here; the file is complete in itself", soft_wrap=True)
    output.result({"sweep": name, "state": state or None, "report": str(path.absolute())})

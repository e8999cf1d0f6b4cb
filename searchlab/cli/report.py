"""`searchlab report`: all that a sweep found, on one page of HTML."""

from __future__ import annotations

import webbrowser

import click

from searchlab.cli.output import Output, home_option, json_option


@click.command("report")
@click.argument("name")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@home_option
@json_option
def report_command(name: str, show: bool, home: str, as_json: bool) -> None:
    """Write the report of the sweep NAME as it stands: one HTML file with its tables and pictures."""
    from searchlab.service.home import Home
    from searchlab.service.report import report

    output, written = Output(as_json), report(name, Home.at(home))
    output.console.print(f"{written.sweep} ({written.state}): {written.path}", markup=False, soft_wrap=True)
    if show and not webbrowser.open(written.path.as_uri()):
        output.console.print("no browser could be opened here; the file is complete in itself", soft_wrap=True)
    output.result({"sweep": written.sweep, "state": written.state, "report": str(written.path)})

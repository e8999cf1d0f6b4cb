"""`searchlab doctor`: what this machine has for running sweeps, and what is missing."""

from __future__ import annotations

import click

from searchlab.cli.output import Output, home_option, json_option


@click.command("doctor")
@home_option
@json_option
def doctor_command(home: str, as_json: bool) -> int:
    """Show what this machine has for running sweeps, and what is missing."""
    from rich.table import Table
    from rich.text import Text

    from searchlab.cli.machine_check import check_machine

    output, findings = Output(as_json), check_machine(home)
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        missing = "[red]missing[/red]" if finding.needed else "[yellow]absent[/yellow]"
        mark = "[green]ok[/green]" if finding.fine else missing
        table.add_row(mark, finding.what, Text(finding.text))  # as Text, since brackets in it are not markup
    output.console.print(table)
    is_fine = all(finding.fine for finding in findings if finding.needed)
    output.result({"fine": is_fine, "findings": [vars(finding) for finding in findings]})
    return 0 if is_fine else 1

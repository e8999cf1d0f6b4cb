"""`searchlab doctor`: what this machine has and lacks."""

from __future__ import annotations

import click

from searchlab.cli.output import Output, home_option, json_option


@click.command("doctor")
@home_option
@json_option
def doctor_command(home: str, as_json: bool) -> int:
    """What this machine has and lacks."""
    from rich.table import Table
    from rich.text import Text

    from searchlab.cli.machine_check import check_machine

    output, findings = Output(as_json), check_machine(home)
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = (
            "[green]ok[/green]"
            if finding.fine
            else "[red]missing[/red]"
            if finding.needed
            else "[yellow]absent[/yellow]"
        )
        table.add_row(mark, finding.what, Text(finding.told))  # as text: a bracket in it is no markup
    output.console.print(table)
    fine = all(finding.fine for finding in findings if finding.needed)
    output.result({"fine": fine, "findings": [vars(finding) for finding in findings]})
    return 0 if fine else 1

"""`searchlab show`: the space of a sweep, what is fixed, what is open, and what may differ within a group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.output import Output, json_option

if TYPE_CHECKING:
    from searchlab.sweep import Sweep


@click.command("show")
@click.argument("spec", type=click.Path(path_type=Path))
@json_option
def show_command(spec: Path, as_json: bool) -> None:
    """The space of the sweep file SPEC: what is fixed, what is open, what trains fused."""
    from searchlab.sweep.file import load

    sweep = load(spec).sweep
    output = Output(as_json)
    _print(output, sweep)
    output.result({"sweep": sweep.name, "trials": sweep.trials, "structures": structures(sweep), **sweep.describe()})


def structures(sweep: Sweep) -> int | None:
    """How many different structures the space holds; None where a structural argument is a range of fractions."""
    from searchlab.sweep.domains import Choice, Domain, Float, Int

    count = 1
    for _, domain, per_replica in sweep.walk():
        if per_replica or not isinstance(domain, Domain):
            continue
        if isinstance(domain, Float):
            return None
        if isinstance(domain, Int):
            count *= (domain.high - domain.low) // domain.step + 1
        elif isinstance(domain, Choice):
            count *= len(domain.options)
    return count


def _print(output: Output, sweep: Sweep) -> None:
    from rich.table import Table

    console = output.console
    console.print(f"[bold]{sweep.name}[/bold]: {sweep.trials} trials, each {sweep.validation.folds}-fold")
    console.print(
        f"data {sweep.data}, validation {sweep.validation}, metric {sweep.metric.name} ({sweep.metric.goal})\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("argument", "open", "fixed", "in a group"):
        table.add_column(heading, overflow="fold")
    for path, value, per_replica in sweep.walk():
        table.add_row(path, *_columns(value, per_replica))
    console.print(table)
    count = structures(sweep)
    told = "unboundedly many" if count is None else f"{count:,}"
    console.print(f"\n{told} structures; trials of one structure train fused, {sweep.validation.folds} replicas each.")


def _columns(value: Any, per_replica: bool) -> tuple[str, str, str]:
    from searchlab.sweep.domains import Domain

    together = "may differ" if per_replica else "equal"
    if not isinstance(value, Domain):
        return "", str(value), together
    conditions = " and ".join(f"{name} is {getattr(w, '__name__', w)}" for name, w in value.conditions.items())
    return f"{value}" + (f"  (when {conditions})" if conditions else ""), "", together

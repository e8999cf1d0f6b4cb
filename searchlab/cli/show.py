"""`searchlab show`: the space of a sweep, what is fixed, what is searched, what may differ in a group; its table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.column_table import show_columns
from searchlab.cli.output import Output, json_option
from searchlab.reporting.formats import count

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.space import Sweep


@click.command("show")
@click.argument("spec", type=click.Path(path_type=Path))
@json_option
def show_command(spec: Path, as_json: bool) -> None:
    """Show the space of the sweep file SPEC: which arguments are searched, which are fixed, and which may differ within
    a group of trials. Of a table, show what each column is taken for."""
    from searchlab.data.rare_classes import rare_class_warnings
    from searchlab.estimate.memory_range import measure_memory_range
    from searchlab.space.loader import load

    sweep = load(spec).sweep
    output, grid = Output(as_json), sweep.grid_points()
    columns = show_columns(output, sweep)
    memory = measure_memory_range(sweep)  # it refuses a space whose trials cannot be trained
    facts: dict[str, Any] = {"sweep": sweep.name, "trials": sweep.resolve_trials()}
    facts["structures"] = grid.structure_count if grid else count_structures(sweep)
    facts["combinations"] = len(grid.points) if grid else None
    facts |= {"sampler": {"kind": type(sweep.sampler).__name__}, "early_stopping": None}  # overridden by `describe`
    facts |= {"constraint": None, "enqueue": []}
    _print(output, sweep, facts)
    output.console.print(memory.summary)
    facts["memory"] = memory.to_json()
    if not memory.unavailable_reason:  # the data is here
        rare = rare_class_warnings(sweep.data.training(), sweep.validation)
        output.warnings(rare)
        columns["warnings"] += rare
    output.result(facts | sweep.describe() | columns)


def count_structures(sweep: Sweep) -> int | None:
    """Return how many structures the space has; None where a structural argument is a range of real numbers."""
    from searchlab.space.domains import Choice, Domain, Float, Int

    number = 1
    for _, domain, per_replica in sweep.iter_arguments():
        if per_replica or not isinstance(domain, Domain):
            continue
        if isinstance(domain, Float):
            return None
        if isinstance(domain, Int):
            number *= (domain.high - domain.low) // domain.step + 1
        elif isinstance(domain, Choice):
            number *= len(domain.options)
    return number


def _print(output: Output, sweep: Sweep, facts: Mapping[str, Any]) -> None:
    from searchlab.data.splits import fold_count

    console, folds = output.console, count(fold_count(sweep.validation), "fold")
    console.print(f"[bold]{sweep.name}[/bold]: {count(facts['trials'], 'trial')} with {folds} each")
    metrics = ", ".join(f"{metric.name} ({metric.goal})" for metric in sweep.metrics)
    console.print(f"data {sweep.data}, validation {sweep.validation}, metric {metrics}")
    size = f": {count(facts['combinations'], 'combination')}" if facts["combinations"] else ""
    console.print(f"sampler {sweep.sampler}{size}, early stopping {sweep.early_stopping or 'off'}")
    if sweep.constraint:
        console.print(f"constraint {_name(sweep.constraint)}")
    for point in sweep.enqueue:
        text = ", ".join(f"{path}={_name(value)}" for path, value in point.items())
        console.print(f"initial point {text or '(sampled)'}")
    console.print()
    console.print(_table(sweep))
    structures = facts["structures"]
    text = "an unlimited number of structures" if structures is None else count(structures, "structure")
    console.print(f"\n{text}; trials of one structure train fused, with one replica per fold")


def _table(sweep: Sweep) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("argument", "searched", "fixed", "in a group"):
        table.add_column(heading, overflow="fold")
    for path, value, per_replica in sweep.iter_arguments():
        table.add_row(path, *_cells(value), "may differ" if per_replica else "equal")
    return table


def _cells(value: Any) -> tuple[str, str]:
    """Return an argument's domain with its conditions, and its fixed value; one of the two is empty."""
    from searchlab.space.domains import Domain

    if not isinstance(value, Domain):
        return "", str(value)
    conditions = " and ".join(f"{name} is {_name(required)}" for name, required in value.conditions.items())
    return f"{value}" + (f"  (when {conditions})" if conditions else ""), ""


def _name(value: Any) -> str:
    return str(getattr(value, "__name__", value))

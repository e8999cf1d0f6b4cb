"""`searchlab show`: the space of a sweep, what is fixed, what is open, and what may differ within a group."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.output import Output, json_option

if TYPE_CHECKING:
    from searchlab.space import Sweep


@click.command("show")
@click.argument("spec", type=click.Path(path_type=Path))
@json_option
def show_command(spec: Path, as_json: bool) -> None:
    """The space of the sweep file SPEC: what is fixed, what is open, what trains fused, and how it is searched."""
    from searchlab.estimate.memory_range import memory_of
    from searchlab.space.loader import load

    sweep = load(spec).sweep
    output, plan = Output(as_json), sweep.plan()
    found: dict[str, Any] = {"sweep": sweep.name, "trials": sweep.asked()}
    found["structures"] = plan.structures if plan else structures(sweep)
    found["combinations"] = len(plan.points) if plan else None
    found |= {"sampler": {"kind": type(sweep.sampler).__name__}, "early_stopping": None}  # described where not default
    found |= {"constraint": None, "enqueue": []}
    _print(output, sweep, found)
    memory = memory_of(sweep)
    output.console.print(memory.told)
    found["memory"] = memory.plain()
    output.result(found | sweep.describe())


def structures(sweep: Sweep) -> int | None:
    """How many different structures the space holds; None where a structural argument is a range of fractions."""
    from searchlab.space.domains import Choice, Domain, Float, Int

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


def _print(output: Output, sweep: Sweep, found: Mapping[str, Any]) -> None:
    from rich.table import Table

    console = output.console
    console.print(f"[bold]{sweep.name}[/bold]: {found['trials']} trials, each {sweep.validation.folds}-fold")
    metrics = ", ".join(f"{metric.name} ({metric.goal})" for metric in sweep.metrics)
    console.print(f"data {sweep.data}, validation {sweep.validation}, metric {metrics}")
    size = f": {found['combinations']:,} combinations" if found["combinations"] else ""
    console.print(f"sampler {sweep.sampler}{size}, early stopping {sweep.early_stopping or 'off'}")
    if sweep.constraint:
        console.print(f"constraint {getattr(sweep.constraint, '__name__', sweep.constraint)}")
    for given in sweep.enqueue:
        told = ", ".join(f"{path}={getattr(value, '__name__', value)}" for path, value in given.items())
        console.print(f"tried first {told or 'a free draw'}")
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("argument", "open", "fixed", "in a group"):
        table.add_column(heading, overflow="fold")
    for path, value, per_replica in sweep.walk():
        table.add_row(path, *_columns(value, per_replica))
    console.print(table)
    count = found["structures"]
    told = "unboundedly many" if count is None else f"{count:,}"
    console.print(f"\n{told} structures; trials of one structure train fused, {sweep.validation.folds} replicas each.")


def _columns(value: Any, per_replica: bool) -> tuple[str, str, str]:
    from searchlab.space.domains import Domain

    together = "may differ" if per_replica else "equal"
    if not isinstance(value, Domain):
        return "", str(value), together
    conditions = " and ".join(f"{name} is {getattr(w, '__name__', w)}" for name, w in value.conditions.items())
    return f"{value}" + (f"  (when {conditions})" if conditions else ""), "", together

"""`searchlab plan`: what a sweep will take of time and memory, measured structure by structure before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.arguments import fuse_of, values_of
from searchlab.cli.output import Output, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.estimate.estimate import Estimate
    from searchlab.estimate.structures import Structure

SHOWN = 12  # structures


@click.command("plan")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--trials", type=int, help="How many trials, instead of what the file says; of a grid, the first.")
@click.option("--epochs", type=int, help="Epochs of each trial: short for --set training.epochs=N.")
@click.option("--workers", type=int, help="Processes that train side by side.  [default: one per core]")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--fuse", default="auto", show_default=True, metavar="auto|N", help="Trials that train fused in a group.")
@click.option("--engine", type=click.Choice(["tune", "local"]), default="tune", show_default=True)
@click.option("--memory", type=float, metavar="GB", help="Of each worker.  [default: its share of what is free]")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Fix an argument, as in model.hidden=64.")
@json_option
def plan_command(
    spec: Path, epochs: int | None, fuse: str, settings: tuple[str, ...], as_json: bool, **options: Any
) -> int:
    """What `searchlab run SPEC` will take on this machine: steps are timed, nothing is searched or written."""
    from searchlab.estimate.estimate import estimate
    from searchlab.space.loader import load

    output = Output(as_json)
    sweep, values = load(spec).sweep, values_of(settings, epochs)
    with output.console.status("timing steps"):
        found = estimate(sweep, values=values, fuse=fuse_of(fuse), **options)
    _print(found, output)
    output.result(found.plain())
    return 0


def _print(found: Estimate, output: Output) -> None:
    console, structures = output.console, found.structures
    console.print(f"[bold]{found.sweep}[/bold]: {found.trials:,} trials; measured on {found.machine}\n")
    console.print(_table(structures[:SHOWN]))
    if len(structures) > SHOWN:
        console.print(f"and {len(structures) - SHOWN:,} structures that come less often")
    if any(not structure.measured for structure in structures[:SHOWN]):
        console.print("~ not measured: as structures near to it")
    for reason in dict.fromkeys(
        structure.unavailable_reason for structure in structures if structure.unavailable_reason
    ):
        console.print(f"Such trials will fail: {reason}")
    console.print(f"\n{found.told}")


def _table(structures: tuple[Structure, ...]) -> Table:
    """A row for each structure; seconds and memory are those of one trial in its group."""
    from rich.table import Table

    from searchlab.estimate.estimate import seconds
    from searchlab.space.byte_size import size

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("structure", overflow="fold")
    for heading in ("share", "a group", "its step", "a trial", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in structures:
        near, share = "" if one.measured else "~", f"{one.share:.0%}"
        if not one.kind:
            table.add_row(one.name, share, "-", "-", "-", "-")
            continue
        group = f"{one.kind.together} trial{'' if one.kind.together == 1 else 's'}"
        step, trial = f"{near}{1000 * one.step:.3g} ms", near + seconds(one.seconds)
        table.add_row(one.name, share, near + group, step, trial, size(one.memory))
    return table

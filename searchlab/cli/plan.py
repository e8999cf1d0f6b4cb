"""`searchlab plan`: the time and memory that a sweep needs, measured structure by structure before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.output import Output, json_option
from searchlab.cli.run_options import config_from, run_options, value_options
from searchlab.reporting.formats import count, duration

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.estimate.estimate import Estimate
    from searchlab.estimate.structures import Structure

MAX_ROWS = 12  # structures in the table
BUSY_FACTOR = 1.2  # a slowdown by other programs is mentioned from here on


@click.command("plan")
@click.argument("spec", type=click.Path(path_type=Path))
@run_options("trials", "workers", "device", "fuse", "engine", "memory")
@value_options
@json_option
def plan_command(spec: Path, as_json: bool, **options: Any) -> int:
    """Estimate what `searchlab run SPEC` needs on this machine: training steps are timed, nothing is searched."""
    from searchlab.estimate.estimate import estimate
    from searchlab.space.loader import load

    output, config, sweep = Output(as_json), config_from(options), load(spec).sweep
    with output.console.status("timing training steps"):
        estimated = estimate(sweep, config)
    _print(estimated, output)
    output.result(estimated.to_json())
    return 0


def _print(estimated: Estimate, output: Output) -> None:
    console, structures = output.console, estimated.structures
    shown = structures[:MAX_ROWS]
    trials = count(estimated.trials, "trial")
    console.print(f"[bold]{estimated.sweep}[/bold]: {trials}; measured on {estimated.machine}\n")
    console.print(_table(shown))
    if len(structures) > MAX_ROWS:
        console.print(f"and {count(len(structures) - MAX_ROWS, 'less frequent structure')}")
    if not all(structure.is_measured for structure in shown):
        console.print("~ not measured, but extrapolated from the other structures")
    for reason in dict.fromkeys(structure.unavailable_reason for structure in structures):
        if reason:
            console.print(f"Such trials will fail: {reason}", markup=False)
    console.print(f"\n{summary(estimated)}")


def _table(structures: tuple[Structure, ...]) -> Table:
    """Return a table with a row for each structure; time and memory are those of one trial in its group."""
    from rich.table import Table

    from searchlab.space.byte_size import format_bytes

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("structure", overflow="fold")
    for heading in ("share", "group", "time per step", "time per trial", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for structure in structures:
        share, mark = f"{structure.share:.0%}", "" if structure.is_measured else "~"
        if not structure.kind:
            table.add_row(structure.name, share, "-", "-", "-", "-")
            continue
        table.add_row(
            structure.name,
            share,
            mark + count(structure.kind.group_size, "trial"),
            f"{mark}{1000 * structure.step_seconds:.3g} ms",
            mark + duration(structure.trial_seconds, digits=2),
            format_bytes(structure.memory_bytes),
        )
    return table


def summary(estimated: Estimate) -> str:
    """Return the times and epochs of the whole search in a few lines."""
    search, unpruned = estimated.search, estimated.unpruned_search
    text = f"search: about {duration(search.seconds, digits=2)} on {count(estimated.workers, 'worker')}"
    text += f", {count(search.epochs, 'epoch')}"
    if search.pruned:
        text += f"; without pruning {duration(unpruned.seconds, digits=2)}, {count(unpruned.epochs, 'epoch')}"
    text += f"\nbefore it: about {duration(estimated.start_seconds, digits=2)} to start"
    after = {"finalists": estimated.finalist_seconds, "the winner": estimated.winner_seconds}
    parts = [f"{duration(seconds, digits=2)} for {name}" for name, seconds in after.items() if seconds]
    text += f"; after it: about {' and '.join(parts)}"
    text += "\nearly stopping may end trials sooner" if estimated.has_early_stopping else ""
    if estimated.slowdown > BUSY_FACTOR:
        alone = duration(search.seconds / estimated.slowdown, digits=2)
        text += f"\nother programs are using the processor; without them, the search would take about {alone}"
    return text

"""`searchlab replay`: what another pruner would have done in a sweep that has run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from math import inf, isnan
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.cli.remote import address_option, cluster_url, run_on_cluster
from searchlab.errors import UserMistake
from searchlab.reporting.formats import count, score

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.pruning.pruner import Pruner
    from searchlab.results.pruner_replay import OrderReplay, SweepReplay


@click.command("replay")
@click.argument("name")
@click.option(
    "--pruner",
    "kind",
    type=click.Choice(["halving", "median", "race", "none"]),
    default="halving",
    show_default=True,
    help="Pruner to replay.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set an argument of the pruner, such as reduction_factor=4.",
)
@click.option(
    "--orders", type=click.IntRange(0), default=20, show_default=True, help="Number of shuffled orders of the trials."
)
@address_option
@storage_option
@home_option
@json_option
def replay_command(
    name: str,
    kind: str,
    settings: tuple[str, ...],
    orders: int,
    address: str | None,
    storage: str | None,
    home: str,
    as_json: bool,
) -> int:
    """Replay the learning curves of the sweep NAME under another pruner: the epochs it saves, the score it loses."""
    output, pruner = Output(as_json), _pruner(kind, settings)
    if url := cluster_url(address):
        words = [word for setting in settings for word in ("--set", setting)]
        return run_on_cluster(url, ["replay", name, "--pruner", kind, "--orders", str(orders), *words], output)
    from searchlab.results.pruner_replay import replay_sweep
    from searchlab.runs.workspace import Workspace

    replayed, console = replay_sweep(name, pruner, Workspace.at(home, storage), orders), output.console
    console.print(f"[bold]{name}[/bold] under {replayed.pruner}")
    console.print(_table(replayed))
    console.print(f"\n{_summary(replayed)}")
    output.result(replayed.to_json())
    return 0


def _pruner(kind: str, settings: Sequence[str]) -> Pruner:
    """Return the pruner of this kind with these arguments; raise UserMistake for an argument that it does not have."""
    from searchlab.cli.run_options import fixed_values
    from searchlab.pruning.halving import Halving
    from searchlab.pruning.median import Median
    from searchlab.pruning.pruner import NoPruning
    from searchlab.pruning.race import Race

    pruner: Pruner = {"halving": Halving(), "median": Median(), "race": Race(), "none": NoPruning()}[kind]
    for path, value in fixed_values(settings).items():
        pruner = _replace_at(pruner, path.removeprefix("pruner."), value)
    return pruner


def _replace_at(part: Any, path: str, value: Any) -> Any:
    """Return a pruner, or a part of one, with the argument at a path replaced, such as race.alpha."""
    name, _, inner_path = path.partition(".")
    known = [field.name for field in fields(part)] if is_dataclass(part) else []
    if name not in known:
        raise UserMistake(f"{part!r} has no argument {name!r}; it has: {', '.join(known) or 'none'}.")
    return replace(part, **{name: _replace_at(getattr(part, name), inner_path, value) if inner_path else value})


def _table(replayed: SweepReplay) -> Table:
    """Return a table with a row for what was recorded, one for the order in which the trials ran, and shuffled ones."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("order", "epochs", "share", "stopped", replayed.metric, "loss", "rank"):
        table.add_column(heading, justify="left" if heading == "order" else "right", no_wrap=True)
    same_order, *shuffled = replayed.orders
    stopped = f"{replayed.pruned_trials} of {replayed.trials}"
    table.add_row("as run", f"{replayed.epochs:,}", "100%", stopped, score(replayed.best_score), "", "")
    table.add_row("same order", *_cells([same_order], replayed))
    if shuffled:
        table.add_row(f"{len(shuffled)} shuffled, median", *_cells(shuffled, replayed))
        worst = max(shuffled, key=lambda order: inf if isnan(order.score_loss) else order.score_loss)
        table.add_row("worst of these", *_cells([worst], replayed))
    return table


def _cells(orders: Sequence[OrderReplay], replayed: SweepReplay) -> tuple[str, ...]:
    """Return the medians over these orders as text."""
    epochs, rank = median(order.epochs for order in orders), median(order.rank or 0 for order in orders)
    return (
        f"{epochs:,.0f}",
        f"{epochs / replayed.epochs:.0%}",
        f"{median(order.stopped for order in orders):.0f} of {replayed.trials}",
        score(median(order.score for order in orders)),
        f"{median(order.score_loss for order in orders):.2g}",
        f"{rank:.0f}" if rank else "none",
    )


def _summary(replayed: SweepReplay) -> str:
    """Return what the replay shows, in sentences."""
    lines = [
        f"It trains {replayed.epochs_share:.0%} of the {replayed.epochs:,} recorded epochs and loses "
        f"{replayed.score_loss:.2g} of {replayed.metric}, the median of {count(len(replayed.orders), 'order')}. "
        f"The best trial, {replayed.best_trial} with {score(replayed.best_score)}, is stopped in "
        f"{replayed.stops_best_share:.0%} of them."
    ]
    if not isnan(replayed.standard_error):
        lines.append(f"One standard error of that score over folds is {replayed.standard_error:.2g}.")
    if replayed.pruned_trials:
        lines.append(
            f"{replayed.pruned_trials} of the {count(replayed.trials, 'learning curve')} "
            f"{'is' if replayed.pruned_trials == 1 else 'are'} incomplete, because the sweep pruned the trial: what it "
            "would have reached is not known. The replay takes such a trial as finished where its curve ends, so "
            "savings look smaller than they are and losses may be missed."
        )
    return "\n".join(lines)

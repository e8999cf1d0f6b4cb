"""`searchlab replay`: what another pruner would have made of a finished sweep."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.elsewhere import address_option, elsewhere, relay
from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.errors import UserMistake

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.pruning.pruner import Pruner
    from searchlab.results.pruner_replay import Replayed, ReplayOutcome


@click.command("replay")
@click.argument("name")
@click.option(
    "--pruner", "kind", type=click.Choice(["halving", "median", "race", "none"]), default="halving", show_default=True
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="The pruner's arguments: reduction=4.")
@click.option("--orders", type=click.IntRange(0), default=20, show_default=True, help="Shuffled orders of the trials.")
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
    """Tell the curves of the sweep NAME again under another pruner: epochs saved, score lost."""
    output, pruner = Output(as_json), _pruner(kind, settings)
    if url := elsewhere(address):
        words = [word for setting in settings for word in ("--set", setting)]
        return relay(url, ["replay", name, "--pruner", kind, "--orders", str(orders), *words], output)
    from searchlab.results.pruner_replay import replay_sweep
    from searchlab.runs.workspace import Workspace

    replayed = replay_sweep(name, pruner, Workspace.at(home, storage), orders)
    console = output.console
    console.print(f"[bold]{name}[/bold] under {replayed.pruner}")
    console.print(_table(replayed))
    console.print(f"\n{_summary(replayed)}")
    output.result(replayed.plain())
    return 0


def _pruner(kind: str, settings: tuple[str, ...]) -> Pruner:
    """The pruner of this kind with these arguments; raises UserMistake for one that it does not have."""
    from searchlab.cli.arguments import values_of
    from searchlab.pruning.halving import Halving
    from searchlab.pruning.median import Median
    from searchlab.pruning.pruner import NoPruning
    from searchlab.pruning.race import Race

    pruner: Pruner = {"halving": Halving(), "median": Median(), "race": Race(), "none": NoPruning()}[kind]
    for path, value in values_of(settings).items():
        pruner = _with(pruner, path.removeprefix("pruner."), value)
    return pruner


def _with(given: Any, path: str, value: Any) -> Any:
    """A pruner with the argument at the end of the path changed, such as race.level."""
    name, _, deeper = path.partition(".")
    known = [field.name for field in fields(given)] if is_dataclass(given) else []
    if name not in known:
        raise UserMistake(f"{given!r} has no argument {name!r}; it has: {', '.join(known) or 'none'}.")
    return replace(given, **{name: _with(getattr(given, name), deeper, value) if deeper else value})


def _table(replayed: Replayed) -> Table:
    """The sweep's own order and the shuffled ones, a row each: what was spent, what was found."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("order", "epochs", "of all", "stopped", replayed.metric, "lost", "place"):
        table.add_column(heading, justify="left" if heading == "order" else "right", no_wrap=True)
    own, *shuffled = replayed.outcomes
    table.add_row("as it ran", *_row([own], replayed))
    if shuffled:
        table.add_row(f"{len(shuffled)} shuffled, median", *_row(shuffled, replayed))
        worst = max(shuffled, key=lambda outcome: (outcome.lost != outcome.lost, outcome.lost))
        table.add_row("of these the worst", *_row([worst], replayed))
    return table


def _row(outcomes: list[ReplayOutcome], replayed: Replayed) -> tuple[str, ...]:
    """Medians of the outcomes, as text."""
    spent = median(outcome.spent for outcome in outcomes)
    stopped, place = median(outcome.stopped for outcome in outcomes), median(outcome.place or 0 for outcome in outcomes)
    score, lost = median(outcome.score for outcome in outcomes), median(outcome.lost for outcome in outcomes)
    told = (f"{spent:,.0f}", f"{spent / replayed.epochs:.0%}", f"{stopped:.0f} of {replayed.trials}")
    return (*told, f"{score:.4f}", f"{lost:.2g}", f"{place:.0f}" if place else "none")


def _summary(replayed: Replayed) -> str:
    """What to make of it, in sentences."""
    orders, error = len(replayed.outcomes), replayed.standard_error
    lines = [
        f"It spends {replayed.share:.0%} of the {replayed.epochs:,} recorded epochs and loses {replayed.lost:.2g} of "
        f"{replayed.metric}, in the median of {orders} orders; the best trial, {replayed.best} with "
        f"{replayed.score:.4f}, is stopped in {replayed.stopped_best:.0%} of them."
    ]
    if error == error:
        lines.append(f"One standard error of that score over folds is {error:.2g}.")
    if replayed.cut:
        lines.append(
            f"{replayed.cut} of the {replayed.trials} curves were cut short when they were recorded: what these trials "
            "would have reached is not known, so that savings look smaller and losses may be missed."
        )
    return "\n".join(lines)

"""`searchlab list`: the sweeps of a home and how each stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from searchlab.cli.output import Output, home_option, json_option

if TYPE_CHECKING:
    from searchlab.service.overview import Overview


@click.command("list")
@home_option
@json_option
def list_command(home: str, as_json: bool) -> None:
    """The sweeps and how each one stands."""
    from rich.table import Table

    from searchlab.service.home import Home
    from searchlab.service.overview import overviews

    place, output = Home.at(home), Output(as_json)
    rows = overviews(place)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("sweep", "state", "ended", "best", "begun"):
        table.add_column(heading, no_wrap=heading != "ended")  # where the terminal is narrow, this one takes lines
    for row in rows:
        best = "" if row.best is None else f"{row.best:.4f} (trial {row.trial})"
        table.add_row(
            row.sweep, row.state, _ended(row), best, time.strftime("%m-%d %H:%M", time.localtime(row.created))
        )
    output.console.print(table if rows else f"no sweeps in {place.path} yet; `searchlab run SPEC` begins one")
    output.result({"home": str(place.path), "sweeps": [row.plain() for row in rows]})


def _ended(row: Overview) -> str:
    """How many trials have ended, and those of them that did not complete; infeasible ones were not asked for."""
    counts = ((row.pruned, "pruned"), (row.failed, "failed"), (row.infeasible, "infeasible"))
    without = [f"{count} {word}" for count, word in counts if count]
    ended = f"{row.complete + row.pruned + row.failed} of {row.asked}"
    return f"{ended}: {', '.join(without)}" if without else ended

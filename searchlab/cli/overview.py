"""`searchlab list`: the sweeps of a home, or of a cluster, and how each stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.elsewhere import address_option, elsewhere
from searchlab.cli.output import Output, home_option, json_option, storage_option

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.monitor.status import SweepStatus


@click.command("list")
@click.option("--names", is_flag=True, help="The names alone.")
@address_option
@storage_option
@home_option
@json_option
def list_command(names: bool, address: str | None, storage: str | None, home: str, as_json: bool) -> None:
    """The sweeps and how each one stands."""
    output, url = Output(as_json), elsewhere(address)
    if names:
        return _names(url, home, output)
    place, rows = _there(url) if url else _here(home, storage)
    output.console.print(_table(rows) if rows else f"no sweeps in {place} yet; `searchlab run SPEC` begins one")
    output.result({"home": place, "sweeps": [row.plain() for row in rows]})
    return None


def _names(url: str | None, home: str, output: Output) -> None:
    from searchlab.runs.workspace import Workspace

    if url:
        from searchlab.cluster.jobs import Jobs
        from searchlab.cluster.submit import names_at

        found = names_at(Jobs(url))
    else:
        found = [folder.name for folder in Workspace.at(home).sweeps()]
    for name in found:
        output.console.print(name, markup=False)
    output.result({"sweeps": found})


def _here(home: str, storage: str | None) -> tuple[str, list[SweepStatus]]:
    from searchlab.monitor.status import all_statuses
    from searchlab.runs.workspace import Workspace

    place = Workspace.at(home, storage)
    return str(place.path), all_statuses(place)


def _there(url: str) -> tuple[str, list[SweepStatus]]:
    """The sweeps of the cluster's home, and those that were sent there and have not got as far."""
    from searchlab.cluster.jobs import Jobs
    from searchlab.monitor.status import SweepStatus

    jobs = Jobs(url)
    *_, answer = jobs.objects(["list"])
    rows = [SweepStatus(**row) for row in answer["sweeps"]]
    known = {row.sweep for row in rows}
    for job in jobs.all():
        if job.metadata["searchlab.sweep"] not in known and job.metadata["searchlab.verb"] == "run":
            state: Any = "failed" if job.status in ("FAILED", "STOPPED") else "starting"
            rows.append(SweepStatus(job.id, state, 0, 0, 0, 0, 0, None, None, job.started))
    return url, rows


def _table(rows: list[SweepStatus]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("sweep", "state", "ended", "best", "begun"):
        table.add_column(heading, no_wrap=heading != "ended")  # where the terminal is narrow, this one takes lines
    for row in rows:
        best = "" if row.best is None else f"{row.best:.4f} (trial {row.trial})"
        begun = time.strftime("%m-%d %H:%M", time.localtime(row.created))
        table.add_row(row.sweep, row.state, _ended(row), best, begun)
    return table


def _ended(row: SweepStatus) -> str:
    """How many trials have ended, and those of them that did not complete; infeasible ones were not asked for."""
    counts = ((row.pruned, "pruned"), (row.failed, "failed"), (row.infeasible, "infeasible"))
    without = [f"{count} {word}" for count, word in counts if count]
    ended = f"{row.complete + row.pruned + row.failed} of {row.asked}"
    return f"{ended}: {', '.join(without)}" if without else ended

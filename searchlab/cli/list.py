"""`searchlab list`: the sweeps of a home folder or of a cluster, with their states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.cli.remote import address_option, cluster_url
from searchlab.reporting.formats import date_time, score

if TYPE_CHECKING:
    from rich.table import Table

    from searchlab.monitor.status import SweepStatus


@click.command("list")
@click.option("--names", is_flag=True, help="Print only the names.")
@address_option
@storage_option
@home_option
@json_option
def list_command(names: bool, address: str | None, storage: str | None, home: str, as_json: bool) -> None:
    """List the sweeps with their states."""
    output, url = Output(as_json), cluster_url(address)
    if names:
        return _print_names(url, home, output)
    place, statuses = _statuses_from_cluster(url) if url else _local_statuses(home, storage)
    if statuses:
        output.console.print(_table(statuses))
        for status in statuses:
            if status.error:
                output.console.print(f"{status.sweep}: {status.error}", markup=False, soft_wrap=True)
        _print_links(statuses, output)
    else:
        text = f"there are no sweeps in {place} yet; `searchlab run SPEC` starts one"
        output.console.print(text, markup=False, soft_wrap=True)
    output.result({"home": place, "sweeps": [status.to_json() for status in statuses]})
    return None


def _print_names(url: str | None, home: str, output: Output) -> None:
    from searchlab.runs.workspace import Workspace

    if url:
        from searchlab.cluster.jobs import JobClient
        from searchlab.cluster.submit import sweep_names

        names = sweep_names(JobClient(url))
    else:
        names = [folder.name for folder in Workspace.at(home).sweeps()]
    for name in names:
        output.console.print(name, markup=False)
    output.result({"sweeps": names})


def _local_statuses(home: str, storage: str | None) -> tuple[str, list[SweepStatus]]:
    from searchlab.monitor.status import all_statuses
    from searchlab.runs.workspace import Workspace
    from searchlab.tracking.links import sweep_link

    workspace = Workspace.at(home, storage)
    statuses = all_statuses(workspace)
    links = {folder.name: sweep_link(workspace, folder) for folder in workspace.sweeps()}
    return str(workspace.path), [replace(status, link=links.get(status.sweep)) for status in statuses]


def _print_links(statuses: list[SweepStatus], output: Output) -> None:
    """Print where MLflow shows the trials of each sweep."""
    linked = [status for status in statuses if status.link]
    if linked:
        output.console.print("\nin MLflow, while `searchlab ui` serves it:", markup=False)
    for status in linked:
        output.console.print(f"{status.sweep}  {status.link}", markup=False, soft_wrap=True)


def _statuses_from_cluster(url: str) -> tuple[str, list[SweepStatus]]:
    """Return the sweeps on the cluster's head, and those that were submitted and have not created their folder yet."""
    from searchlab.cluster.jobs import JobClient
    from searchlab.monitor.status import SweepStatus

    client = JobClient(url)
    *_, result = client.json_objects(["list"])
    statuses = [SweepStatus.from_json(values) for values in result["sweeps"]]
    known = {status.sweep for status in statuses}
    for job in client.list_jobs():
        if job.metadata["searchlab.sweep"] not in known and job.metadata["searchlab.verb"] == "run":
            state: Any = "failed" if job.status in ("FAILED", "STOPPED") else "starting"
            statuses.append(SweepStatus(job.id, state, 0, 0, 0, 0, 0, None, None, job.started))
    return url, statuses


def _table(statuses: list[SweepStatus]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("sweep", "state", "trials ended", "best", "created"):
        table.add_column(heading, no_wrap=heading != "trials ended")  # a narrow terminal wraps this column
    for status in statuses:
        best = "" if status.best is None else f"{score(status.best)} (trial {status.trial})"
        table.add_row(status.sweep, status.state, _ended_text(status), best, date_time(status.created))
    return table


def _ended_text(status: SweepStatus) -> str:
    """Return how many trials have ended, and how many of them are not complete.

    Infeasible trials do not count towards the trials requested.
    """
    if status.error:
        return ""
    ended = f"{status.complete + status.pruned + status.failed} of {status.requested}"
    counts = ((status.pruned, "pruned"), (status.failed, "failed"), (status.infeasible, "infeasible"))
    incomplete = [f"{number} {state}" for number, state in counts if number]
    return f"{ended}: {', '.join(incomplete)}" if incomplete else ended

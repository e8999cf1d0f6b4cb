"""`searchlab stop`: stop a sweep that another process runs, as Ctrl-C in its terminal does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.cli.remote import address_option, cluster_url, run_on_cluster
from searchlab.reporting.formats import count

if TYPE_CHECKING:
    from searchlab.monitor.stop import StopResult


@click.command("stop")
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to wait until every group has finished its epoch and is saved.",
)
@address_option
@storage_option
@home_option
@json_option
def stop_command(name: str, timeout: float, address: str | None, storage: str | None, home: str, as_json: bool) -> int:
    """Stop the sweep NAME, whichever process runs it: every group is saved, and `searchlab resume` continues it."""
    if url := cluster_url(address):
        return _stop_on_cluster(url, name, timeout, Output(as_json))
    from searchlab.monitor.stop import stop_sweep
    from searchlab.runs.workspace import Workspace

    output, folder = Output(as_json), Workspace.at(home, storage).sweep(name)
    with output.console.status(f"waiting until {name} is saved"):
        stopped = stop_sweep(folder, timeout)
    output.console.print(stop_text(stopped), markup=False, soft_wrap=True)
    snapshot = stopped.snapshot
    output.result(
        {"sweep": snapshot.sweep, "state": snapshot.state, "ended": snapshot.ended, "asked": snapshot.requested}
    )
    return 0


def _stop_on_cluster(url: str, name: str, timeout: float, output: Output) -> int:
    """Stop a sweep of a cluster; of one that was submitted and has not started, end the job."""
    from searchlab.cluster.jobs import ACTIVE, JobClient
    from searchlab.cluster.submit import sweep_names

    client = JobClient(url)
    is_submitted = any(job.id == name and job.status in ACTIVE for job in client.list_jobs())
    if is_submitted and name not in sweep_names(client):
        client.stop(name)
        output.console.print(f"{name}: its job was ended before the sweep started", markup=False, soft_wrap=True)
        output.result({"sweep": name, "state": "interrupted", "ended": 0, "asked": 0})
        return 0
    return run_on_cluster(url, ["stop", name, "--timeout", str(timeout)], output)


def stop_text(stopped: StopResult) -> str:
    """Return in one sentence the state of a sweep that was to be stopped."""
    snapshot = stopped.snapshot
    name, ended = snapshot.sweep, f"{snapshot.ended} of {count(snapshot.requested, 'trial')} ended"
    rest = "with the rest" if snapshot.ended < snapshot.requested else "with the winner"
    if snapshot.state == "interrupted" and not snapshot.requested:
        return f"{name}: stopped before the sweep was created"
    if snapshot.state == "interrupted":
        how = "stopped" if stopped.was_running else "no process is running it; it was interrupted"
        return f"{name}: {how} with {ended}; `searchlab resume {name}` continues {rest}"
    if snapshot.state in ("starting", "running"):
        return f"{name}: stopped, and resumed by another process since, with {ended}"
    how = "ended before it could be stopped" if stopped.was_running else "no process is running it"
    return f"{name}: {how}; {snapshot.state} with {ended}"

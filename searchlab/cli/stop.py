"""`searchlab stop`: has the process that drives a sweep save it and end, as Ctrl-C in its terminal would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from searchlab.cli.elsewhere import address_option, elsewhere, relay
from searchlab.cli.output import Output, home_option, json_option, storage_option

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
    help="To wait until every group has finished its epoch and is saved.",
)
@address_option
@storage_option
@home_option
@json_option
def stop_command(name: str, timeout: float, address: str | None, storage: str | None, home: str, as_json: bool) -> int:
    """Stop the sweep NAME, whichever process drives it: every group is saved, and `searchlab resume NAME` goes on."""
    if url := elsewhere(address):
        return _stop_there(url, name, timeout, Output(as_json))
    from searchlab.monitor.stop import stop_sweep
    from searchlab.runs.workspace import Workspace

    output, folder = Output(as_json), Workspace.at(home, storage).sweep(name)
    with output.console.status(f"waiting until {name} is saved"):
        halted = stop_sweep(folder, timeout)
    output.console.print(told(halted), markup=False, soft_wrap=True)
    seen = halted.snapshot
    output.result({"sweep": seen.sweep, "state": seen.state, "ended": seen.ended, "asked": seen.asked})
    return 0


def _stop_there(url: str, name: str, timeout: float, output: Output) -> int:
    """Stop a sweep of a cluster; one that was sent and has not begun is taken back."""
    from searchlab.cluster.jobs import Jobs
    from searchlab.cluster.submit import names_at

    jobs = Jobs(url)
    if any(job.id == name and job.status in ("PENDING", "RUNNING") for job in jobs.all()) and name not in names_at(
        jobs
    ):
        jobs.end(name)
        output.console.print(f"{name}: taken back before anything of it was begun", markup=False, soft_wrap=True)
        output.result({"sweep": name, "state": "interrupted", "ended": 0, "asked": 0})
        return 0
    return relay(url, ["stop", name, "--timeout", str(timeout)], output)


def told(halted: StopResult) -> str:
    """How the sweep stands, in a sentence."""
    seen = halted.snapshot
    name, counted = seen.sweep, f"{seen.ended} of {seen.asked} trials ended"
    rest = "with the rest" if seen.ended < seen.asked else "to the winner"
    if seen.state == "interrupted" and not seen.asked:
        return f"{name}: stopped before anything of it was kept"
    if seen.state == "interrupted":
        how = "stopped" if halted.driven else "nothing drives it; it was interrupted"
        return f"{name}: {how} with {counted}; `searchlab resume {name}` goes on {rest}"
    if seen.state in ("starting", "running"):
        return f"{name}: stopped, and driven again since, with {counted}"
    how = "it came to its end first" if halted.driven else "nothing drives it"
    return f"{name}: {how}; {seen.state} with {counted}"

"""`searchlab resume`: continue an interrupted sweep, or extend a finished one, here or on a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from searchlab.cli.hangup import hangup_ignored
from searchlab.cli.output import Output, home_option, json_option, storage_option, tracking_option
from searchlab.cli.remote import cluster_url
from searchlab.cli.run import print_outcome
from searchlab.cli.run_options import parse_duration, run_options
from searchlab.errors import UserMistake


class TrialCount(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """A number of trials in all, such as 60, or how many are added, such as +20, which stays a text."""

    name = "N|+N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return a whole number, or a plus sign with one."""
        if isinstance(value, int) or re.fullmatch(r"\+\d+", str(value)):
            return value  # type: ignore[no-any-return]
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of trials nor +N.", param, ctx)


@click.command("resume")
@click.argument("name")
@click.option(
    "--trials", type=TrialCount(), help="Number of trials to extend the sweep to, or +N for N more than it has."
)
@click.option("--time-budget", metavar="TIME", help="Limit of the search time of all runs: 90 (seconds), 30m, 1h30m.")
@click.option(
    "--address", envvar="RAY_ADDRESS", help="Address of the sweep's cluster now; http:// resumes it there as a job."
)
@click.option(
    "--spec",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The sweep file where it is now; default: as before.",
)
@click.option("--changed-code", is_flag=True, help="Go on although the code has changed; the record then says so.")
@run_options("register")
@click.option("--look-again", is_flag=True, help="Test the winner even on test rows that were opened before.")
@tracking_option
@storage_option
@home_option
@json_option
def resume_command(
    name: str,
    trials: int | str | None,
    time_budget: str | None,
    address: str | None,
    changed_code: bool,
    look_again: bool,
    register: str | None,
    spec: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Continue the sweep NAME where it stopped; with --trials or --time-budget, extend a finished one."""
    seconds, output = parse_duration(time_budget), Output(as_json)
    if url := cluster_url(address):
        if spec is not None:
            raise UserMistake(f"--spec {spec} is a file of this machine; {name!r} has its project at {url}.")
        words = ["--trials", str(trials)] if trials is not None else []
        words += ["--time-budget", time_budget] if time_budget else []
        words += [flag for flag, is_set in (("--changed-code", changed_code), ("--look-again", look_again)) if is_set]
        words += [] if register is None else [f"--register={register}"]
        return _resume_on_cluster(url, name, words, output)
    from searchlab.display.progress import Progress
    from searchlab.runner.resume import resume_sweep

    options |= {"trials": trials, "seconds": seconds, "address": address, "changed_code": changed_code, "spec": spec}
    options |= {"look_again": look_again, "register": register}
    with hangup_ignored():
        with Progress(output.console) as progress:
            result = resume_sweep(name, display=progress, **options)
        return print_outcome(result, output)


def _resume_on_cluster(address: str, name: str, words: list[str], output: Output) -> int:
    """Have a cluster continue one of its sweeps, and return at once."""
    from searchlab.cluster.jobs import JobClient
    from searchlab.cluster.submit import resume_on_cluster

    with output.console.status("contacting the cluster"):
        job = resume_on_cluster(name, JobClient(address), words)
    text = f"{name} continues at {address}; `searchlab watch {name}` shows it"
    output.console.print(text, markup=False, soft_wrap=True)
    output.result({"sweep": name, "job": job, "address": address})
    return 0

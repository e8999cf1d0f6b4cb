"""`searchlab submit`: a sweep as a job of a cluster, which continues when this machine is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchlab.cli.hints import command
from searchlab.cli.output import Output, json_option
from searchlab.cli.run_options import config_from, given_options, run_options, time_budget_option, value_options
from searchlab.errors import UserMistake


@click.command("submit")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--address", envvar="RAY_ADDRESS", required=True, metavar="URL", help="URL of the cluster's jobs: http://HEAD:8265."
)
@run_options("trials")
@time_budget_option
@run_options("seed", "workers", "device", "fuse")
@click.option("--checkpoints", help="Folder that every node sees, or s3://BUCKET/PREFIX; default: the head's folder.")
@run_options("ship_data", "memory", "reproducible", "warm_start", "look_again", "register", "name")
@value_options
@json_option
def submit_command(spec: Path, address: str, name: str | None, as_json: bool, **options: Any) -> int:
    """Send the sweep file SPEC with its project to a cluster, and return at once with the sweep's name there."""
    from searchlab.cluster.address import takes_jobs
    from searchlab.cluster.jobs import JobClient
    from searchlab.cluster.submit import submit
    from searchlab.engine.blob_store import validate_location
    from searchlab.runs.manifest import renamed_text
    from searchlab.space.loader import load

    if not takes_jobs(address):
        raise UserMistake(f"a cluster takes jobs at an address like http://HEAD:8265, got {address!r}.")
    config, output, loaded = config_from(options | {"name": name}), Output(as_json), load(spec)
    validate_location(config.checkpoints or "")
    loaded.sweep.with_values(config.values)  # what would fail on the cluster fails here
    with output.console.status("sending the project"):
        sweep, job = submit(loaded, JobClient(address), _words(options), name)
    output.console.print(f"{sweep} is submitted to {address}", markup=False, soft_wrap=True)
    wanted = name or loaded.sweep.name
    if sweep != wanted:
        output.console.print(renamed_text(wanted, sweep), markup=False, soft_wrap=True)
    for words in (f"watch {sweep}", f"stop {sweep}", "list"):
        output.console.print(command(words), markup=False, soft_wrap=True)
    output.result({"sweep": sweep, "job": job, "address": address})
    return 0


def _words(options: dict[str, Any]) -> list[str]:
    """Return the options as `searchlab run` takes them on the head."""
    words: list[str] = []
    for option, value in given_options(options).items():
        if option == "settings":
            words += [word for setting in value for word in ("--set", setting)]
        else:
            words += [f"--{option.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return words

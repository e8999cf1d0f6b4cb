"""`searchlab submit`: a sweep as a job of a cluster, which goes on when this machine is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchlab.cli.arguments import fuse_of, seconds_of, values_of
from searchlab.cli.output import Output, json_option
from searchlab.errors import UserMistake

FLAGS = ("ship_data", "reproducible")


@click.command("submit")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--address", envvar="RAY_ADDRESS", required=True, metavar="URL", help="Where it takes jobs: http://HEAD:8265."
)
@click.option("--trials", type=int, help="How many trials, instead of what the file says; of a grid, the first.")
@click.option("--epochs", type=int, help="Epochs of each trial: short for --set training.epochs=N.")
@click.option("--time-budget", metavar="TIME", help="Search no longer than this: 90 (seconds), 30m, 1h30m.")
@click.option("--seed", type=int, help="Of the sampler, the folds and the weights.  [default: 0]")
@click.option("--workers", type=int, help="Groups that train at once, at most.  [default: this sweep's share of all]")
@click.option("--device", type=click.Choice(["cpu", "cuda", "either"]), help="Where groups train.  [default: cpu]")
@click.option("--fuse", metavar="auto|N", help="Trials that train fused in a group.  [default: auto]")
@click.option("--checkpoints", help="A folder that every node sees, or s3://BUCKET/FOLDER.  [default: the head's]")
@click.option("--ship-data", is_flag=True, help="Send the training rows to the nodes, from the head.")
@click.option("--memory", type=float, metavar="GB", help="Of each worker.  [default: its share of what is free]")
@click.option("--reproducible", is_flag=True, help="The same trials and scores with any number of workers; slower.")
@click.option("--warm-start", metavar="NAME", help="Learn from the trials of this earlier sweep.")
@click.option("--name", help="What the sweep is called, instead of what the file says.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Fix an argument, as in model.hidden=64.")
@json_option
def submit_command(spec: Path, address: str, name: str | None, as_json: bool, **options: Any) -> int:
    """Send the sweep file SPEC with its project to a cluster, and return at once with the sweep's name there."""
    from searchlab.cluster.address import takes_jobs
    from searchlab.cluster.jobs import Jobs
    from searchlab.cluster.submit import submit
    from searchlab.space.loader import load

    if not takes_jobs(address):
        raise UserMistake(f"a cluster takes jobs at an address like http://HEAD:8265, got {address!r}.")
    output, loaded, words = Output(as_json), load(spec), _words(options)
    loaded.sweep.with_values(values_of(options["settings"], options["epochs"]))  # what would fail there fails here
    with output.console.status("sending the project"):
        sweep, job = submit(loaded, Jobs(address), words, name)
    output.console.print(f"{sweep} is submitted to {address}", markup=False, soft_wrap=True)
    output.console.print(f"searchlab watch {sweep}      stop {sweep}      list", markup=False)
    output.result({"sweep": sweep, "job": job, "address": address})
    return 0


def _words(options: dict[str, Any]) -> list[str]:
    """The options as `searchlab run` takes them on the head; raises UserMistake for what makes no sense."""
    from searchlab.engine.blob_store import validate_location
    from searchlab.runner.run import refuse_options

    fuse, memory = options["fuse"], options["memory"]
    refuse_options(options["trials"], options["workers"], fuse_of(fuse) if fuse is not None else "auto", memory)
    validate_location(options["checkpoints"] or "")
    seconds_of(options["time_budget"])
    words = []
    for option, value in options.items():
        flag = f"--{option.replace('_', '-')}"
        if option == "settings":
            words += [word for setting in value for word in ("--set", setting)]
        elif option in FLAGS:
            words += [flag] if value else []
        elif value is not None:
            words += [flag, str(value)]
    return words

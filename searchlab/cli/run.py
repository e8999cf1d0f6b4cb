"""`searchlab run` and `searchlab resume`: a sweep from its file to its artifact, watched on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchlab.cli.arguments import fuse_of, seconds_of, values_of
from searchlab.cli.elsewhere import elsewhere
from searchlab.cli.output import Output, home_option, json_option, storage_option, tracking_option


@click.command("run")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--trials", type=int, help="How many trials, instead of what the file says; of a grid, the first.")
@click.option("--epochs", type=int, help="Epochs of each trial: short for --set training.epochs=N.")
@click.option("--time-budget", metavar="TIME", help="Search no longer than this: 90 (seconds), 30m, 1h30m.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampler, the folds and the weights.")
@click.option("--workers", type=int, help="Processes that train side by side.  [default: one per core]")
@click.option("--device", type=click.Choice(["cpu", "cuda", "either"]), default="cpu", show_default=True)
@click.option("--fuse", default="auto", show_default=True, metavar="auto|N", help="Trials that train fused in a group.")
@click.option("--engine", type=click.Choice(["tune", "local"]), default="tune", show_default=True)
@click.option("--address", envvar="RAY_ADDRESS", help="A Ray cluster to run on, instead of one started here.")
@tracking_option
@storage_option
@click.option(
    "--checkpoints",
    envvar="SEARCHLAB_CHECKPOINTS",
    help="A folder that every node of a cluster sees, or s3://BUCKET/FOLDER.",
)
@click.option("--ship-data", is_flag=True, help="Send the training rows to the nodes of a cluster.")
@click.option("--memory", type=float, metavar="GB", help="Of each worker.  [default: its share of what is free]")
@click.option("--reproducible", is_flag=True, help="The same trials and scores with any number of workers; slower.")
@click.option("--warm-start", metavar="NAME", help="Learn from the trials of this earlier sweep.")
@click.option("--name", help="What the sweep is called, instead of what the file says.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Fix an argument, as in model.hidden=64.")
@home_option
@json_option
def run_command(
    spec: Path,
    epochs: int | None,
    time_budget: str | None,
    fuse: str,
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Search the sweep file SPEC, refit and test the winner, and export it."""
    from searchlab.cli.progress import Progress
    from searchlab.runner.run import run
    from searchlab.space.loader import load

    values, seconds = values_of(settings, epochs), seconds_of(time_budget)
    values |= {"budget.seconds": seconds} if seconds else {}
    loaded, output = load(spec), Output(as_json)
    with Progress(output.console, loaded.sweep.primary) as progress:
        result = run(loaded.sweep, spec=loaded.path, values=values, fuse=fuse_of(fuse), watcher=progress, **options)
    return _tell(result, output)


@click.command("resume")
@click.argument("name")
@click.option("--trials", type=int, help="Extend the sweep to this many trials.")
@click.option("--time-budget", metavar="TIME", help="Extend the search to this long in all: 90 (seconds), 30m, 1h30m.")
@click.option("--address", envvar="RAY_ADDRESS", help="Where its cluster is now; http:// sends it there as a job.")
@tracking_option
@storage_option
@home_option
@json_option
def resume_command(
    name: str, trials: int | None, time_budget: str | None, address: str | None, as_json: bool, **options: Any
) -> int:
    """Go on with the sweep NAME where it stopped; with --trials or --time-budget, extend a finished one."""
    if url := elsewhere(address):
        return _resume_there(url, name, trials, time_budget, Output(as_json))
    from searchlab.cli.progress import Progress
    from searchlab.runner.run import resume

    output, seconds = Output(as_json), seconds_of(time_budget)
    with Progress(output.console) as progress:
        result = resume(name, trials=trials, seconds=seconds, address=address, watcher=progress, **options)
    return _tell(result, output)


def _resume_there(address: str, name: str, trials: int | None, time_budget: str | None, output: Output) -> int:
    """Have a cluster go on with one of its sweeps, and return at once."""
    from searchlab.cluster.jobs import Jobs
    from searchlab.cluster.submit import resume_there

    seconds_of(time_budget)
    words = ["--trials", str(trials)] if trials is not None else []
    words += ["--time-budget", time_budget] if time_budget else []
    with output.console.status("asking the cluster"):
        job = resume_there(name, Jobs(address), words)
    told = f"{name} goes on at {address}; `searchlab watch {name}` shows it"
    output.console.print(told, markup=False, soft_wrap=True)
    output.result({"sweep": name, "job": job, "address": address})
    return 0


def _tell(result: Any, output: Output) -> int:
    from searchlab.cli.summary import print_result

    print_result(result, output.console)
    output.result(result.plain())
    return 0 if result.winner else 1

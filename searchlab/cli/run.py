"""`searchlab run` and `searchlab resume`: a sweep from its file to its artifact, watched on the terminal."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import click

from searchlab.cli.output import Output, home_option, json_option
from searchlab.errors import UserMistake


@click.command("run")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--trials", type=int, help="How many trials, instead of what the file says; of a grid, the first.")
@click.option("--epochs", type=int, help="Epochs of each trial: short for --set training.epochs=N.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampler, the folds and the weights.")
@click.option("--workers", type=int, help="Processes that train side by side.  [default: one per core]")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--fuse", default="auto", show_default=True, metavar="auto|N", help="Trials that train fused in a group.")
@click.option("--engine", type=click.Choice(["tune", "local"]), default="tune", show_default=True)
@click.option("--address", envvar="RAY_ADDRESS", help="A Ray cluster to run on, instead of one started here.")
@click.option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="An MLflow server, instead of the home's own store.")
@click.option(
    "--storage", envvar="SEARCHLAB_STORAGE", help="A database for the study, instead of the home's own journal."
)
@click.option("--memory", type=float, metavar="GB", help="Of each worker.  [default: its share of what is free]")
@click.option("--name", help="What the sweep is called, instead of what the file says.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Fix an argument, as in model.hidden=64.")
@home_option
@json_option
def run_command(
    spec: Path, epochs: int | None, fuse: str, settings: tuple[str, ...], as_json: bool, **options: Any
) -> int:
    """Search the sweep file SPEC, refit and test the winner, and export it."""
    from searchlab.cli.progress import Progress
    from searchlab.service.run import run
    from searchlab.sweep.file import load

    if epochs is not None and epochs < 1:
        raise UserMistake(f"--epochs is at least 1, got {epochs}.")
    values = dict(_setting(text) for text in settings) | ({"training.epochs": epochs} if epochs else {})
    loaded, output = load(spec), Output(as_json)
    with Progress(output.console, loaded.sweep.metric) as progress:
        result = run(loaded.sweep, spec=loaded.path, values=values, fuse=_fuse(fuse), watcher=progress, **options)
    return _tell(result, output)


@click.command("resume")
@click.argument("name")
@click.option("--trials", type=int, help="Extend the sweep to this many trials.")
@home_option
@json_option
def resume_command(name: str, trials: int | None, home: str, as_json: bool) -> int:
    """Go on with the sweep NAME where it stopped; with --trials, extend a finished one."""
    from searchlab.cli.progress import Progress
    from searchlab.service.run import resume

    output = Output(as_json)
    with Progress(output.console) as progress:
        result = resume(name, home=home, trials=trials, watcher=progress)
    return _tell(result, output)


def _tell(result: Any, output: Output) -> int:
    from searchlab.cli.summary import print_result

    print_result(result, output.console)
    output.result(result.plain())
    return 0 if result.winner else 1


def _setting(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UserMistake(f"--set takes PATH=VALUE, as in model.hidden=64; got {text!r}.")
    try:
        return path, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return path, value  # a word


def _fuse(text: str) -> Any:
    if text == "auto" or text.isdigit():
        return text if text == "auto" else int(text)
    raise UserMistake(f"--fuse is 'auto' or a number of trials, got {text!r}.")

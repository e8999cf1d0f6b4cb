"""`searchlab run`: a sweep from its file to its artifact, shown on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchlab.cli.hangup import hangup_ignored
from searchlab.cli.output import Output, json_option
from searchlab.cli.run_options import config_from, run_options, time_budget_option, value_options
from searchlab.tracking.early_writer import EarlyWriter


@click.command("run")
@click.argument("spec", type=click.Path(path_type=Path))
@run_options("trials")
@time_budget_option
@run_options("seed", "workers", "device", "fuse", "engine", "address")
@click.option("--no-tracking", is_flag=True, help="Keep no record in MLflow.")
@run_options("tracking_uri", "storage", "checkpoints", "ship_data", "memory", "reproducible", "warm_start")
@run_options("look_again", "register", "ray_dashboard", "name")
@value_options
@run_options("home")
@json_option
def run_command(spec: Path, as_json: bool, **options: Any) -> int:
    """Search the sweep file SPEC, refit and test the winner, and export it."""
    config, output = config_from(options), Output(as_json)
    with EarlyWriter(config.tracking is not None, config.tracking_uri) as early:  # while all else is imported
        from searchlab.display.progress import Progress
        from searchlab.runner.run import run
        from searchlab.space.loader import load

        loaded = load(spec)
        with hangup_ignored():
            with Progress(output.console, loaded.sweep.primary_metric) as progress:
                result = run(loaded.sweep, config, spec=loaded.path, display=progress, early=early)
            return print_outcome(result, output)


def print_outcome(result: Any, output: Output) -> int:
    """Print a result for people and as JSON, and return the exit code."""
    from searchlab.cli.summary import print_result

    print_result(result, output.console)
    output.result(result.to_json())
    return 0 if result.winner else 1

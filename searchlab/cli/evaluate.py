"""`searchlab evaluate`: what the winner of a sweep scores on new data, or on the test rows."""

from __future__ import annotations

from pathlib import Path

import click

from searchlab.cli.artifact_argument import find_artifact
from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.errors import UserMistake


@click.command("evaluate")
@click.argument("name")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="New data: .csv, .tsv, .npz, .txt, or a folder of images by class; default: the test rows of the sweep.",
)
@click.option("--look-again", is_flag=True, help="Measure on test rows that were opened before, for another winner.")
@storage_option
@home_option
@json_option
def evaluate_command(
    name: str, data: Path | None, look_again: bool, storage: str | None, home: str, as_json: bool
) -> None:
    """Measure the network NAME, a sweep or an artifact's folder, on new data, or a sweep's winner on the test rows."""
    from searchlab.project import import_first_from
    from searchlab.reporting.formats import score, times
    from searchlab.runner.evaluate import evaluate, evaluate_artifact

    output = Output(as_json)
    if (Path(name) / "manifest.json").is_file():
        if data is None:
            raise UserMistake("the folder of an artifact has no test rows; --data PATH names new data.")
        folder, root = find_artifact(name, home)
        import_first_from(root)
        found = evaluate_artifact(folder, data)
    else:
        found = evaluate(name, data=data, look_again=look_again, home=home, storage=storage)
    where = found.data or f"the test rows, opened {times(found.look or 1)}"
    output.console.print(f"trial {found.trial} on {where} ({found.rows:,}):", markup=False, soft_wrap=True)
    for metric, value in found.scores.items():
        output.console.print(f"{metric}  {score(value)}", markup=False, highlight=False)
    output.result(found.to_json())

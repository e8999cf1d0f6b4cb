"""`searchlab export`: the winner or another trial as a folder of its own, or all trials as CSV."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.artifact_argument import find_artifact
from searchlab.cli.output import Output, home_option, json_option, storage_option
from searchlab.errors import UserMistake, WorldFault

if TYPE_CHECKING:
    from searchlab.runs.trials import TrialRecord

COLUMNS = ("trial", "state", "score", "std", "epoch", "epochs", "seconds", "reason")


@click.command("export")
@click.argument("name")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--trial", type=int, metavar="N", help="Train trial N again, and export it in place of the winner.")
@click.option("--safetensors", is_flag=True, help="Write the weights in the format safetensors.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all trials as CSV, in place of the winner.")
@storage_option
@home_option
@json_option
def export_command(
    name: str,
    folder: Path | None,
    trial: int | None,
    safetensors: bool,
    as_csv: bool,
    storage: str | None,
    home: str,
    as_json: bool,
) -> None:
    """Write the winner of the sweep NAME, or another trial, to FOLDER; or print all its trials with --csv."""
    if (folder is None) != as_csv or (as_csv and (trial is not None or safetensors)):
        raise UserMistake("export takes a folder for the winner or for --trial N, or --csv for all trials.")
    output = Output(as_json)
    if folder is None:
        _print_trials(name, home, storage, output)
        return
    if safetensors:
        from searchlab.artifact.safetensors_file import require_safetensors

        require_safetensors()
    if trial is None:
        _copy_winner(name, home, folder)
    else:
        from searchlab.runner.export_trial import export_trial

        with output.console.status(f"training trial {trial} again"):
            export_trial(name, trial, folder, home=home, storage=storage)
    if safetensors:
        from searchlab.artifact import convert_to_safetensors

        try:
            convert_to_safetensors(folder)
        except OSError as error:
            raise WorldFault(f"{folder} cannot be written ({error}); its weights are in weights.npz.") from error
    output.console.print(f"{folder}", markup=False, highlight=False, soft_wrap=True)
    output.result({"sweep": name, "artifact": str(folder)} | ({} if trial is None else {"trial": trial}))


def _copy_winner(name: str, home: str, folder: Path) -> None:
    source, _ = find_artifact(name, home)
    if folder.exists():
        raise UserMistake(f"{folder} exists already; name a folder that does not.")
    try:
        shutil.copytree(source, folder)
    except OSError as error:
        raise WorldFault(
            f"{folder} cannot be written ({error.strerror or error}); the artifact is still in {source}."
        ) from error


def _print_trials(name: str, home: str, storage: str | None, output: Output) -> None:
    """Print a table of all trials, with a column for every parameter, every metric and every fold."""
    import searchlab

    result = searchlab.open(name, home=home, storage=storage)
    parameters = list(dict.fromkeys(path for trial in result.trials for path in trial.parameters))
    folds = max((len(trial.folds) for trial in result.trials), default=0)
    header = [*COLUMNS, *result.others, *parameters, *(f"fold_{fold}" for fold in range(folds))]
    rows = [_row(trial, list(result.others), parameters, folds) for trial in result.trials]
    if output.as_json:
        output.result({"sweep": name, "trials": [dict(zip(header, row, strict=True)) for row in rows]})
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _row(trial: TrialRecord, others: Sequence[str], parameters: Sequence[str], folds: int) -> list[Any]:
    facts: list[Any] = [trial.number, trial.state, trial.value, trial.std if trial.epoch else None, trial.epoch]
    facts += [len(trial.curve.scores), round(trial.curve.seconds, 6), trial.reason]
    other_values = [*trial.values[1:], *[None] * len(others)][: len(others)]
    scores = [*trial.folds, *[None] * folds][:folds]
    return [*facts, *other_values, *(trial.parameters.get(path) for path in parameters), *scores]

"""`searchlab predict`: what a winner predicts for new rows, as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.artifact_argument import load_artifact
from searchlab.cli.output import Output, home_option, json_option
from searchlab.cli.unknown_tokens import name_unknown_tokens
from searchlab.errors import UserMistake

if TYPE_CHECKING:
    from searchlab.artifact import Artifact
    from searchlab.backend import Array
    from searchlab.tables.raw_table import RawTable


@click.command("predict")
@click.argument("name")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--probabilities", is_flag=True, help="Print the probability of every class, not of the predicted one alone."
)
@home_option
@json_option
def predict_command(name: str, inputs: tuple[Path, ...], probabilities: bool, home: str, as_json: bool) -> None:
    """Print as CSV what the network NAME, a sweep or an artifact's folder, predicts for the rows of INPUTS.

    INPUTS is a .csv, .tsv or .csv.gz file with a header, an .npy file with rows, a .txt file with a source on each
    line, or any number of images and folders of images.
    """
    from searchlab.results.new_images import holds_images

    output, saved, unknown = Output(as_json), load_artifact(name, home), dict[str, int]()
    others = [path for path in inputs if not holds_images(path)]
    if not others:
        header, rows = _predict_images(saved, inputs, probabilities)
    elif len(inputs) > 1:
        raise UserMistake(f"{others[0]} is not an image: it is predicted by a command of its own.")
    elif others[0].suffix == ".txt":
        header, rows = _translations(saved, others[0])
    else:
        from searchlab.artifact.prediction_table import prediction_table

        features = _read_rows(saved, others[0])
        header, rows = prediction_table(saved, features, probabilities=probabilities)
        unknown = saved.unknown_words(features)
        if unknown:
            columns = ", ".join(f"{name} ({cells:,})" for name, cells in unknown.items())
            click.echo(f"cells with a word that the network does not know, taken as rare ones: {columns}", err=True)
    entry = saved.manifest.get("threshold")
    threshold = entry and {key: entry[key] for key in ("class", "probability", "metric")}
    if as_json:
        predictions = [dict(zip(header, row, strict=True)) for row in rows]
        output.result({"predictions": predictions, "threshold": threshold, "unknown_words": unknown})
        return
    if threshold:
        by = f"the threshold of {threshold['metric']}"
        click.echo(
            f"{threshold['class']} is predicted from a probability of {threshold['probability']:.4g} on, {by}", err=True
        )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _predict_images(
    saved: Artifact, paths: Sequence[Path], probabilities: bool
) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Return the table of the predictions for image files, whose first column is the file."""
    from searchlab.artifact.prediction_table import prediction_table
    from searchlab.results.new_images import read_image_inputs

    files, pixels = read_image_inputs(saved, paths)
    header, rows = prediction_table(saved, pixels, probabilities=probabilities)
    return ["file", *header], [[str(file), *row] for file, row in zip(files, rows, strict=True)]


def _read_rows(saved: Artifact, path: Path) -> Array | RawTable:
    """Return the inputs in a file; columns that the network does not know are named on stderr, and left out."""
    import numpy as np

    if path.suffix == ".npy":
        try:
            array: Array = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserMistake(f"{path} cannot be read as an array ({error}).") from error
        return array
    from searchlab.artifact.inputs import feature_names
    from searchlab.results.new_data import read_new_table
    from searchlab.tables.text_format import ending_of

    if ending_of(path) is None:
        raise UserMistake(f"{path} is neither .csv, .tsv, .npy, .txt nor an image.")
    table = read_new_table(saved, path)
    names = feature_names(saved.manifest) or list(table.columns)
    unused = [name for name in table.columns if name not in names]
    if unused:
        click.echo(f"columns that are not used: {', '.join(unused)}", err=True)
    return table


def _translations(saved: Artifact, path: Path) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the table of the lines of a text file, and what a model of pairs of sequences writes for each."""
    if saved.sequence_format is None:
        raise UserMistake(f"{path} holds sources for a model of pairs of sequences, and this artifact {_takes(saved)}.")
    lines = _lines(path)
    targets = [[line, saved.translate(line)] for line in lines]
    name_unknown_tokens(saved, lines)
    return ["source", "target"], targets


def _takes(saved: Artifact) -> str:
    """Return what an artifact that is no model of pairs of sequences takes instead of a text file."""
    if saved.manifest.get("task") == "word vectors":
        return "holds word vectors; use most-similar or analogy"
    if saved.vocabulary is not None:
        return "holds a language model; use generate"
    if (saved.manifest.get("data") or {}).get("kind") == "Images":
        return "takes images: .png, .jpg, .jpeg, or folders of them"
    return "takes rows: a .csv, .tsv, .csv.gz or .npy file"


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserMistake(f"{path} is not text in UTF-8 ({error}).") from error

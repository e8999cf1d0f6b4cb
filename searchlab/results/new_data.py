"""Data in a file of its own, as an artifact takes it: new rows with their targets, or another text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.artifact import Artifact
from searchlab.backend import Array
from searchlab.data.examples import Examples
from searchlab.data.loaded import LoadedDataset
from searchlab.data.npz_file import load_npz
from searchlab.data.text import Text
from searchlab.data.text_files import read_text
from searchlab.data.token_stream import TokenStream
from searchlab.data.vocabulary import tokenize
from searchlab.errors import UserMistake
from searchlab.results.new_images import load_labeled_images
from searchlab.tables.cell_text import parse_number
from searchlab.tables.columns import Layout
from searchlab.tables.examples import TableExamples
from searchlab.tables.raw_table import RawTable
from searchlab.tables.reading import read_table
from searchlab.tables.target import as_texts, empty_cells, read_target
from searchlab.tables.text_format import ending_of


def load_new_data(saved: Artifact, path: Path) -> LoadedDataset:
    """Return the data in a file, with the columns, classes or tokens that an artifact knows.

    Args:
        saved: The artifact, whose manifest describes the data of its sweep.
        path: A .csv or .tsv file with the columns of the sweep's, an .npz file with `x` and `y`, a .txt file for a
            language model, a folder of such files, or a folder of images that has a folder for each class.

    Raises:
        UserMistake: When the file does not fit the artifact, such as a class or a column that it does not know.
        WorldFault: When the file cannot be read.
    """
    task, described = saved.manifest.get("task"), saved.manifest.get("data") or {}
    if path.is_dir() and task != "language model":
        return load_labeled_images(saved, path)
    if (path.is_dir() or path.suffix == ".txt") and task == "language model":
        return _read_text(saved, path, described.get("window", Text.window))
    if task in ("classification", "regression"):
        if ending_of(path) and "target" in described:
            targets = [described["target"]] if isinstance(described["target"], str) else described["target"]
            table = read_new_table(saved, path)
            table = table.without_missing(targets) if described.get("drop_missing_target") else table
            return _examples(saved, table, _targets(table, targets, task))
        if path.suffix == ".npz":
            arrays, _ = load_npz(path, ["x", "y"])
            for key in ("x", "y"):
                if key not in arrays:
                    raise UserMistake(f"{path} has no key {key!r}.")
            return _examples(saved, arrays["x"], arrays["y"])
    kind = f"{described.get('kind', 'other data')} with a network for {task or 'data of another kind'}"
    raise UserMistake(
        f"{path} cannot be used: new data is a .csv or .tsv for a sweep with Csv, an .npz with x and y for rows, a "
        f".txt for a language model, or a folder of images for a sweep with Images; this sweep has {kind}."
    )


def read_new_table(saved: Artifact, path: Path) -> RawTable:
    """Return the cells of a .csv or .tsv file, written as the file of an artifact's sweep or in another way.

    Raises:
        UserMistake: When the file is no table.
        WorldFault: When the file cannot be read.
    """
    described = saved.manifest.get("data") or {}
    words = {column.name for column in saved.columns if column.kind == "word"}
    targets = described.get("target", ())
    missing = described.get("na_values", ())
    return read_table(
        path,
        delimiter=described.get("delimiter"),
        decimal=described.get("decimal"),
        thousands=described.get("thousands"),
        encoding=described.get("encoding"),
        na_values=(missing,) if isinstance(missing, str) else missing,
        as_text=words,
        targets=(targets,) if isinstance(targets, str) else targets,
    )


def _targets(table: RawTable, names: Sequence[str], task: str) -> Array:
    """Return the numbers to predict (N, T), or the names of the classes (N,)."""
    problems = [problem for name in names for problem in empty_cells(table, name)]
    if problems:
        raise UserMistake(f"{table.source} {problems[0]}.")
    if task != "regression":
        return np.array([_label(cell) for cell in as_texts(table[names[0]])])
    target = read_target(table, tuple(names), "regress", None)
    if target.y is None:
        raise UserMistake(f"{table.source} {target.problems[0]}.")
    return target.y


def _label(cell: str) -> str:
    """Return the name of a class; a whole number may be written as 1.0."""
    number = parse_number(cell)
    return str(int(number)) if number is not None and number.is_integer() else cell


def _examples(saved: Artifact, x: Any, y: Array) -> Examples:
    rows, names = saved.rows_of(x), saved.manifest.get("classes")
    build: Callable[..., Examples] = partial(TableExamples, layout=Layout(saved.columns)) if saved.columns else Examples
    outputs = int(saved.manifest["model"]["sizes"][1])
    if saved.manifest["task"] == "regression":
        return build(rows, np.asarray(y, np.float64).reshape(len(rows), -1), outputs)
    known: list[Any] = list(names or map(str, range(outputs)))
    labels = np.array([str(value) for value in y])
    unknown = sorted({*labels.tolist()} - {*known})
    if unknown:
        raise UserMistake(f"the network does not know the class {unknown[0]!r}; it knows {', '.join(known)}.")
    return build(rows, np.array([known.index(label) for label in labels]), outputs)


def _read_text(saved: Artifact, path: Path, window: int) -> TokenStream:
    vocabulary = saved.vocabulary
    if vocabulary is None:
        raise UserMistake("this artifact has no vocabulary.")
    ids = vocabulary.lookup_ids(tokenize(read_text(path), vocabulary.unit))
    return TokenStream(ids, vocabulary, window)

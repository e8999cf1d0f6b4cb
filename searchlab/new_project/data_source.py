"""The data set of a new project's first sweep: what is written for it, and what is guessed from its content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

import searchlab
from searchlab.data import Images, KFold, Npz, Text
from searchlab.data.data_folder import find_file_or_folder
from searchlab.data.examples import Examples
from searchlab.data.image_files import IMAGE_SUFFIXES, find_images, has_color
from searchlab.data.rare_classes import rare_class_warnings
from searchlab.data.text_files import TEXT_SUFFIX
from searchlab.errors import UserMistake
from searchlab.new_project.columns import BY_PLACE, guess_metric, guess_target, validate_guess
from searchlab.tables import Csv
from searchlab.tables.cell_text import NAMELESS
from searchlab.tables.reading import read_table
from searchlab.tables.recognition import ColumnReport
from searchlab.tables.target import as_texts
from searchlab.tables.text_format import ending_of
from searchlab.wording import count

Task = Literal["classes", "numbers", "text"]
ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".npz", ".txt")
MAX_LISTED = 40  # columns in the comment of a sweep file
MAX_NAME = 40  # characters of a column's name there
TEXT_WINDOW = 50
FOLDS = 5  # of a sweep of rows
COLOR_SAMPLES = 50  # images that are looked at for colors


@dataclass(frozen=True)
class DataSource:
    """A data set as a sweep file has it.

    Attributes:
        file: The user's file or folder; None for the digits of scikit-learn.
        constructor: Name of its class in searchlab.
        arguments: The arguments after the path as code, such as ', target="kind"'.
        task: What is predicted: classes, numbers, or the next character of a text.
        size: What there is, such as "150 rows".
        rows: Number of rows or characters to train on.
        metric: Name of the metric.
        metric_reason: Why this metric; empty where nothing is to choose.
        target: The column or key that is predicted; None for a text and for the digits.
        target_reason: Why this one, where it is guessed.
        class_counts: Training rows of each class; empty where none are predicted.
        columns: The columns of a table.
        warnings: What to consider about the rows.
    """

    file: Path | None
    constructor: str
    arguments: str
    task: Task
    size: str
    rows: int
    metric: str
    metric_reason: str = ""
    target: str | None = None
    target_reason: str = ""
    class_counts: Sequence[int] = ()
    columns: Sequence[ColumnReport] = ()
    warnings: Sequence[str] = ()

    @classmethod
    def digits(cls) -> DataSource:
        """Return the digits of scikit-learn."""
        return cls(None, "Digits", "", "classes", "1,437 rows", 1437, "Accuracy")

    @classmethod
    def of_file(cls, name: str, target: str | None) -> DataSource:
        """Return what is written for a user's file or folder, which is read as the sweep will read it.

        Args:
            name: Its path, from the current folder or in the data folder.
            target: The column to predict, or the key of an .npz; default: it is guessed.

        Raises:
            UserMistake: When there is none, or it does not hold what its ending says.
            WorldFault: When it cannot be read.
        """
        file = find_file_or_folder(name).absolute()
        if file.is_dir():
            return cls._of_folder(file, target)
        if ending_of(file) is not None:
            return cls._of_table(file, target)
        if file.suffix.lower() == ".npz":
            return cls._of_arrays(file, target)
        if file.suffix.lower() == ".txt":
            return cls._of_text(file, target)
        raise UserMistake(
            f"{name} ends in {file.suffix or 'no suffix'}; data is a file of {', '.join(ENDINGS)}, or a folder."
        )

    def column_comments(self) -> list[str]:
        """Return the columns as lines of a comment, without "# "; of many, the first ones."""
        shown = self.columns[:MAX_LISTED]
        names = [one_line(column.name) or '""' for column in shown]
        width = max(map(len, names), default=0)
        lines = [
            f"{name:{width}}  {column.kind}, {column.distinct:,} distinct"
            + (f", {column.missing:,} missing" if column.missing else "")
            + (f"; {column.becomes}" if column.kind == "dropped" or "left out" in column.becomes else "")
            for name, column in zip(names, shown, strict=True)
        ]
        return [*lines, f"and {len(self.columns) - MAX_LISTED:,} more"] if len(self.columns) > MAX_LISTED else lines

    @classmethod
    def _of_table(cls, file: Path, target: str | None) -> DataSource:
        table = read_table(file)
        names = list(table.columns)
        nameless = [name for name in names if NAMELESS.fullmatch(name)]
        guessed, reason = (target, "") if target else guess_target(file, names)
        if reason == BY_PLACE:
            validate_guess(file, guessed, as_texts(table[guessed]))
        drop = [""] if nameless else []
        described = Csv(str(file), target=guessed, drop=tuple(drop)).describe_columns().columns
        useless = {column.name: column.note.split(";")[0] for column in described if column.is_useless}
        drop += useless
        data = Csv(str(file), target=guessed, drop=tuple(drop))
        options = {"target": guessed, **({"drop": drop[0] if len(drop) == 1 else drop} if drop else {})}
        columns = [
            replace(column, becomes=f"left out: {useless[column.name]}") if column.name in useless else column
            for column in data.describe_columns().columns
        ]
        return cls._of_examples(file, data.training(), "Csv", options, guessed, reason, columns)

    @classmethod
    def _of_arrays(cls, file: Path, target: str | None) -> DataSource:
        options, key = {"y": target} if target else {}, target or "y"
        return cls._of_examples(file, Npz(str(file), y=key).training(), "Npz", options, key, "", ())

    @classmethod
    def _of_folder(cls, folder: Path, target: str | None) -> DataSource:
        """Return what is written for a folder of images, with a folder for each class, or of text files."""
        images = find_images(folder)
        if not images:
            return cls._of_text(folder, target)
        if target:
            raise UserMistake(f"--target names a column of a table, and the classes of {folder} are its folders.")
        colored = any(has_color(image) for image in images[:: -(-len(images) // COLOR_SAMPLES)])
        options: dict[str, str | bool] = {**({"color_mode": "rgb"} if colored else {}), "standardize": True}
        rows = Images(str(folder), color_mode="rgb" if colored else "grayscale", standardize=True).training()
        return cls._of_examples(folder, rows, "Images", options, None, "", (), "image")

    @classmethod
    def _of_examples(
        cls,
        file: Path,
        rows: Examples,
        constructor: str,
        options: Mapping[str, str | list[str] | bool],
        target: str | None,
        target_reason: str,
        columns: Sequence[ColumnReport],
        unit: str = "row",
    ) -> DataSource:
        if len(rows) < FOLDS:
            raise UserMistake(
                f"{file} has {count(len(rows), unit)} to train on, and the first sweep needs at least {FOLDS}, one to "
                "hold out for each fold."
            )
        counts = [int(number) for number in np.bincount(rows.y)] if rows.labels is not None else []
        metric, reason = guess_metric(counts, searchlab.__all__)
        return cls(
            file,
            constructor,
            "".join(f", {name}={literal(value)}" for name, value in options.items()),
            "classes" if counts else "numbers",
            f"{count(len(rows), unit)} to train on",
            len(rows),
            metric,
            reason,
            target,
            target_reason,
            counts,
            columns,
            [] if can_stratify(counts) else rare_class_warnings(rows, KFold(FOLDS)),
        )

    @classmethod
    def _of_text(cls, file: Path, target: str | None) -> DataSource:
        if target:
            raise UserMistake(f"--target names a column of a table, and {file.name} is a text.")
        if file.is_dir() and not any(file.rglob(f"*{TEXT_SUFFIX}")):
            raise UserMistake(f"{file} has no file that ends in {', '.join((*IMAGE_SUFFIXES, TEXT_SUFFIX))}.")
        text = Text(str(file), unit="char", window=TEXT_WINDOW).training()
        size = f"{count(len(text), 'character')} to train on, {text.sizes[0]:,} different ones"
        return cls(file, "Text", f', unit="char", window={TEXT_WINDOW}', "text", size, len(text), "Perplexity")


def can_stratify(class_counts: Sequence[int]) -> bool:
    """Return whether every fold can hold out rows of every class; False where no classes are predicted."""
    return min(class_counts, default=0) >= FOLDS


def literal(value: str | list[str] | bool) -> str:
    """Return a value as a literal of Python; texts are in double quotes."""
    return repr(value) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def one_line(text: str) -> str:
    """Return a text for a comment: on one line, and cut where it is long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= MAX_NAME else f"{line[: MAX_NAME - 3]}..."

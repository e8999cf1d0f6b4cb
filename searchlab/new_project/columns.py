"""What the columns of a table hold, and what is guessed from that: the target and the metric."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchlab.data.csv_columns import MISSING, CsvColumns, parse_number
from searchlab.errors import UserMistake

MAX_HEADER = 1 << 20  # characters of a file that are read to find its delimiter
TARGET_NAMES = {"target", "label", "class", "y", "outcome", "response"}  # of columns, in letters of either case
RARE_SHARE = 0.4  # a class is rare below this share of what it would have if all classes were equally frequent
RARE_CLASS_METRIC = "BalancedAccuracy"
ERROR_METRIC = "RootMeanSquaredError"


@dataclass(frozen=True)
class Column:
    """What a column of a table holds.

    Attributes:
        name: Its name in the header.
        kind: "numbers", "whole numbers", "words" or "empty".
        distinct: Number of distinct values.
        missing: Number of cells without a value.
        rows: Number of rows of the table.
    """

    name: str
    kind: str
    distinct: int
    missing: int
    rows: int


def read_columns(path: Path, delimiter: str) -> list[Column]:
    """Return what the columns of a CSV file hold, in the order of its header.

    Raises:
        UserMistake: When the file has no rows, two columns of one name, or rows of another length than the header.
        WorldFault: When it cannot be read as CSV in UTF-8.
    """
    table = CsvColumns.read(path, delimiter)
    return [
        _column(name, list(cells)) for name, cells in zip(table.header, zip(*table.cells, strict=True), strict=True)
    ]


def guess_delimiter(path: Path) -> str:
    """Return the tab, semicolon or comma that the header of a file has most of; a comma where it has none."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        start = file.read(MAX_HEADER)
    header = re.sub(r'"[^"]*"', "", start).lstrip("\n").partition("\n")[0]  # without names in quotes
    return max(",;\t", key=header.count)


def guess_target(path: Path, columns: Sequence[Column]) -> tuple[str, str]:
    """Return the column that is probably to be predicted, and why: by its name, else the last column.

    Raises:
        UserMistake: When several columns or none may be the target.
    """
    named = [column.name for column in columns if column.name.lower() in TARGET_NAMES]
    if len(named) == 1:
        return named[0], "by its name"
    if named:
        raise UserMistake(
            f"{path} has several columns that may be the target, {', '.join(named)}; name it by --target."
        )
    last = columns[-1]
    is_text = last.kind == "words" and 2 * last.distinct > last.rows  # such as names: no two rows need be alike
    if last.distinct < 2 or last.missing or is_text:
        raise UserMistake(
            f"no column of {path} is called {', '.join(sorted(TARGET_NAMES))}, and its last one, {last.name!r}, is "
            "probably not the target; name the column to predict by --target."
        )
    return last.name, "the last column"


def guess_metric(class_counts: Sequence[int], available: Container[str]) -> tuple[str, str]:
    """Return the name of a metric, and why it is taken.

    Args:
        class_counts: Rows of each class; empty for numbers to predict.
        available: Names of metrics that exist.
    """
    if not class_counts:
        return ERROR_METRIC, "the target holds numbers"
    share, even_share = min(class_counts) / sum(class_counts), 1 / len(class_counts)
    reason = f"the rarest of {len(class_counts)} classes has {share:.1%} of the rows"
    if share >= RARE_SHARE * even_share:
        return "Accuracy", reason
    if RARE_CLASS_METRIC in available:
        return RARE_CLASS_METRIC, reason
    return "Accuracy", f"{reason}, so compare the winner with the baseline"


def _column(name: str, cells: list[str]) -> Column:
    values = [cell for cell in cells if cell not in MISSING]
    numbers = [parse_number(cell) for cell in values]
    kind = "words"
    if not values:
        kind = "empty"
    elif None not in numbers:
        kind = "whole numbers" if all(number is not None and number.is_integer() for number in numbers) else "numbers"
    return Column(name, kind, len(set(values)), len(cells) - len(values), len(cells))

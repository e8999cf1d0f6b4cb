"""The raw cells of a table as rows of numbers, by the columns that an artifact knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.tables.cells import as_values, encode_cells
from searchlab.tables.columns import Column
from searchlab.tables.dates import format_day
from searchlab.tables.raw_table import RawTable, series_values
from searchlab.tables.wrong_cells import WrongCells
from searchlab.wording import count

MAX_LISTED = 10  # columns that an error message names


def encode_table(
    columns: Sequence[Column], x: Any, dtype: Any, left_out: Collection[str] = ()
) -> tuple[Array, dict[str, int]]:
    """Return raw cells as rows (B, C), NaN where a cell is empty, and how many words of each column are not known.

    Args:
        columns: The columns that the network was trained on.
        x: A table in a file, a pandas frame or a mapping of names to cells, in any order; or rows of cells (B, C) in
            their order.
        dtype: Type of the numbers.
        left_out: Further columns that the table may have, as it had them in training.

    Raises:
        UserMistake: When columns are missing or unknown, or cells are not what their column holds.
    """
    cells = columns_of([column.name for column in columns], x, left_out)
    rows, unknown, problems = np.empty((len(cells[0]), len(columns)), dtype), dict[str, int](), []
    for index, (column, values) in enumerate(zip(columns, cells, strict=True)):
        try:
            numbers, new = encode_cells(column, values)
        except WrongCells as wrong:
            more = f" (and {count(len(wrong.rows) - 1, 'more cell')})" if len(wrong.rows) > 1 else ""
            problems.append(
                f"{place_of(x, wrong.rows[0])}, column {column.name!r}: {wrong.cell!r} is not {wrong.expected}{more}"
            )
            continue
        with np.errstate(under="ignore", over="ignore"):
            rows[:, index] = numbers
        unknown |= {column.name: new} if new else {}
    if problems:
        raise UserMistake(f"{'; '.join(problems[:MAX_LISTED])}.")
    return rows, unknown


def typical_row(columns: Sequence[Column], fill: Array) -> list[Any]:
    """Return the raw cells of a row with what fills empty cells (C,): medians and most frequent words."""
    return [_cell(column, float(value)) for column, value in zip(columns, fill, strict=True)]


def _cell(column: Column, value: float) -> Any:
    if column.kind == "word":
        return (*column.words, "(other)")[int(value)]
    if column.kind == "date":
        return format_day(value, column.date_format)
    return bool(value) if column.kind == "boolean" else value


def columns_of(names: Sequence[str], x: Any, left_out: Collection[str] = ()) -> list[Array]:
    """Return the cells of each column, as `as_values` returns them; a file may have any further columns."""
    if isinstance(x, RawTable):
        return [x[name] for name in names]
    if hasattr(x, "columns") and hasattr(x, "iloc"):
        given = [str(name) for name in x.columns]
        require_columns(names, given, left_out)
        places = {name: place for place, name in enumerate(given)}
        return [series_values(x.iloc[:, places[name]]) for name in names]
    if isinstance(x, Mapping):
        require_columns(names, list(x), left_out)
        return [as_values(x[name]) for name in names]
    try:
        rows = np.array(x, dtype=object)
    except ValueError as error:
        raise UserMistake(f"the inputs are not rows of cells ({error}).") from error
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise UserMistake(
            f"the network takes rows of {count(len(names), 'cell')}: {listed(names)}; got shape {rows.shape}."
        )
    return [as_values(rows[:, index]) for index in range(len(names))]


def place_of(x: Any, row: int) -> str:
    """Return where a row is, for messages."""
    return f"{x.source} {x.place(row)}" if isinstance(x, RawTable) else f"row {row}"


def require_columns(names: Sequence[str], given: Sequence[str], left_out: Collection[str] = ()) -> None:
    """Raise UserMistake where a table with the given columns lacks one of the names, or has others."""
    known, present = {*names, *left_out}, {*given}
    missing, surplus = [n for n in names if n not in present], [n for n in given if n not in known]
    problems = [f"lacks {listed(missing)}"] if missing else []
    problems += [f"has {listed(surplus)}, which the network was not trained on"] if surplus else []
    if problems:
        raise UserMistake(f"the table {' and '.join(problems)}; it takes {listed(names)}.")


def listed(names: Sequence[str]) -> str:
    """Return the names in quotation marks; of many, the first ones."""
    shown = ", ".join(map(repr, names[:MAX_LISTED]))
    return shown if len(names) <= MAX_LISTED else f"{shown} and {len(names) - MAX_LISTED} more"

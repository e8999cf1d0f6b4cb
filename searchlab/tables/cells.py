"""The cells of a column as numbers: of training and of new rows alike, by NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.tables.cell_text import MISSING, parse_number
from searchlab.tables.columns import Column
from searchlab.tables.dates import days_of
from searchlab.tables.wrong_cells import WrongCells

BOOLEANS: Mapping[str, float] = {"true": 1.0, "false": 0.0}


def as_values(values: Any) -> Array:
    """Return the cells of a column (N,) as an array of numbers, booleans, times or objects.

    Texts are stripped, and None stands for every empty cell among objects.
    """
    array = np.asarray(values)
    if array.dtype.kind in "biufM":
        return array
    return np.array([_cell(cell) for cell in array.reshape(len(array)).tolist()] + [None], dtype=object)[:-1]


def _cell(cell: object) -> object:
    if isinstance(cell, str):
        cell = cell.strip()
        return None if cell in MISSING else cell
    if cell is None or cell != cell or type(cell).__name__ in ("NAType", "NaTType"):  # NaN differs from itself
        return None
    return cell


def is_missing(values: Array) -> Array:
    """Return which cells (N,) of a column are empty."""
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "O":
        return np.array([cell is None for cell in values.tolist()], dtype=bool)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def word_of(cell: object) -> str:
    """Return a cell as a word: a whole number may be written as 1.0."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def words_of(values: Array) -> list[str | None]:
    """Return the cells of a column as words, None where they are empty."""
    if values.dtype.kind == "M":
        return [None if cell is None else str(cell) for cell in values.astype("datetime64[s]").tolist()]
    return [None if cell is None or cell != cell else word_of(cell) for cell in values.tolist()]


def encode_cells(column: Column, values: Array) -> tuple[Array, int]:
    """Return the cells of a column as numbers (N,), NaN where empty, and how many words have no input of their own.

    Args:
        column: The column.
        values: Its cells, as `as_values` returns them.

    Raises:
        WrongCells: When cells are not what the column holds.
    """
    if column.kind == "word":
        codes = {word: code for code, word in enumerate(column.words)}
        numbers = np.array([math.nan if w is None else codes.get(w, column.other) for w in words_of(values)])
        return numbers.astype(np.float64), int((numbers == column.other).sum())
    if column.kind == "date":
        return days_of(values, column.date_format), 0
    return numbers_of(values), 0


def numbers_of(values: Array) -> Array:
    """Return cells as finite numbers (N,) of float64, NaN where they are empty; raise WrongCells for others."""
    if values.dtype.kind == "M":
        raise WrongCells([0], values[0], "a number")
    if values.dtype.kind != "O":
        numbers = values.astype(np.float64)
        wrong = np.isinf(numbers)
        if wrong.any():
            raise WrongCells(np.flatnonzero(wrong).tolist(), float(numbers[wrong][0]), "a number")
        return numbers
    parsed = [math.nan if cell is None else number_of(cell) for cell in values.tolist()]
    rows = [row for row, number in enumerate(parsed) if number is None]
    if rows:
        raise WrongCells(rows, values[rows[0]], "a number")
    return np.array(parsed, dtype=np.float64)


def number_of(cell: object) -> float | None:
    """Return the finite number that a cell holds, with booleans as 0 and 1; None where it holds none."""
    if isinstance(cell, str):
        return BOOLEANS[cell.lower()] if cell.lower() in BOOLEANS else parse_number(cell)
    if isinstance(cell, (date, datetime)):
        return None
    try:
        number = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None

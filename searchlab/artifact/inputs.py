"""The inputs of an artifact of rows: arrays, or a pandas frame whose columns are found by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from searchlab.artifact.table_inputs import columns_of, listed, place_of, require_columns
from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.tables.cells import numbers_of
from searchlab.tables.raw_table import RawTable
from searchlab.tables.wrong_cells import WrongCells
from searchlab.wording import count


def as_rows_of(manifest: Mapping[str, Any], x: Any, dtype: Any) -> Array:
    """Return the inputs as rows (B, features) of a new array, as the artifact of this manifest takes them.

    Args:
        manifest: The manifest; `inputs.features` has the names of the columns, where they have any.
        x: Inputs (B, features), images (B, height, width) or (B, height, width, channels), or a pandas frame or a file
            with the columns of the training data in any order.
        dtype: Type of the numbers.

    Raises:
        UserMistake: When columns are missing or unknown, the width is another one, or an input is not a finite number.
    """
    width, names = int(manifest["model"]["sizes"][0]), feature_names(manifest)
    if hasattr(x, "columns") and hasattr(x, "to_numpy"):
        x = select_columns(x, names).to_numpy() if names else x.to_numpy()
    table, x = x, _numbers(x, names) if isinstance(x, RawTable) else x
    try:
        rows: Array = np.array(x, dtype=dtype)  # a copy
    except (TypeError, ValueError) as error:
        raise UserMistake(f"the inputs are not an array of numbers ({error}).") from error
    if rows.ndim in (3, 4) and np.prod(rows.shape[1:]) == width:
        rows = rows.reshape(len(rows), -1)
    if rows.ndim != 2 or rows.shape[1] != width:
        columns = f": {listed(names)}" if names else ""
        raise UserMistake(f"the network takes rows of {count(width, 'number')}{columns}; got shape {rows.shape}.")
    is_finite = np.isfinite(rows).all(axis=1)
    if not is_finite.all():
        row = int(is_finite.argmin())
        column = int(np.isfinite(rows[row]).argmin())
        place = f"column {names[column]!r}" if names else f"column {column}"
        raise UserMistake(
            f"{place_of(table, row)}, {place} of the inputs is {rows[row, column]}, and a network takes numbers."
        )
    return rows


def _numbers(table: RawTable, names: Sequence[str]) -> Array:
    """Return columns of a file as numbers (B, features), all of them where they have no names."""
    columns = []
    for name, values in zip(names or table.columns, columns_of(names or list(table.columns), table), strict=True):
        try:
            numbers = numbers_of(values)
        except WrongCells as wrong:
            place = place_of(table, wrong.rows[0])
            raise UserMistake(f"{place}, column {name!r}: {wrong.cell!r} is not a number.") from wrong
        is_empty = np.isnan(numbers)
        if is_empty.any():
            raise UserMistake(f"{place_of(table, int(is_empty.argmax()))}, column {name!r}: the cell is empty.")
        columns.append(numbers)
    return np.stack(columns, axis=1)


def feature_names(manifest: Mapping[str, Any]) -> list[str]:
    """Return the names of the input columns in their order; none where they have no names."""
    return list((manifest.get("inputs") or {}).get("features") or ())


def select_columns(frame: Any, names: Sequence[str]) -> Any:
    """Return the columns of a pandas frame in this order; raise UserMistake where one is missing or unknown."""
    given = [str(name) for name in frame.columns]
    require_columns(names, given)
    return frame[[frame.columns[given.index(name)] for name in names]]

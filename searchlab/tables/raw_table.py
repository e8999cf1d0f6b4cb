"""The cells of a table by column, as a file or a pandas frame has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.tables.cell_text import listed
from searchlab.tables.cells import as_values, is_missing
from searchlab.wording import count


@dataclass(frozen=True)
class RawTable:
    """A table before anything is known of its columns.

    Args:
        source: The file, or "the frame", for messages.
        columns: The cells of each column (N,), as `as_values` returns them.
        place: Function that names a row for messages, by its number from 0, such as "line 3".
        notes: What was recognized of the file, each a sentence.
    """

    source: str
    columns: Mapping[str, Array]
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise UserMistake(f"{self.source} has no column {name!r}; its columns are {listed([*self.columns])}.")
        return self.columns[name]

    def without_missing(self, names: Sequence[str]) -> RawTable:
        """Return the rows that have a cell in each of these columns; raise UserMistake where there are none."""
        missing = np.any([is_missing(self[name]) for name in names], axis=0)
        if not missing.any():
            return self
        rows = np.flatnonzero(~missing)
        if not len(rows):
            raise UserMistake(f"{self.source} has no row with a cell in {listed(names)}.")
        kept = {name: values[rows] for name, values in self.columns.items()}
        left_out = count(int(missing.sum()), "row")
        notes = (*self.notes, f"{left_out} without {listed(names)} left out")
        return replace(self, columns=kept, place=lambda row: self.place(int(rows[row])), notes=notes)


def frame_table(names: Sequence[str], columns: Sequence[Array]) -> RawTable:
    """Return the table of the columns of a pandas frame."""
    return RawTable("the frame", dict(zip(names, columns, strict=True)), lambda row: f"row {row}")


def frame_columns(frame: Any) -> tuple[list[str], list[Array]]:
    """Return the names and the cells of the columns of a pandas frame.

    Raises:
        UserMistake: When two columns have one name.
    """
    names = [str(name) for name in frame.columns]
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise UserMistake(f"the frame has more than one column named {double[0]!r}.")
    return names, [series_values(frame.iloc[:, index]) for index in range(len(names))]


def series_values(series: Any) -> Array:
    """Return the cells of a column of a pandas frame, of any of its types, as `as_values` returns them."""
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype) and kind in "iufb":
        return as_values(series.to_numpy())
    if kind == "M":
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return as_values(series.to_numpy(dtype="datetime64[us]"))
    if kind in "iuf" and series.isna().any():  # pandas has whole numbers with empty cells
        return as_values(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind in "iufb" and not series.isna().any():
        return as_values(series.to_numpy(dtype=np.dtype(f"{kind}{getattr(series.dtype, 'itemsize', 8)}")))
    return as_values(series.to_numpy(dtype=object))

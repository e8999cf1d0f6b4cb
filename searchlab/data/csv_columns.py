"""A CSV file with a header, as columns of numbers or strings; error messages name the line and the column."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake, WorldFault

DELIMITERS = {".csv": ",", ".tsv": "\t"}  # by the ending of a file's name
MAX_LISTED = 30  # columns that an error message names
MISSING = frozenset({"", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "null", "NULL"})  # cells without a value
NAMELESS = re.compile(r"|Unnamed: \d+")  # the header of an index that pandas has written, or read and written again


@dataclass(frozen=True)
class CsvColumns:
    """The cells of a CSV file, row by row, under its header.

    Args:
        path: The file, for error messages.
        header: The column names.
        lines: The line of the file, from 1, that each row ends on.
        cells: The cells of each row, without surrounding blanks.
    """

    path: Path
    header: tuple[str, ...]
    lines: tuple[int, ...]
    cells: tuple[list[str], ...]

    @classmethod
    def read(cls, path: Path, delimiter: str) -> CsvColumns:
        """Return the whole file, without blank lines. Several columns may have no name.

        Raises:
            UserMistake: When there are no rows, two columns have one name, or a row has more or fewer cells than
                the header.
            WorldFault: When the file cannot be read as CSV in UTF-8.
        """
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file, delimiter=delimiter, strict=True)
                rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise WorldFault(f"{path} cannot be read as CSV ({error}).") from error
        if len(rows) < 2:
            raise UserMistake(f"{path} has no rows under a header.")
        header = tuple(rows[0][1])
        duplicates = sorted(name for name, count in Counter(header).items() if count > 1 and name)
        if duplicates:
            raise UserMistake(f"{path} has more than one column named {duplicates[0]!r}.")
        for line, row in rows[1:]:
            if len(row) != len(header):
                raise UserMistake(f"{path} line {line} has {len(row)} cells, and the header has {len(header)}.")
        lines, cells = zip(*rows[1:], strict=True)
        return cls(path, header, lines, cells)

    @cached_property
    def _indices(self) -> dict[str, int]:
        """The index of each column by its name."""
        return {name: index for index, name in enumerate(self.header)}

    def index_of(self, name: str) -> int:
        """Return the index of this column; raise UserMistake with the names of all columns if there is none."""
        if name not in self._indices:
            raise UserMistake(f"{self.path} has no column {name!r}; its columns are {_listed(self.header)}.")
        return self._indices[name]

    def nameless(self) -> list[str]:
        """Return the names of the columns that have none: "", or what pandas makes of it."""
        return [name for name in self._indices if NAMELESS.fullmatch(name)]

    def strings(self, name: str) -> list[str]:
        """Return the cells of a column; raise UserMistake for a missing one."""
        column = self.index_of(name)
        strings = [row[column] for row in self.cells]
        for row, cell in enumerate(strings):
            if cell in MISSING:
                self._raise_for_cell(row, name)
        return strings

    def numbers(self, names: Sequence[str]) -> Array:
        """Return these columns as float64 (N, len(names)); raise UserMistake for a cell that is not a finite number."""
        columns = [self.index_of(name) for name in names]
        numbers = np.empty((len(self.cells), len(columns)))
        for row, cells in enumerate(self.cells):
            for output, column in enumerate(columns):
                number = parse_number(cells[column])
                if number is None:
                    self._raise_for_cell(row, names[output])
                numbers[row, output] = number
        return numbers

    def _raise_for_cell(self, row: int, name: str) -> NoReturn:
        cell = self.cells[row][self.index_of(name)]
        problem = f"{cell!r} is not a number"
        if cell in MISSING:
            problem = f"{cell!r} stands for a missing value" if cell else "the cell is empty"
        raise UserMistake(f"{self.path} line {self.lines[row]}, column {name!r}: {problem}.")


def parse_number(cell: str) -> float | None:
    """Return the finite number that the cell holds, or None."""
    try:
        number = float(cell)
    except ValueError:
        return None
    if "_" in cell:  # Python reads 1_000 as a number
        return None
    return number if math.isfinite(number) else None


def _listed(names: Sequence[str]) -> str:
    """Return the names, separated by commas; of many, the first ones."""
    shown = ", ".join(names[:MAX_LISTED])
    return shown if len(names) <= MAX_LISTED else f"{shown}, and {len(names) - MAX_LISTED:,} more"

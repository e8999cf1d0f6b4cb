"""A headed csv file as columns of numbers or words; what is wrong is named by line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake, WorldFault


@dataclass(frozen=True)
class Columns:
    """The cells of a file, row by row, under their header; `lines` says on which line of the file each row ends."""

    path: Path
    header: tuple[str, ...]
    lines: tuple[int, ...]
    cells: tuple[list[str], ...]

    @classmethod
    def read(cls, path: Path, delimiter: str) -> Columns:
        """All of the file; blank lines do not count."""
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file, delimiter=delimiter, strict=True)
                rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise WorldFault(f"{path} cannot be read as csv ({error}).") from error
        if len(rows) < 2:
            raise UserMistake(f"{path} holds no rows under a header.")
        header = tuple(rows[0][1])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise UserMistake(f"{path} has more than one column named {twice[0]!r}.")
        for line, row in rows[1:]:
            if len(row) != len(header):
                raise UserMistake(f"{path} line {line} has {len(row)} cells, and the header has {len(header)}.")
        lines, cells = zip(*rows[1:], strict=True)
        return cls(path, header, lines, cells)

    def place(self, name: str) -> int:
        """Where this column is; raises UserMistake with those there are."""
        if name not in self.header:
            raise UserMistake(f"{self.path} has no column {name!r}; its columns are {', '.join(self.header)}.")
        return self.header.index(name)

    def words(self, name: str) -> list[str]:
        """The cells of a column; raises UserMistake for an empty one."""
        at = self.place(name)
        words = [row[at] for row in self.cells]
        if not all(words):
            self._refuse(words.index(""), name)
        return words

    def numbers(self, names: Sequence[str]) -> Array:
        """These columns as float64 (N, len(names)); raises UserMistake for a cell that is not a finite number."""
        places = [self.place(name) for name in names]
        numbers = np.empty((len(self.cells), len(places)))
        for row, cells in enumerate(self.cells):
            for column, at in enumerate(places):
                number = as_number(cells[at])
                if number is None:
                    self._refuse(row, names[column])
                numbers[row, column] = number
        return numbers

    def _refuse(self, row: int, name: str) -> None:
        cell = self.cells[row][self.place(name)]
        what = f"{cell!r} is not a number" if cell else "the cell is empty"
        raise UserMistake(f"{self.path} line {self.lines[row]}, column {name!r}: {what}.")


def as_number(cell: str) -> float | None:
    """The finite number that is written there, or None."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

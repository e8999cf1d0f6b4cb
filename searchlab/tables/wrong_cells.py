"""Cells that are not what their column holds."""

from __future__ import annotations


class WrongCells(ValueError):
    """Cells that are not what their column holds.

    Attributes:
        rows: Their row numbers, from 0.
        cell: The first of them.
        expected: What a cell would have to be, such as "a number".
    """

    def __init__(self, rows: list[int], cell: object, expected: str) -> None:
        super().__init__(f"{cell!r} in row {rows[0]} is not {expected}")
        self.rows, self.cell, self.expected = rows, cell, expected

"""How the numbers of a text file are written: decimal commas and thousands separators, recognized column by column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.tables.cell_text import parse_number

SPACES = " \u00a0\u2009\u202f"  # also those of typography, which do not break
APOSTROPHES = "'\u2019"
SAMPLE = 1000  # cells of a column by which one of words is told from one of numbers


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Args:
        decimal: The decimal separator, "." or ",".
        thousands: The characters of which one stands between groups of three digits; "" for none.

    Example:
        >>> from searchlab.tables.number_format import NumberFormat
        >>> NumberFormat(",", ".").parse("1.234.567,5")
        1234567.5
    """

    decimal: str
    thousands: str

    def __post_init__(self) -> None:
        fraction, group = re.escape(self.decimal), f"[{re.escape(self.thousands)}]"
        whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d*)" if self.thousands else r"\d*"
        pattern = re.compile(rf"[+-]?(?=[\d{fraction}]){whole}(?:{fraction}\d*)?(?:[eE][+-]?\d+)?")
        object.__setattr__(self, "_pattern", pattern)
        object.__setattr__(self, "_table", {ord(c): None for c in self.thousands} | {ord(self.decimal): "."})

    def parse(self, cell: str) -> float | None:
        """Return the finite number that a cell holds, or None."""
        pattern: re.Pattern[str] = vars(self)["_pattern"]
        return parse_number(cell.translate(vars(self)["_table"])) if pattern.fullmatch(cell) else None


FORMATS = (
    NumberFormat(".", ","),
    NumberFormat(".", SPACES),
    NumberFormat(".", APOSTROPHES),
    NumberFormat(",", "."),
    NumberFormat(",", SPACES),
)
WITHOUT_THOUSANDS = (NumberFormat(".", ""), NumberFormat(",", ""))


def possible_formats(decimal: str | None, thousands: str | None, delimiter: str) -> tuple[NumberFormat, ...]:
    """Return how the numbers of a file may be written, the likeliest first.

    A comma before three digits may be either separator, as in "1,234". Where nothing says more, it is a thousands
    separator in a file whose cells are separated by commas, and a decimal comma in any other.

    Args:
        decimal: The decimal separator; None where it is not known.
        thousands: The thousands separator, "" for none; None where it is not known.
        delimiter: The character between two cells.
    """
    known = WITHOUT_THOUSANDS if thousands == "" else FORMATS
    found = [each for each in known if decimal in (None, each.decimal) and (thousands or "") in each.thousands]
    return tuple(sorted(found, key=lambda each: (each.decimal == ",") == (delimiter == ",")))


def recognize_number_format(cells: Sequence[str], formats: Sequence[NumberFormat]) -> NumberFormat | None:
    """Return in which of these formats most cells of a column are numbers; None where they are words or plain numbers.

    Args:
        cells: The cells that are not empty.
        formats: The formats, of which the first one counts where several read as many cells.
    """
    sample = cells[:: max(1, len(cells) // SAMPLE)]
    counts = {each: _count(each, cells) for each in formats if _count(each, sample) > len(sample) / 2}
    best = max(counts.values(), default=0)
    may_be_plain = any(each.decimal == "." for each in formats)
    if best <= len(cells) / 2 or (may_be_plain and sum(parse_number(cell) is not None for cell in cells) >= best):
        return None
    return next(each for each, count in counts.items() if count == best)


def parse_cells(values: Array, written: NumberFormat) -> Array:
    """Return texts (N,) as numbers, NaN where empty; where a cell is no number, all as texts with decimal points."""
    numbers = [math.nan if cell is None else written.parse(cell) for cell in values.tolist()]
    if None not in numbers:
        return np.array(numbers, dtype=np.float64)
    cells = [cell if number is None else repr(number) for cell, number in zip(values.tolist(), numbers, strict=True)]
    cells = [None if value is None else cell for cell, value in zip(cells, values.tolist(), strict=True)]
    return np.array([*cells, None], dtype=object)[:-1]


def _count(written: NumberFormat, cells: Sequence[str]) -> int:
    return sum(written.parse(cell) is not None for cell in cells)

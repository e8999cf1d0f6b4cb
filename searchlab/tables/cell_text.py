"""What the cells of a text file stand for: numbers, and marks of missing values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

MAX_LISTED = 30  # columns that an error message names
MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "?"}
)  # cells without a value; the files of the UCI repository and of OpenML write "?"
NAMELESS = re.compile(r"|Unnamed: \d+")  # the header of an index that pandas has written, or read and written again


def parse_number(cell: str) -> float | None:
    """Return the finite number that the cell holds, or None."""
    try:
        number = float(cell)
    except ValueError:
        return None
    if "_" in cell:  # Python reads 1_000 as a number
        return None
    return number if math.isfinite(number) else None


def listed(names: Sequence[str]) -> str:
    """Return the names, separated by commas; of many, the first ones."""
    shown = ", ".join(names[:MAX_LISTED])
    return shown if len(names) <= MAX_LISTED else f"{shown}, and {len(names) - MAX_LISTED:,} more"

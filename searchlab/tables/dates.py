"""Dates as days since 1970-01-01, by NumPy alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta

import numpy as np

from searchlab.backend import Array
from searchlab.tables.wrong_cells import WrongCells

SECONDS = 86_400.0  # of a day
ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
FORMATS = (  # recognized besides ISO 8601; of day and month, the day first where both orders are possible
    "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y",
    "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
DAY_FIRST = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y", "%d/%m/%y": "%m/%d/%y"}  # and the month first
EPOCH = datetime(1970, 1, 1)
SAMPLE = 200  # distinct cells that decide which formats are tried on all


def days_of(values: Array, date_format: str | None) -> Array:
    """Return cells as days since 1970-01-01 (N,), with fractions for times of day, NaN where they are empty.

    Args:
        values: Cells: texts, dates of Python or NumPy's times, None where empty.
        date_format: Format of texts; None for ISO 8601.

    Raises:
        WrongCells: When a cell is no such date.
    """
    if values.dtype.kind == "M":
        seconds = values.astype("datetime64[us]")
        days = seconds.astype(np.int64) / (SECONDS * 1e6)
        return np.where(np.isnat(seconds), math.nan, days)
    if values.dtype.kind != "O":  # numbers: an empty column alone
        wrong = np.flatnonzero(values == values).tolist()
        if wrong:
            raise WrongCells(wrong, values[wrong[0]], "a date")
        return values.astype(np.float64)
    cells = values.tolist()
    found = {cell: math.nan if cell is None else day_of(cell, date_format) for cell in set(cells)}
    wrong = [row for row, cell in enumerate(cells) if found[cell] is None]
    if wrong:
        raise WrongCells(wrong, cells[wrong[0]], f"a date like {example(date_format)}")
    return np.array([found[cell] for cell in cells], dtype=np.float64)


def day_of(cell: object, date_format: str | None) -> float | None:
    """Return a date as days since 1970-01-01, in UTC where it has a time zone; None where it is none."""
    if isinstance(cell, str):
        try:
            if date_format is not None:
                cell = datetime.strptime(cell, date_format)
            elif ISO.fullmatch(cell):
                cell = datetime.fromisoformat(cell)
        except ValueError:
            return None
    if isinstance(cell, datetime):
        offset = cell.utcoffset()
        since = cell.replace(tzinfo=None) - (offset or EPOCH - EPOCH) - EPOCH
        return since.total_seconds() / SECONDS
    return float((cell - EPOCH.date()).days) if isinstance(cell, date) else None


def recognize_format(cells: Iterable[str]) -> tuple[str | None, str | None] | None:
    """Return the format of texts that are all dates and another one that reads them too; None where they are none.

    The first is None for ISO 8601; the second is None where the order of day and month is certain.
    """
    texts = list(dict.fromkeys(cells))
    if not texts or not any(character.isdigit() for character in texts[0]):
        return None
    if _all_dates(texts, None):
        return None, None
    for date_format in FORMATS:
        for time in TIMES:
            if _all_dates(texts, date_format + time):
                other = DAY_FIRST.get(date_format)
                is_open = other is not None and _all_dates(texts, other + time)
                return date_format + time, other + time if is_open and other else None
    return None


def _all_dates(texts: list[str], date_format: str | None) -> bool:
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    return all(day_of(text, date_format) is not None for part in (sample, texts) for text in part)


def format_day(days: float, date_format: str | None) -> str:
    """Return a day as text in this format; None for ISO 8601."""
    return (EPOCH + timedelta(days=math.floor(days))).strftime(date_format or "%Y-%m-%d")


def example(date_format: str | None) -> str:
    """Return the last day of 2024 in this format."""
    return datetime(2024, 12, 31).strftime(date_format or "%Y-%m-%d")

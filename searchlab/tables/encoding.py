"""Rows of a table as inputs of a network, with medians, frequent words, means and scales of each replica's rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.backend import Array, Device, select_rows, to_device, to_host, xp_of
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.scaling import Scaling
from searchlab.tables.columns import CYCLES, Layout

MONTHS_FROM_MARCH = 153  # days of five months, of which the calendar repeats the lengths


class TableEncoding(InputEncoding):
    """How each of R replicas sees the rows of a table.

    An empty cell is filled, a word becomes a 1 among zeros, a date its days and the cycles of weekday and month.
    Numbers are standardized where that is asked for; words and flags stay 0 and 1.

    Args:
        layout: Which columns become which inputs.
        fill: What an empty cell of each column is filled with, (R, C): a median, a most frequent code or value.
        known: Which words have an input of their own for each replica, (R, inputs of words); a word that is rare among
            its training rows shares that of the pooled word.
        scaling: Mean and scale (R, numbers) of the filled numbers; default None leaves them as they are.

    Example:
        >>> import numpy as np
        >>> from searchlab.tables.columns import Column, Layout
        >>> from searchlab.tables.encoding import TableEncoding
        >>> layout = Layout([Column("age", "number", has_flag=True), Column("city", "word", ("Oslo", "Rome"))])
        >>> encoding = TableEncoding(layout, np.array([[40.0, 0.0]]), np.array([[True, True, True]]))
        >>> rows = np.array([[[25.0, 1.0], [np.nan, 2.0]]])  # Rome, and a word that is neither
        >>> encoding.standardize(rows).tolist()  # age, Oslo, Rome, other, age is empty
        [[[25.0, 0.0, 1.0, 0.0, 0.0], [40.0, 0.0, 0.0, 1.0, 1.0]]]
    """

    def __init__(self, layout: Layout, fill: Array, known: Array, scaling: Scaling | None = None) -> None:
        self.layout, self.fill, self.known, self.scaling = layout, fill, known, scaling

    @property
    def dtype(self) -> Any:
        """The type of the rows that `standardize` takes, float32 or float64."""
        dtype: Any = self.fill.dtype
        return dtype

    def standardize(self, values: Array) -> Array:
        """Return the inputs (R, B, inputs) of a network, as float32.

        Args:
            values: Rows of the table (R, B, C), NaN where a cell is empty.
        """
        xp, layout = xp_of(values), self.layout
        is_empty = xp.isnan(values)
        filled = xp.where(is_empty, self.fill[:, None], values)
        inputs: Array = xp.zeros((*values.shape[:2], layout.width), dtype=np.float32)
        numbers = filled.take(layout.numbers, axis=2)
        count = numbers.shape[2]
        inputs[:, :, :count] = self.scaling.standardize(numbers) if self.scaling else numbers
        if len(layout.dates):
            inputs[:, :, count : layout.first_word] = _cycles(filled.take(layout.dates, axis=2))
        if len(layout.words):
            self._mark_words(inputs, filled.take(layout.words, axis=2))
        if len(layout.flags):
            inputs[:, :, layout.first_word + layout.word_inputs :] = is_empty.take(layout.flags, axis=2)
        return inputs

    def to(self, device: Device) -> TableEncoding:
        """Return the same encoding on the device."""
        scaling = self.scaling and self.scaling.to(device)
        layout = Layout(self.layout.columns, device)
        return TableEncoding(layout, to_device(self.fill, device), to_device(self.known, device), scaling)

    def to_host(self) -> TableEncoding:
        """Return the same encoding on the host."""
        scaling = self.scaling and self.scaling.to_host()
        return TableEncoding(Layout(self.layout.columns), to_host(self.fill), to_host(self.known), scaling)

    def _select_own(self, rows: Array) -> None:
        if len(self.fill) > 1:
            self.fill, self.known = select_rows(self.fill, rows), select_rows(self.known, rows)

    def _mark_words(self, inputs: Array, codes: Array) -> None:
        """Set the input of each word to 1: codes (R, B, columns of words)."""
        xp, layout = xp_of(codes), self.layout
        places = codes.astype(np.int64) + layout.word_starts  # (R, B, columns of words)
        replica = xp.arange(len(places))[:, None, None]
        known = self.known[replica if len(self.known) > 1 else 0, places]
        places = xp.where(known, places, layout.word_others) + layout.first_word
        inputs[replica, xp.arange(places.shape[1])[None, :, None], places] = 1.0


def _cycles(days: Array) -> Array:
    """Return sine and cosine of weekday and month (R, B, 4 dates) of days since 1970-01-01, (R, B, dates)."""
    xp = xp_of(days)
    whole = xp.floor(days.astype(np.float64)).astype(np.int64)
    weekday = (whole + 3) % 7  # 0 is Monday: 1970-01-01 was a Thursday
    angles = (2 * np.pi / 7 * weekday, 2 * np.pi / 12 * month_of(whole))
    parts = [part for angle in angles for part in (xp.sin(angle), xp.cos(angle))]
    cycles: Array = xp.stack(parts, axis=-1).reshape(*days.shape[:2], len(CYCLES) * days.shape[2])
    return cycles


def month_of(days: Array) -> Array:
    """Return the month, 0 for January, of days since 1970-01-01 in the Gregorian calendar.

    The year is counted from March, so that its leap day is the last one: Richards (2013), Calendars, in Explanatory
    Supplement to the Astronomical Almanac, 3rd edition, section 15.11.
    """
    day_of_era = (days + 719_468) % 146_097  # since a year divisible by 400, from March 1
    century_days = day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    year = century_days // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month: Array = ((5 * day_of_year + 2) // MONTHS_FROM_MARCH + 2) % 12
    return month

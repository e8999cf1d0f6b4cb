"""Dates in many notations, which a network has to translate into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from searchlab.data.pair_tables import PairFormat, TextPair, split_pairs
from searchlab.data.sequence_pairs import SequencePairs
from searchlab.errors import UserMistake

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2017, 12, 31)  # a year of two digits names one of them
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _long(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def _short(day: date) -> str:
    return f"{MONTHS[day.month - 1][:3]} {day.day}, {day.year}"


def _with_weekday(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()]}, {_long(day)}"


def _american(day: date) -> str:
    return f"{day.month}/{day.day}/{day.year % 100:02}"


NOTATIONS: tuple[Callable[[date], str], ...] = (_long, _short, _with_weekday, _american)
CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper)


@dataclass(frozen=True)
class Dates:
    """Dates of the years 1970 to 2017 as people write them, and the same as YYYY-MM-DD, character by character.

    A source is, each equally often, "September 27, 1994", "Sep 27, 1994", "Tuesday, September 27, 1994" or "9/27/94",
    the first three also in lower and in upper case. Each source occurs once.

    Args:
        rows: Number of dates; default 50,000.
        seed: Seed of the dates and of the draw of test rows, default 0.
        test_size: Share of the dates in the test part, between 0 and 1; default 0.1.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        Deep Learning from Scratch 2, section 8.3, whose file has these notations.

    Example:
        >>> from searchlab import Dates
        >>> training = Dates(rows=1000).training()
        >>> training.source_text(3), training.target_text(3)
        ('SATURDAY, MARCH 5, 1994', '1994-03-05')
    """

    rows: int = 50_000
    seed: int = 0
    test_size: float = 0.1

    def __post_init__(self) -> None:
        most = (LAST_DAY - FIRST_DAY).days * len(NOTATIONS)
        if not 10 <= self.rows <= most:
            raise UserMistake(f"Dates(rows=...) is from 10 to {most:,}, got {self.rows!r}.")
        if not 0.0 < self.test_size < 1.0:
            raise UserMistake(f"test_size is the share of the test part, between 0 and 1; got {self.test_size!r}.")

    def training(self) -> SequencePairs:
        """Return the training part."""
        return self._load(is_test=False)

    def testing(self) -> SequencePairs:
        """Return the test part."""
        return self._load(is_test=True)

    def _load(self, *, is_test: bool) -> SequencePairs:
        return split_pairs(self._pairs(), PairFormat(), test_size=self.test_size, seed=self.seed, is_test=is_test)

    def _pairs(self) -> list[TextPair]:
        generator, days = np.random.default_rng(self.seed), (LAST_DAY - FIRST_DAY).days + 1
        pairs: dict[str, str] = {}
        while len(pairs) < self.rows:
            drawn = generator.integers([days, len(NOTATIONS), len(CASES)], size=(2 * self.rows, 3))
            for offset, notation, case in drawn.tolist():
                day = FIRST_DAY + timedelta(days=offset)
                pairs.setdefault(CASES[case](NOTATIONS[notation](day)), day.isoformat())
        return list(pairs.items())[: self.rows]

"""The plan of a table: what kind of cells each column has, and which inputs of a network they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from searchlab.backend import Array, Device, to_device

Kind = Literal["number", "boolean", "date", "word"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CYCLES = ("weekday sine", "weekday cosine", "month sine", "month cosine")  # of a date, after its days


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: Its name.
        kind: What its cells are.
        words: The words that have an input each, the most frequent first; all others share one. Default ().
        has_flag: Whether an input says which cells are empty; default False.
        date_format: Format of the dates, as for `datetime.strptime`; default None, ISO 8601.
    """

    name: str
    kind: Kind
    words: tuple[str, ...] = ()
    has_flag: bool = False
    date_format: str | None = None

    @property
    def other(self) -> int:
        """The code of a word without an input of its own."""
        return len(self.words)

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON values."""
        described: dict[str, Any] = {"name": self.name, "kind": self.kind}
        described |= {"words": list(self.words)} if self.kind == "word" else {}
        described |= {"date_format": self.date_format} if self.kind == "date" else {}
        return described | {"has_flag": self.has_flag}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Column:
        """Return the column that these values describe; raise ValueError where its kind is unknown."""
        if described["kind"] not in KINDS:
            raise ValueError(f"a column is of a kind in {KINDS}, not {described['kind']!r}")
        words = tuple(str(word) for word in described.get("words", ()))
        return cls(
            str(described["name"]), described["kind"], words, bool(described["has_flag"]), described.get("date_format")
        )


class Layout:
    """Which columns of a table become which inputs of a network.

    The inputs are, in this order: the numbers, with booleans and days; four cycles of each date; the words of each
    column and its pooled word; the flags of empty cells.

    Args:
        columns: The columns of the table.
        device: Where the indices are; default "cpu".
    """

    def __init__(self, columns: Sequence[Column], device: Device = "cpu") -> None:
        self.columns = tuple(columns)
        words = [index for index, column in enumerate(columns) if column.kind == "word"]
        sizes = np.array([columns[index].other + 1 for index in words], dtype=np.int64)
        ends = np.cumsum(sizes)

        def indices(values: Any) -> Array:
            return to_device(np.array(values, dtype=np.int64), device)

        self.numbers = indices([index for index, column in enumerate(columns) if column.kind != "word"])
        self.dates = indices([index for index, column in enumerate(columns) if column.kind == "date"])
        self.words = indices(words)
        self.flags = indices([index for index, column in enumerate(columns) if column.has_flag])
        self.word_starts, self.word_others = indices(ends - sizes), indices(ends - 1)  # within the inputs of words
        self.word_inputs = int(sizes.sum())

    @property
    def first_word(self) -> int:
        """The number of inputs before those of words."""
        return len(self.numbers) + len(CYCLES) * len(self.dates)

    @property
    def width(self) -> int:
        """The number of inputs of a network."""
        return self.first_word + self.word_inputs + len(self.flags)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input, such as "city = Oslo"."""
        numbers = [column.name for column in self.columns if column.kind != "word"]
        dates = [f"{column.name} {cycle}" for column in self.columns if column.kind == "date" for cycle in CYCLES]
        words = [
            f"{column.name} = {word}"
            for column in self.columns
            if column.kind == "word"
            for word in (*column.words, "(other)")
        ]
        return (*numbers, *dates, *words, *(f"{column.name} is empty" for column in self.columns if column.has_flag))

"""What the columns of a table hold: told by the user, or recognized from their cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from searchlab.backend import Array
from searchlab.tables.cell_text import parse_number
from searchlab.tables.cells import is_missing, numbers_of, words_of
from searchlab.tables.columns import Column, Kind
from searchlab.tables.dates import days_of, recognize_format
from searchlab.tables.fitting import min_count
from searchlab.tables.wrong_cells import WrongCells
from searchlab.wording import count

MAX_CODES = 20  # distinct whole numbers up to which a column may be codes
ID_SHARE, ID_ROWS = 0.9, 20  # distinct words of as many cells, in as many rows, are ids
LEAVES_OUT = "drop=[{!r}] leaves it out"  # the end of the note on a column from which nothing can be learned
MOST_NUMBERS = 0.5  # share of numbers from which a column of texts is one of numbers with mistakes


@dataclass(frozen=True)
class Choices:
    """What a user says of the columns.

    Attributes:
        categorical: Columns of words.
        numeric: Columns of numbers.
        dates: Columns of dates, each with its format, or None for a recognized one.
        min_frequency: In how many training rows a word has an input of its own; a share as a float.
        max_categories: How many inputs the words of a column have at most.
    """

    categorical: Collection[str]
    numeric: Collection[str]
    dates: Mapping[str, str | None]
    min_frequency: int | float | None
    max_categories: int


@dataclass(frozen=True)
class ColumnReport:
    """What `searchlab show` says of a column.

    Attributes:
        name: Its name.
        kind: What its cells are: "number", "boolean", "date", "word", "target", "group", or "empty".
        missing: Number of empty cells.
        distinct: Number of distinct cells that are not empty.
        becomes: Which inputs of a network it becomes.
        note: What was guessed, and how to say otherwise; "" where nothing was.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    becomes: str
    note: str = ""

    @property
    def is_useless(self) -> bool:
        """Whether the note advises to leave the column out: it numbers the rows, or is the same in each of them."""
        return self.note.endswith(LEAVES_OUT.format(self.name))

    def to_json(self) -> dict[str, str | int]:
        """Return the report as JSON values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Recognized:
    """A column of features: what it is, or that it is left out, and what is wrong with it.

    Attributes:
        report: What is said of it.
        column: The column; None where it is left out or wrong.
        problem: What is wrong, a sentence without its end; None where nothing is.
    """

    report: ColumnReport
    column: Column | None = None
    problem: str | None = None


def recognize(
    name: str, values: Array, is_training: Array, choices: Choices, place: Callable[[int], str]
) -> Recognized:
    """Return what a column of features holds.

    Its kind is recognized from all cells, its words and whether it needs a flag from the training rows alone.

    Args:
        name: Its name.
        values: Its cells (N,).
        is_training: Which rows are training rows, (N,).
        choices: What the user says.
        place: Function that names a row for messages.
    """
    is_empty = is_missing(values)
    missing = int(is_empty.sum())
    distinct, note = _count_distinct(values[~is_empty]), ""
    report = ColumnReport(name, "empty", missing, distinct, "left out: all its cells are empty")
    if missing == len(values):
        return Recognized(report)
    try:
        kind, date_format, note = _kind_of(name, values, distinct, choices)
    except WrongCells as wrong:
        return Recognized(replace(report, kind="?", becomes="?"), problem=_problem(name, wrong, place))
    has_flag = bool(is_empty[is_training].any())
    column = Column(name, kind, has_flag=has_flag, date_format=date_format)
    report = replace(report, kind=kind, note=note)
    if kind == "word":
        return _recognize_words(column, values, is_training, choices, report)
    inputs = "2 inputs: the number" if has_flag else "1 input"
    if kind == "date":
        inputs = f"{5 + has_flag} inputs: days, and cycles of weekday and month"
    report = replace(report, becomes=inputs + (", and whether it is empty" if has_flag else ""))
    return Recognized(replace(report, note=report.note or _number_note(name, values, is_empty, distinct)), column)


def _kind_of(name: str, values: Array, distinct: int, choices: Choices) -> tuple[Kind, str | None, str]:
    """Return the kind of a column, the format of its dates, and what was guessed; raise WrongCells for mistakes."""
    if name in choices.categorical:
        return "word", None, ""
    if name in choices.numeric:
        numbers_of(values)
        return "number", None, ""
    if name in choices.dates:
        return "date", _date_format(values, choices.dates[name]), ""
    if values.dtype.kind == "M":
        return "date", None, ""
    if values.dtype.kind == "b":
        return "boolean", None, ""
    if values.dtype.kind in "iuf":
        numbers_of(values)
        return "number", None, ""
    present = [cell for cell in values.tolist() if cell is not None]
    if all(isinstance(cell, bool) for cell in present):
        return "boolean", None, ""
    texts = [cell if isinstance(cell, str) else "" for cell in present]
    numbers = sum(rows for text, rows in Counter(texts).items() if parse_number(text) is not None)
    if numbers >= MOST_NUMBERS * len(present) and numbers:
        numbers_of(values)
        return "number", None, ""
    if not all(texts):
        try:
            days_of(values, None)
            return "date", None, ""
        except WrongCells:
            numbers_of(values) if all(not isinstance(cell, str) for cell in present) else None
            return "word", None, ""
    found = recognize_format(texts)
    if found is None:
        return "word", None, ""
    date_format, other = found
    note = f"day before month; dates={{{name!r}: {other!r}}} says otherwise" if other else ""
    return "date", date_format, note or f"recognized as dates; categorical=[{name!r}] takes words"


def _date_format(values: Array, given: str | None) -> str | None:
    """Return the format of a column of dates; raise WrongCells where a cell is none."""
    if given is None and values.dtype.kind == "O":
        found = recognize_format([cell for cell in values.tolist() if isinstance(cell, str)])
        given = found[0] if found else None
    days_of(values, given)
    return given


def _recognize_words(
    column: Column, values: Array, is_training: Array, choices: Choices, report: ColumnReport
) -> Recognized:
    cells = np.array([*words_of(values), None], dtype=object)[:-1]
    present, name = len(cells) - report.missing, column.name
    if name not in choices.categorical and present >= ID_ROWS and report.distinct >= ID_SHARE * present:
        note = f"{report.distinct:,} distinct of {present:,}, like an id; categorical=[{name!r}] keeps it"
        return Recognized(replace(report, becomes="left out", note=note))
    counts = Counter(cell for cell in cells[is_training].tolist() if cell is not None)
    least = min_count(int(is_training.sum()), choices.min_frequency)
    frequent = sorted((word for word, rows in counts.items() if rows >= least), key=lambda w: (-counts[w], w))
    words = tuple(frequent[: choices.max_categories])
    rare = len(counts) - len(words)
    inputs = f"{count(len(words) + 1 + column.has_flag, 'input')}: {count(len(words), 'word')}"
    inputs += f", {rare:,} rare ones in one" if rare else ", one for new words"
    if report.distinct == 1 and not report.missing:
        report = replace(report, note="the same in every row; " + LEAVES_OUT.format(name))
    elif not words:
        report = replace(report, note=f"every word is in fewer than {least} rows; min_frequency= says otherwise")
    elif len(frequent) > len(words):
        report = replace(report, note=f"the {len(words):,} most frequent words; max_categories= says otherwise")
    report = replace(report, becomes=inputs + (", and whether it is empty" if column.has_flag else ""))
    return Recognized(report, replace(column, words=words))


def _number_note(name: str, values: Array, is_empty: Array, distinct: int) -> str:
    """Return what to consider about a column of numbers, or ""."""
    if distinct == 1 and not is_empty.any():
        return "the same in every row; " + LEAVES_OUT.format(name)
    if values.dtype.kind not in "iuf" or distinct <= 2:
        return ""
    numbers = values[~is_empty].astype(np.float64)
    if not (numbers == np.floor(numbers)).all():
        return ""
    if distinct == len(numbers) >= ID_ROWS and numbers.max() - numbers.min() == distinct - 1:
        return "numbers the rows, like an id; " + LEAVES_OUT.format(name)
    if distinct <= MAX_CODES:
        return f"whole numbers, taken as numbers; categorical=[{name!r}] takes them as codes"
    return ""


def _problem(name: str, wrong: WrongCells, place: Callable[[int], str]) -> str:
    more = f" (and {count(len(wrong.rows) - 1, 'more cell')})" if len(wrong.rows) > 1 else ""
    hint = f"; categorical=[{name!r}] takes words, na_values=[{wrong.cell!r}] takes it as empty"
    hint = hint if isinstance(wrong.cell, str) else f"; drop=[{name!r}] leaves the column out"
    return f"{place(wrong.rows[0])}, column {name!r}: {wrong.cell!r} is not {wrong.expected}{more}{hint}"


def _count_distinct(present: Array) -> int:
    if present.dtype.kind == "O":
        return len({str(cell) for cell in present.tolist()})
    return len(np.unique(present))

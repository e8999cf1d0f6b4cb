"""The column that a network is to predict: classes or numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array
from searchlab.tables.cell_text import parse_number
from searchlab.tables.cells import as_values, numbers_of, word_of
from searchlab.tables.raw_table import RawTable
from searchlab.tables.wrong_cells import WrongCells
from searchlab.wording import count

Task = Literal["classify", "regress"]

DROP_HINT = "drop_missing_target=True leaves out the rows without a target"
MAX_INTEGER_CLASSES = 100  # a column with more distinct whole numbers is taken for counts or prices, not for classes
MAX_EXACT_FLOAT = 2.0**53  # up to here every whole number is a float
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # 18 digits always fit into an int64


@dataclass(frozen=True)
class Target:
    """The targets of a table.

    Attributes:
        y: Classes (N,) as whole numbers or strings, or numbers (N, T); None where something is wrong.
        names: The names of the classes in order; None where they are the classes themselves.
        problems: What is wrong, each a sentence without its end.
    """

    y: Array | None
    names: tuple[str, ...] | None = None
    problems: tuple[str, ...] = ()


def read_target(table: RawTable, target: str | Sequence[str], task: Task | None, positive: Any) -> Target:
    """Return the targets of a table; what is wrong with them is told, not raised."""
    names = [target] if isinstance(target, str) else list(target)
    problems = [problem for name in names for problem in empty_cells(table, name)]
    if problems:
        return Target(None, problems=tuple(f"{each}; {DROP_HINT}" for each in problems))
    if isinstance(target, str):
        cells = as_texts(table[target])
        integers = whole_numbers(cells)
        if (task or ("classify" if positive is not None else infer_task(cells, integers))) == "classify":
            return _positive_class(cells, integers, target, positive)
    if positive is not None:
        return Target(None, problems=(f"positive={positive!r} needs a target of two classes, and {target!r} is none",))
    columns = []
    for name in names:
        try:
            columns.append(numbers_of(table[name]))
        except WrongCells as wrong:
            more = f" (and {count(len(wrong.rows) - 1, 'more cell')})" if len(wrong.rows) > 1 else ""
            problems.append(f"{table.place(wrong.rows[0])}, column {name!r}: {wrong.cell!r} is not a number{more}")
    return Target(None, problems=tuple(problems)) if problems else Target(np.stack(columns, axis=1))


def empty_cells(table: RawTable, name: str) -> list[str]:
    """Return what is wrong where cells of a column that needs them all are empty."""
    values = table[name]
    empty = [row for row, text in enumerate(as_texts(values)) if not text]
    if not empty:
        return []
    more = f" (and {count(len(empty) - 1, 'more cell')} of this column)" if len(empty) > 1 else ""
    return [f"{table.place(empty[0])}, column {name!r}: the cell is empty{more}"]


def as_texts(values: Array) -> list[str]:
    """Return cells as they would be written, "" where they are empty."""
    return ["" if cell is None or cell != cell else word_of(cell) for cell in as_values(values).tolist()]


def whole_numbers(cells: list[str]) -> list[int] | None:
    """Return the cells as whole numbers, which may be written as 1.0; None where one is anything else."""
    integers = []
    for cell in cells:
        if INTEGER.fullmatch(cell):
            integers.append(int(cell))
            continue
        number = parse_number(cell)
        if number is None or not number.is_integer() or abs(number) > MAX_EXACT_FLOAT:
            return None
        integers.append(int(number))
    return integers


def infer_task(cells: list[str], integers: list[int] | None) -> Task:
    """Return the task of a target column.

    A column with numbers and strings counts as numbers, so that a mistyped number is reported with its line.
    """
    if integers is not None:
        return "classify" if len(set(integers)) <= MAX_INTEGER_CLASSES else "regress"
    return "classify" if all(parse_number(cell) is None for cell in cells) else "regress"


def _positive_class(cells: list[str], integers: list[int] | None, target: str, positive: Any) -> Target:
    """Return classes (N,); where one of two is positive, it is class 1."""
    if positive is None:
        return Target(np.array(cells if integers is None else integers))
    labels = cells if integers is None else [str(integer) for integer in integers]
    known, wanted = sorted(set(labels)), word_of(positive)
    if len(known) != 2 or wanted not in known:
        shown = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        problem = f"positive={positive!r} needs to be one of two classes, and the column {target!r} has {shown}"
        return Target(None, problems=(problem,))
    negative = next(label for label in known if label != wanted)
    return Target(np.array([int(label == wanted) for label in labels]), (negative, wanted))

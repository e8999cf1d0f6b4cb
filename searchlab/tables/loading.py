"""From the cells of a table to rows of numbers: what its columns are, what is wrong with them, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.array_validation import as_rows, precise_float_type
from searchlab.data.arrays import Arrays
from searchlab.data.examples import Examples
from searchlab.errors import UserMistake
from searchlab.tables.cell_text import NAMELESS
from searchlab.tables.cells import encode_cells
from searchlab.tables.columns import Column, Layout
from searchlab.tables.examples import TableExamples
from searchlab.tables.raw_table import RawTable
from searchlab.tables.recognition import Choices, ColumnReport, Recognized, recognize
from searchlab.tables.target import Target, as_texts, empty_cells, read_target

if TYPE_CHECKING:
    from searchlab.tables.options import TableOptions

MAX_PROBLEMS = 20  # that one message lists
ARRAY_OPTIONS = ("test_size", "standardize", "standardize_targets", "image_shape", "seed")


@dataclass(frozen=True)
class TableReport:
    """What `searchlab show` says of a table.

    Attributes:
        columns: The columns in their order.
        notes: What was recognized of the file, each a sentence without its end.
    """

    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]


@dataclass
class TableLoading:
    """A table on its way from cells to rows.

    Args:
        options: What the user says of it.
        table: Its cells.
    """

    options: TableOptions
    table: RawTable
    _problems: list[str] = field(default_factory=list, init=False)

    def load(self, *, is_test: bool) -> Examples:
        """Return the test rows or the training rows; raise UserMistake with everything that is wrong."""
        target, is_test_row, recognized = self._recognize()
        columns = [each.column for each in recognized if each.column]
        if self._is_plain(recognized):
            x = np.stack([encode_cells(each, self.table[each.name])[0] for each in columns], axis=1)
            return self._arrays(x, target, tuple(each.name for each in columns)).load(is_test=is_test)
        if self.options.image_shape is not None:
            raise UserMistake(f"{self.table.source}: image_shape needs columns of numbers without empty cells.")
        rows, kept = np.flatnonzero(is_test_row == is_test), {each.name for each in columns}
        found = self._arrays(np.zeros((len(self.table), 1)), target).load(is_test=is_test)
        examples = TableExamples(
            self._encoded(columns, rows),
            found.y,
            found.outputs,
            Layout(columns),
            min_frequency=self.options.min_frequency,
            left_out=tuple(name for name in self.table.columns if name not in kept),
            target_names=found.target_names,
            groups=found.groups,
            standardize=self.options.standardize,
            standardize_targets=found.standardize_targets,
        )
        examples.columns = found.columns
        return examples

    def report(self) -> TableReport:
        """Return what the columns are; raise UserMistake with everything that is wrong."""
        target, _, recognized = self._recognize()
        reports = {each.report.name: each.report for each in recognized}
        described = tuple(reports.get(name) or self._describe_other(name, target) for name in self.table.columns)
        return TableReport(described, self.table.notes)

    def _recognize(self) -> tuple[Target, Array, list[Recognized]]:
        """Return the targets, which rows are test rows, and what the features are."""
        options, features = self.options, self._features()
        target = read_target(self.table, options.target, options.task, options.positive)
        self._problems += target.problems
        if options.groups is not None:
            self._problems += empty_cells(self.table, options.groups)
        is_test_row, unsplit = np.zeros(len(self.table), dtype=bool), None
        if not self._problems:
            try:
                is_test_row = self._arrays(np.zeros((len(self.table), 1)), target).test_rows()
            except UserMistake as mistake:
                unsplit = mistake  # what is wrong with cells is said first
        choices = Choices(
            names_of(options.categorical), names_of(options.numeric), _formats(options.dates), options.min_frequency,
            options.max_categories,
        )  # fmt: skip
        recognized = [recognize(name, self.table[name], ~is_test_row, choices, self.table.place) for name in features]
        self._problems += [each.problem for each in recognized if each.problem]
        if not self._problems and not any(each.column for each in recognized):
            self._problems.append("no column is left to predict from" + _reasons(recognized))
        self._raise_problems()
        if unsplit:
            raise unsplit
        return target, is_test_row, recognized

    def _features(self) -> list[str]:
        """Return the names of the feature columns; raise UserMistake for names that the table does not have."""
        options = self.options
        groups = () if options.groups is None else (options.groups,)
        excluded = {*options.targets, *names_of(options.drop), *groups}
        said = [*names_of(options.categorical), *names_of(options.numeric), *names_of(options.dates)]
        if "" in excluded:  # every column without a name: a file that was written twice has two
            excluded |= {name for name in self.table.columns if NAMELESS.fullmatch(name)}
        for name in (*sorted(excluded - {""}), *said):
            self.table[name]
        for number, name in enumerate(self.table.columns, 1):
            if NAMELESS.fullmatch(name) and name not in excluded:
                raise UserMistake(
                    f"{self.table.source} has a column without a name (number {number}), such as the index that pandas "
                    f"writes; if it is no feature, leave it out with drop={name!r}, else give it a name."
                )
        return [name for name in self.table.columns if name not in excluded]

    def _is_plain(self, recognized: Sequence[Recognized]) -> bool:
        """Return whether all columns are numbers without empty cells, as an array."""
        return all(each.column and each.column.kind == "number" and not each.report.missing for each in recognized)

    def _encoded(self, columns: Sequence[Column], rows: Array) -> Array:
        """Return these rows as numbers (n, C), of float64 where float32 would be too coarse for a column."""
        dtype: type[np.floating[Any]] = np.float32
        x: Array = np.empty((len(rows), len(columns)), dtype)
        for index, column in enumerate(columns):
            numbers, _ = encode_cells(column, self.table[column.name])
            present = numbers[~np.isnan(numbers)]
            if dtype == np.float32 and len(present) and precise_float_type(present[:, None]) == np.float64:
                dtype, filled = np.float64, x[:, :index]
                x = np.empty(x.shape, dtype)
                x[:, :index] = filled
            x[:, index] = as_rows(numbers[rows], dtype)[:, 0]
        return x

    def _arrays(self, x: Array, target: Target, features: tuple[str, ...] | None = None) -> Arrays:
        """Return the rows as arrays; messages name the file."""
        options: dict[str, Any] = {name: getattr(self.options, name) for name in ARRAY_OPTIONS}
        if features is None:
            options["image_shape"] = None
        if self.options.groups is not None:
            options["groups"] = as_texts(self.table[self.options.groups])
        dropped = [name for name in names_of(self.options.drop) if name in self.table.columns]
        options["columns"] = {name: np.array(as_texts(self.table[name])) for name in dropped}
        names = target.names or self.options.target_names
        build: Callable[..., Arrays] = Arrays
        try:
            return build(x, target.y, target_names=names, feature_names=features, **options)
        except UserMistake as mistake:
            raise UserMistake(f"{self.table.source}: {mistake}") from mistake

    def _describe_other(self, name: str, target: Target) -> ColumnReport:
        """Return what is said of a column that is no feature."""
        cells = [cell for cell in as_texts(self.table[name]) if cell]
        counts = len(self.table) - len(cells), len(set(cells))
        if name == self.options.groups:
            return ColumnReport(name, "group", *counts, f"{counts[1]:,} groups, kept whole")
        if name not in self.options.targets:
            return ColumnReport(name, "dropped", *counts, "left out")
        if target.y is None or target.y.dtype.kind == "f":
            return ColumnReport(
                name, "target", *counts, "numbers to predict", f"task='classify' takes {counts[1]:,} classes"
            )
        note = "" if self.options.task or self.options.positive is not None else "task='regress' takes numbers"
        classes = f"{counts[1]:,} classes"
        if target.names:
            return ColumnReport(name, "target", *counts, f"{classes}; {target.names[1]!r} is positive, class 1")
        return ColumnReport(name, "target", *counts, classes, note if target.y.dtype.kind == "i" else "")

    def _raise_problems(self) -> None:
        """Raise UserMistake with all problems, one a line where there are several."""
        if not self._problems:
            return
        if len(self._problems) == 1:
            separator = " " if self._problems[0].startswith(("line", "row")) else ": "
            raise UserMistake(f"{self.table.source}{separator}{self._problems[0]}.")
        shown = "".join(f"\n  {problem}." for problem in self._problems[:MAX_PROBLEMS])
        hidden = len(self._problems) - MAX_PROBLEMS
        more = f"\n  and {hidden:,} more." if hidden > 0 else ""
        raise UserMistake(f"{self.table.source} has {len(self._problems)} problems:{shown}{more}")


def names_of(value: str | tuple[str, ...] | Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names in an option that takes one name or several."""
    return (value,) if isinstance(value, str) else tuple(value)


def _formats(dates: str | tuple[str, ...] | Mapping[str, str | None]) -> Mapping[str, str | None]:
    return dates if isinstance(dates, Mapping) else dict.fromkeys(names_of(dates))


def _reasons(recognized: Sequence[Recognized]) -> str:
    """Return why columns are left out."""
    reasons = [f"{each.report.name!r} {each.report.note or each.report.becomes}" for each in recognized]
    return f": {'; '.join(reasons)}" if reasons else ""

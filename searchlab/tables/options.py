"""The options that a CSV file and a pandas frame have in common, and how their cells become rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from searchlab.data.examples import Examples
from searchlab.data.image_shape import ImageShape
from searchlab.data.splits import LATER
from searchlab.errors import UserMistake
from searchlab.tables.loading import TableLoading, TableReport, names_of
from searchlab.tables.raw_table import RawTable
from searchlab.tables.target import Task


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The options of `Csv` and `Frame`."""

    target: str | tuple[str, ...]
    positive: Any = None
    groups: str | None = None
    drop: str | tuple[str, ...] = ()
    categorical: str | tuple[str, ...] = ()
    numeric: str | tuple[str, ...] = ()
    dates: str | tuple[str, ...] | Mapping[str, str | None] = ()
    min_frequency: int | float | None = None
    max_categories: int = 5000
    drop_missing_target: bool = field(default=False, metadata=LATER)
    task: Task | None = None
    test_size: float = 0.2
    target_names: tuple[str, ...] | None = None
    standardize: bool = True
    standardize_targets: bool | None = None
    image_shape: ImageShape | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("target", "drop", "categorical", "numeric", "dates"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.task not in (None, "classify", "regress"):
            raise UserMistake(f"task is 'classify' or 'regress', or None to decide by the column; got {self.task!r}.")
        if not isinstance(self.target, str) and (self.task == "classify" or not self.target):
            raise UserMistake(
                f"target is one column of classes, or one or more columns of numbers; got target={self.target!r}."
            )
        if self.positive is not None and (self.task == "regress" or self.target_names is not None):
            raise UserMistake("positive= names one of two classes: leave out task='regress' and target_names.")
        if self.max_categories < 1:
            raise UserMistake(f"max_categories is at least 1, got {self.max_categories!r}.")
        least = self.min_frequency
        if least is not None and not (0 < least < 1 if isinstance(least, float) else least >= 1):
            raise UserMistake(f"min_frequency is a number of rows or a share between 0.0 and 1.0, got {least!r}.")
        said = [*names_of(self.categorical), *names_of(self.numeric), *names_of(self.dates)]
        for name in said:
            if said.count(name) > 1:
                raise UserMistake(f"column {name!r} is of one kind; it is in two of categorical, numeric and dates.")

    def training(self) -> Examples:
        """Return the training rows."""
        return TableLoading(self, self._read_rows()).load(is_test=False)

    def testing(self) -> Examples:
        """Return the rows drawn as test rows."""
        return TableLoading(self, self._read_rows()).load(is_test=True)

    def describe_columns(self) -> TableReport:
        """Return what each column holds, and which inputs of a network it becomes.

        Raises:
            UserMistake: With everything that is wrong with the table.
        """
        return TableLoading(self, self._read_rows()).report()

    def _changed(self) -> list[str]:
        """Return the options that differ from their defaults, as they would be written."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self) if each.kw_only)
        return [f"{name}={value!r}" for name, value, default in values if default is MISSING or value != default]

    def _read_rows(self) -> RawTable:
        """Return the cells of the rows that are kept."""
        table = self._read()
        return table.without_missing(self.targets) if self.drop_missing_target else table

    @abstractmethod
    def _read(self) -> RawTable:
        """Return the cells."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target columns."""
        return names_of(self.target)

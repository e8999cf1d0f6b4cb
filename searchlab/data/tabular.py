"""Data sets in a user's files: arrays in an .npz, columns in a .csv."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array
from searchlab.data.arrays import Arrays
from searchlab.data.csv_columns import CsvColumns, parse_number
from searchlab.data.data_folder import find_file
from searchlab.data.examples import Examples
from searchlab.data.image_shape import ImageShape
from searchlab.data.npz_file import load_npz
from searchlab.errors import UserMistake

Task = Literal["classify", "regress"]

MAX_INTEGER_CLASSES = 100  # a column with more distinct whole numbers is taken for counts or prices, not for classes
MAX_EXACT_FLOAT = 2.0**53  # up to here every whole number is a float
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # 18 digits always fit into an int64


@dataclass(frozen=True)
class Npz:
    """A data set in an .npz file of plain arrays, with test rows under the keys `x_test` and `y_test` if it has them.

    The arrays are what `Arrays` takes. The file is looked for in the current folder and then in the data folder.

    Args:
        path: The file.
        x: Key of the inputs, default "x".
        y: Key of the targets, default "y".
        groups: Key of the group of each row; default None for independent rows.
        test_size: Share of the rows to draw as test rows where the file has none, default 0.2.
        target_names: The name of each class or target; default None.
        standardize: Whether each replica sees x with mean 0 and scale 1 on its own training rows; default True.
        standardize_targets: Whether each replica trains on numbers to predict with mean 0 and scale 1 on its own
            training rows; scores and predictions stay in the unit of the targets. Default None: unless all numbers
            are 0 or 1, or each row of several numbers is a distribution, as the cross-entropy losses need.
        image_shape: (height, width) or (height, width, channels) where rows are images; default None.
        seed: Seed of the draw of test rows, default 0.

    Raises:
        UserMistake: On loading, when there is no such file or key, or the arrays do not fit together.
        WorldFault: On loading, when the file is broken.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab import Npz
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/data.npz", x=np.ones((10, 3)), y=np.arange(10) % 2)
        ...     training = Npz(f"{folder}/data.npz").training()
        >>> len(training), training.sizes
        (8, (3, 2))
    """

    path: str
    _: KW_ONLY
    x: str = "x"
    y: str = "y"
    groups: str | None = None
    test_size: float = 0.2
    target_names: tuple[str, ...] | None = None
    standardize: bool = True
    standardize_targets: bool | None = None
    image_shape: ImageShape | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))

    def training(self) -> Examples:
        """Return the training rows."""
        return self._read().load(is_test=False)

    def testing(self) -> Examples:
        """Return the test rows in the file, or those drawn."""
        return self._read().load(is_test=True)

    def _read(self) -> Arrays:
        path = find_file(self.path)
        keys = {"x": self.x, "y": self.y, "x_test": "x_test", "y_test": "y_test"}
        if self.groups is not None:
            keys["groups"] = self.groups
        arrays, all_keys = load_npz(path, keys.values())
        for argument, key in keys.items():
            if key not in arrays and not argument.endswith("_test"):
                hint = f"its keys are {', '.join(all_keys)}" if all_keys else "np.savez(path, x=..., y=...) writes them"
                raise UserMistake(f"{path} has no key {key!r}; {hint}.")
        return _build_arrays(self, path, {argument: arrays[key] for argument, key in keys.items() if key in arrays})


@dataclass(frozen=True)
class Csv:
    """A data set in a CSV file with a header: one or more target columns, all others are features.

    A target column of strings holds classes, and one of numbers is to be predicted; whole numbers, also written as 1.0,
    are classes while there are at most 100 distinct ones. `task` overrides this. The file is looked for in the current
    folder and then in the data folder.

    Args:
        path: The file, in UTF-8.
        target: The column to predict, or several columns of numbers.
        groups: The column of each row's group, which is not a feature; default None for independent rows.
        ignore: One or more columns that are not features either, default (). A column without a name, such as the index
            that pandas writes, must be ignored, by the name "".
        delimiter: The character between two cells, default ",".
        task: "classify" or "regress"; default None decides by the target column.
        test_size: Share of the rows to draw as test rows, default 0.2.
        target_names: The name of each class or target; default None.
        standardize: Whether each replica sees x with mean 0 and scale 1 on its own training rows; default True.
        standardize_targets: Whether each replica trains on numbers to predict with mean 0 and scale 1 on its own
            training rows; scores and predictions stay in the unit of the targets. Default None: unless all numbers
            are 0 or 1, or each row of several numbers is a distribution, as the cross-entropy losses need.
        image_shape: (height, width) where rows are images; default None.
        seed: Seed of the draw of test rows, default 0.

    Raises:
        UserMistake: When options exclude each other; on loading, when there is no such file or column, or a cell is not
            what its column needs.
        WorldFault: On loading, when the file is not CSV in UTF-8.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from searchlab import Csv
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "iris.csv")
        ...     written = file.write_text("length,width,kind\\n" + "5.1,3.5,setosa\\n6.7,3.0,virginica\\n" * 5)
        ...     training = Csv(file, target="kind").training()
        >>> training.sizes, training.target_names
        ((2, 2), ('setosa', 'virginica'))
    """

    path: str
    _: KW_ONLY
    target: str | tuple[str, ...]
    groups: str | None = None
    ignore: str | tuple[str, ...] = ()
    delimiter: str = ","
    task: Task | None = None
    test_size: float = 0.2
    target_names: tuple[str, ...] | None = None
    standardize: bool = True
    standardize_targets: bool | None = None
    image_shape: tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        if self.task not in (None, "classify", "regress"):
            raise UserMistake(f"task is 'classify' or 'regress', or None to decide by the column; got {self.task!r}.")
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            raise UserMistake(f"delimiter is one character between two cells, got {self.delimiter!r}.")
        if not isinstance(self.target, str) and (self.task == "classify" or not self.target):
            raise UserMistake(
                f"target is one column of classes, or one or more columns of numbers; got target={self.target!r}."
            )

    def training(self) -> Examples:
        """Return the training rows."""
        return self._read().load(is_test=False)

    def testing(self) -> Examples:
        """Return the rows drawn as test rows."""
        return self._read().load(is_test=True)

    def _read(self) -> Arrays:
        path = find_file(self.path)
        columns = CsvColumns.read(path, self.delimiter)
        targets = (self.target,) if isinstance(self.target, str) else self.target
        ignored = (self.ignore,) if isinstance(self.ignore, str) else self.ignore
        excluded = {*targets, *ignored, *(() if self.groups is None else (self.groups,))}
        for name in sorted(excluded):
            columns.index_of(name)
        for name in columns.nameless():
            if name not in excluded:
                raise UserMistake(
                    f"{path} has a column without a name (number {columns.index_of(name) + 1}), such as the index that "
                    f"pandas writes; if it is no feature, leave it out with ignore={name!r}, else give it a name."
                )
        features = tuple(name for name in columns.header if name not in excluded)
        arrays: dict[str, Any] = {"x": columns.numbers(features), "feature_names": features}
        arrays["y"] = self._read_target(columns)
        if self.groups is not None:
            arrays["groups"] = columns.strings(self.groups)
        return _build_arrays(self, path, arrays)

    def _read_target(self, columns: CsvColumns) -> Array:
        """Return classes (N,) as whole numbers or strings, or numbers (N, T)."""
        if not isinstance(self.target, str):
            return columns.numbers(self.target)
        cells = columns.strings(self.target)
        integers = _whole_numbers(cells)
        task = self.task or _infer_task(cells, integers)
        if task == "regress":  # raises for a cell that is not a number, with its line
            return columns.numbers([self.target])
        return np.array(cells if integers is None else integers)


def _whole_numbers(cells: list[str]) -> list[int] | None:
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


def _infer_task(cells: list[str], integers: list[int] | None) -> Task:
    """Return the task of a target column.

    A column with numbers and strings counts as numbers, so that a mistyped number is reported with its line.
    """
    if integers is not None:
        return "classify" if len(set(integers)) <= MAX_INTEGER_CLASSES else "regress"
    return "classify" if all(parse_number(cell) is None for cell in cells) else "regress"


def _build_arrays(dataset: Npz | Csv, path: Path, arrays: dict[str, Any]) -> Arrays:
    """Return the arrays of a file with the options of their data set; error messages name the file."""
    names = ("test_size", "target_names", "standardize", "standardize_targets", "image_shape", "seed")
    options = {name: getattr(dataset, name) for name in names}
    build: Callable[..., Arrays] = Arrays
    try:
        return build(**arrays, **options)
    except UserMistake as mistake:
        raise UserMistake(f"{path}: {mistake}") from mistake

"""Data sets in files of the user's own: arrays in an .npz, columns in a .csv."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array
from searchlab.data.arrays import Arrays
from searchlab.data.csv_columns import Columns, as_number
from searchlab.data.download import data_folder
from searchlab.data.examples import Examples
from searchlab.errors import UserMistake, WorldFault

CLASSES_AT_MOST = 100  # distinct whole numbers in a column that are still taken for classes, not for counts or prices
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")  # what an int64 holds for certain


@dataclass(frozen=True)
class Npz:
    """The arrays under the keys `x`, `y` and perhaps `groups` of an .npz; its x_test and y_test where it has them.

    The path is looked for in the current folder and then in the data folder. The rest is as Arrays takes it.
    """

    path: str
    _: KW_ONLY
    x: str = "x"
    y: str = "y"
    groups: str | None = None
    test: float = 0.2
    names: tuple[str, ...] | None = None
    standardize: bool = True
    image: tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))

    def training(self) -> Examples:
        """The rows that are not locked."""
        return self._read().part(locked=False)

    def testing(self) -> Examples:
        """The test rows in the file, or those drawn."""
        return self._read().part(locked=True)

    def _read(self) -> Arrays:
        path = find_file(self.path)
        keys = {"x": self.x, "y": self.y, "x_test": "x_test", "y_test": "y_test"}
        keys |= {} if self.groups is None else {"groups": self.groups}
        found, there = _load(path, keys.values())
        for name, key in keys.items():
            if key not in found and not name.endswith("_test"):
                has = f"its keys are {', '.join(there)}" if there else "np.savez(path, x=..., y=...) writes some"
                raise UserMistake(f"{path} has no key {key!r}; {has}.")
        return _arrays(self, path, {name: found[key] for name, key in keys.items() if key in found})


@dataclass(frozen=True)
class Csv:
    """A csv file with a header: the column `target` to predict, or several of numbers; all others are features.

    `groups` names a column that is neither, `ignore` more of them. A target of words is classes, one of numbers is to
    be predicted; whole numbers are classes while no more than 100 differ. `task` says which where that is wrong.
    The path is looked for in the current folder and then in the data folder. The rest is as Arrays takes it.
    """

    path: str
    _: KW_ONLY
    target: str | tuple[str, ...]
    groups: str | None = None
    ignore: tuple[str, ...] = ()
    delimiter: str = ","
    task: Literal["classify", "regress"] | None = None
    test: float = 0.2
    names: tuple[str, ...] | None = None
    standardize: bool = True
    image: tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        if self.task not in (None, "classify", "regress"):
            raise UserMistake(f"task is 'classify' or 'regress', or None to go by the column; got {self.task!r}.")
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            raise UserMistake(f"delimiter is one character between two cells, got {self.delimiter!r}.")
        if not isinstance(self.target, str) and (self.task == "classify" or not self.target):
            raise UserMistake(f"a class is one column, and several targets are numbers; got target={self.target!r}.")

    def training(self) -> Examples:
        """The rows that are not locked."""
        return self._read().part(locked=False)

    def testing(self) -> Examples:
        """The rows drawn to be locked."""
        return self._read().part(locked=True)

    def _read(self) -> Arrays:
        path = find_file(self.path)
        columns = Columns.read(path, self.delimiter)
        targets = (self.target,) if isinstance(self.target, str) else self.target
        apart = {*targets, *self.ignore, *(() if self.groups is None else (self.groups,))}
        for name in sorted(apart):
            columns.place(name)
        arrays: dict[str, Any] = {"x": columns.numbers([name for name in columns.header if name not in apart])}
        arrays["y"] = self._target(columns)
        if self.groups is not None:
            arrays["groups"] = columns.words(self.groups)
        return _arrays(self, path, arrays)

    def _target(self, columns: Columns) -> Array:
        """Classes (N,) of whole numbers or words, or numbers (N, T)."""
        if not isinstance(self.target, str):
            return columns.numbers(self.target)
        words = columns.words(self.target)
        whole = all(WHOLE.fullmatch(word) for word in words)
        task = self.task or _task_of(words, whole)
        if task == "regress":  # here a cell that is not a number is refused, with its line
            return columns.numbers([self.target])
        return np.array([int(word) for word in words]) if whole else np.array(words)


def find_file(path: str) -> Path:
    """Where the file lies, seen from the current folder or else from the data folder; raises UserMistake if nowhere."""
    here = Path(path).expanduser()
    for place in (here, data_folder() / here):
        if place.is_file():
            return place
    elsewhere = "" if here.is_absolute() else f", and none at {data_folder() / here} either"
    raise UserMistake(f"there is no file {here.absolute()}{elsewhere}.")


def _load(path: Path, wanted: Iterable[str]) -> tuple[dict[str, Array], list[str]]:
    """Those of the wanted arrays that an .npz holds, by key, and all its keys; raises WorldFault for a broken file."""
    try:
        with path.open("rb") as file:  # of a torn file, NumPy would leave its own open
            held = np.load(file, allow_pickle=False)
            if not isinstance(held, np.lib.npyio.NpzFile):  # an .npy: one array without a key
                return {}, []
            with held:
                return {key: held[key] for key in wanted if key in held.files}, held.files
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise WorldFault(f"{path} cannot be read as an .npz of plain arrays ({error}).") from error


def _task_of(words: list[str], whole: bool) -> Literal["classify", "regress"]:
    """What a column is for that nobody said: a single number among words is no reason to take them for numbers."""
    if whole:
        return "classify" if len(set(words)) <= CLASSES_AT_MOST else "regress"
    return "classify" if all(as_number(word) is None for word in words) else "regress"


def _arrays(described: Npz | Csv, path: Path, arrays: dict[str, Any]) -> Arrays:
    """The arrays of a file with the options of their data set; a mistake in them names the file."""
    options = {name: getattr(described, name) for name in ("test", "names", "standardize", "image", "seed")}
    build: Callable[..., Arrays] = Arrays
    try:
        return build(**arrays, **options)
    except UserMistake as mistake:
        raise UserMistake(f"{path}: {mistake}") from mistake

"""Arrays that are in memory already, as a data set."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.examples import Examples
from searchlab.data.test_split import draw_locked
from searchlab.data.validation import WORDS, finite, given_groups, given_inputs, given_targets
from searchlab.errors import UserMistake


@dataclass(frozen=True, eq=False, repr=False)
class Arrays:
    """Rows x, (N, F) or pictures (N, H, W), with targets y; copied, so that later changes to them do not matter.

    Whole numbers, booleans and words (N,) in y are classes, numbered in sorted order; floats (N,) or (N, T) are
    numbers to predict. Where no test rows are given, `seed` draws the part `test` of the rows: whole groups where
    there are groups, else as much of each class. `names` are of the classes in sorted order, or of the T targets.
    """

    x: Array
    y: Array
    _: KW_ONLY
    x_test: Array | None = None
    y_test: Array | None = None
    test: float = 0.2
    names: tuple[str, ...] | None = None
    groups: Array | None = None
    standardize: bool = True
    image: tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.test < 1.0:
            raise UserMistake(f"test is the part of the rows to lock, between 0 and 1; got {self.test!r}.")
        self._read("x", "y")
        if self.groups is not None:
            object.__setattr__(self, "groups", given_groups(self.groups, len(self.x)))
        if (self.x_test is None) != (self.y_test is None):
            raise UserMistake("x_test and y_test are given together or not at all.")
        if self.x_test is not None and self.y_test is not None:
            self._read("x_test", "y_test")
            _alike(self.x, self.x_test)
        for name, kind in (("names", str), ("image", int)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(kind(one) for one in value))
        self._check_outputs()
        self._check_image()
        self._locked()

    def training(self) -> Examples:
        """The rows that are not locked."""
        return self.part(locked=False)

    def testing(self) -> Examples:
        """The test rows given, or those drawn."""
        return self.part(locked=True)

    def part(self, *, locked: bool) -> Examples:
        """The locked rows or the others, targets coded and inputs as float32."""
        x, y, name, groups = self.x, self.y, "y", self.groups
        if self.x_test is not None and self.y_test is not None:
            if locked:
                x, y, name, groups = self.x_test, self.y_test, "y_test", None
            rows = np.arange(len(x))
        else:
            rows = np.flatnonzero(self._locked() == locked)
        book = _book(self.y)
        return Examples(
            finite(x[rows], "x").reshape(len(rows), -1),
            _coded(y, book, name)[rows],
            _outputs(self.y, book),
            image=self.x.shape[1:] if self.x.ndim == 3 else self.image,
            names=tuple(str(label) for label in book) if book is not None and self.names is None else self.names,
            groups=None if groups is None else np.unique(groups, return_inverse=True)[1][rows],
            standardize=self.standardize,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Arrays):
            return NotImplemented
        return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        told = [
            f"{name}={value.shape} {value.dtype}" if isinstance(value, np.ndarray) else f"{name}={value!r}"
            for name, value, default in given
            if isinstance(value, np.ndarray) or value != default
        ]
        return f"Arrays({', '.join(told)})"

    def _read(self, x: str, y: str) -> None:
        object.__setattr__(self, x, given_inputs(getattr(self, x), x))
        object.__setattr__(self, y, given_targets(getattr(self, y), y))
        rows, targets = len(getattr(self, x)), len(getattr(self, y))
        if rows != targets:
            raise UserMistake(f"{x} has {rows} rows and {y} has {targets}.")

    def _check_outputs(self) -> None:
        book = _book(self.y)
        if book is not None and len(book) < 2:
            raise UserMistake(f"y holds a single class, {book[0]}; there is nothing to tell apart.")
        if self.y_test is not None:
            if _kind(self.y_test) != _kind(self.y):
                raise UserMistake(f"y_test holds {_kind(self.y_test)} and y holds {_kind(self.y)}.")
            _coded(self.y_test, book, "y_test")
        if self.names is not None and len(self.names) != (outputs := _outputs(self.y, book)):
            what = "targets" if book is None else "classes"
            raise UserMistake(f"names has {len(self.names)} names, and y has {outputs} {what}.")

    def _check_image(self) -> None:
        features, found = int(np.prod(self.x.shape[1:])), self.x.shape[1:] if self.x.ndim == 3 else self.image
        if self.image is not None and (self.image != found or len(found) != 2 or np.prod(found) != features):
            raise UserMistake(f"image={self.image} is not (height, width) of rows of shape {self.x.shape[1:]}.")

    def _locked(self) -> Array:
        """Which rows of x are locked (N,): none where test rows are given."""
        if self.x_test is not None:
            return np.zeros(len(self.x), dtype=bool)
        labels = self.y if _book(self.y) is not None else None
        return draw_locked(len(self.x), self.test, self.seed, labels, self.groups)


def _book(y: Array) -> Array | None:
    """The labels that occur (C,), sorted; None where y is numbers to predict."""
    return None if y.dtype.kind == "f" else np.unique(y)


def _coded(y: Array, book: Array | None, name: str) -> Array:
    """Classes (N,) as places in the book, or numbers (N, T) of float32; raises UserMistake for an unknown label."""
    if book is None:
        return finite(y, name).reshape(len(y), -1)
    places = np.searchsorted(book, y).clip(max=len(book) - 1)
    unknown = np.asarray(book[places] != y)
    if unknown.any():
        row = int(unknown.argmax())
        raise UserMistake(f"{name} holds the label {y[row]} in row {row}, which y does not hold.")
    return places.astype(np.int64)


def _outputs(y: Array, book: Array | None) -> int:
    """How many classes there are, or how many numbers to predict for each row."""
    return len(book) if book is not None else int(y.size // len(y))


def _kind(y: Array) -> str:
    if y.dtype.kind == "f":
        return f"{_outputs(y, None)} floats per row"
    return "words" if y.dtype.kind in WORDS else "whole numbers"


def _alike(x: Array, x_test: Array) -> None:
    features, tested = (int(np.prod(one.shape[1:])) for one in (x, x_test))
    if features != tested:
        raise UserMistake(f"x has {features} features and x_test has {tested}.")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and bool(one == other)

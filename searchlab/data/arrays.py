"""Arrays in memory as a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.array_validation import (
    TEXT_KINDS,
    are_probabilities,
    as_finite_float32,
    as_rows,
    precise_float_type,
    validate_groups,
    validate_inputs,
    validate_targets,
)
from searchlab.data.examples import Examples
from searchlab.data.image_shape import ImageShape
from searchlab.data.splits import LATER
from searchlab.data.train_test_split import draw_test_rows
from searchlab.errors import UserMistake
from searchlab.wording import count


@dataclass(frozen=True, eq=False, repr=False)
class Arrays:
    """A data set of arrays in memory, which are copied.

    Whole numbers, booleans and strings in y are classes, numbered in sorted order; floats are numbers to predict. Where
    no test rows are given, they are drawn from x: whole groups where there are groups, else the same share of each
    class.

    Args:
        x: Inputs, (N, F), or images (N, H, W) or (N, H, W, C) with C channels.
        y: Targets: classes (N,), or floats (N,) or (N, T) to predict.
        x_test: Inputs of the test rows; default None draws test rows from x. Given together with `y_test`.
        y_test: Targets of the test rows.
        test_size: Share of the rows to draw as test rows, between 0 and 1; default 0.2. Not used with `x_test`.
        target_names: The name of each class, in sorted order of the classes, or of each of T targets; default None
            takes the classes themselves.
        feature_names: The name of each column of x, by which the artifact finds the columns of a pandas frame; default
            None, those of a frame x, and none for another array.
        groups: The group of each row (N,), numbers or strings; default None for independent rows.
        standardize: Whether each replica sees x with mean 0 and scale 1 on its own training rows; default True.
        standardize_targets: Whether each replica trains on numbers to predict with mean 0 and scale 1 on its own
            training rows; scores and predictions stay in the unit of y. Default None: unless all numbers are 0 or 1, or
            each row of several numbers is a distribution, as the cross-entropy losses need.
        image_shape: (height, width) or (height, width, channels) where rows of shape (F,) are images; default None.
        seed: Seed of the draw of test rows, default 0.
        columns: Columns (N,) that are no inputs, by name, which `Predefined` reads; default none.

    Raises:
        UserMistake: When the arrays do not fit together, or no rows would be left to train on.

    Example:
        >>> import numpy as np
        >>> from searchlab import Arrays
        >>> data = Arrays(np.arange(20.0).reshape(10, 2), ["cat", "dog"] * 5)
        >>> data
        Arrays(x=(10, 2) float64, y=(10,) <U3)
        >>> training = data.training()
        >>> len(training), training.sizes, training.target_names
        (8, (2, 2), ('cat', 'dog'))
    """

    x: Array
    y: Array
    _: KW_ONLY
    x_test: Array | None = None
    y_test: Array | None = None
    test_size: float = 0.2
    target_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    groups: Array | None = None
    standardize: bool = True
    standardize_targets: bool | None = None
    image_shape: ImageShape | None = None
    seed: int = 0
    columns: Mapping[str, Array] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if not 0.0 < self.test_size < 1.0:
            raise UserMistake(f"test_size is the share of test rows, between 0 and 1; got {self.test_size!r}.")
        if self.feature_names is None and hasattr(self.x, "columns"):
            object.__setattr__(self, "feature_names", tuple(self.x.columns))
        self._validate_pair("x", "y")
        if self.groups is not None:
            object.__setattr__(self, "groups", validate_groups(self.groups, len(self.x)))
        if self.columns is not None:
            object.__setattr__(
                self, "columns", {n: _validate_column(v, n, len(self.x)) for n, v in self.columns.items()}
            )
        if (self.x_test is None) != (self.y_test is None):
            raise UserMistake("x_test and y_test must be given together.")
        if self.x_test is not None and self.y_test is not None:
            self._validate_pair("x_test", "y_test")
            _require_same_features(self.x, self.x_test)
        for name, kind in (("target_names", str), ("feature_names", str), ("image_shape", int)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(kind(item) for item in value))
        self._validate_targets()
        self._validate_feature_names()
        self._validate_image_shape()
        self.test_rows()

    def training(self) -> Examples:
        """Return the training rows."""
        return self.load(is_test=False)

    def testing(self) -> Examples:
        """Return the test rows: those given, or those drawn."""
        return self.load(is_test=True)

    def load(self, *, is_test: bool) -> Examples:
        """Return the test rows or the training rows, with classes numbered and inputs as float32."""
        x, y, y_name, groups = self.x, self.y, "y", self.groups
        if self.x_test is not None and self.y_test is not None:
            if is_test:
                x, y, y_name, groups = self.x_test, self.y_test, "y_test", None
            rows = np.arange(len(x))
        else:
            rows = np.flatnonzero(self.test_rows() == is_test)
        classes, target_names = _classes_of(self.y), self.target_names
        if classes is not None and target_names is None:
            target_names = tuple(str(label) for label in classes)
        examples = Examples(
            as_rows(x[rows], precise_float_type(self.x) if self.standardize else np.float32),
            self._encoded_targets(y, classes, y_name)[rows],
            _output_count(self.y, classes),
            image_shape=self.x.shape[1:] if self.x.ndim > 2 else self.image_shape,
            target_names=target_names,
            feature_names=self.feature_names,
            groups=None if groups is None else np.unique(groups, return_inverse=True)[1][rows],
            standardize=self.standardize,
            standardize_targets=self._standardizes_targets(classes),
        )
        if x is self.x:  # test rows of the user's own have no such columns
            examples.columns = {name: values[rows] for name, values in (self.columns or {}).items()}
        return examples

    def test_rows(self) -> Array:
        """Return which rows of x are test rows, booleans (N,): none where test rows are given."""
        if self.x_test is not None:
            return np.zeros(len(self.x), dtype=bool)
        labels = self.y if _classes_of(self.y) is not None else None
        return draw_test_rows(len(self.x), self.test_size, self.seed, labels=labels, groups=self.groups)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Arrays):
            return NotImplemented
        return all(_is_equal(getattr(self, each.name), getattr(other, each.name)) for each in fields(self))

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        arguments = [
            f"{name}={value.shape} {value.dtype}" if isinstance(value, np.ndarray) else f"{name}={value!r}"
            for name, value, default in values
            if isinstance(value, np.ndarray) or value != default
        ]
        return f"Arrays({', '.join(arguments)})"

    def _validate_pair(self, x: str, y: str) -> None:
        object.__setattr__(self, x, validate_inputs(getattr(self, x), x))
        object.__setattr__(self, y, validate_targets(getattr(self, y), y))
        rows, targets = len(getattr(self, x)), len(getattr(self, y))
        if rows != targets:
            raise UserMistake(f"{x} has {count(rows, 'row')} and {y} has {targets}.")

    def _validate_targets(self) -> None:
        classes = _classes_of(self.y)
        if classes is not None and self.standardize_targets:
            raise UserMistake("standardize_targets=True needs numbers to predict, and y holds classes.")
        if classes is not None and len(classes) < 2:
            raise UserMistake(f"y holds a single class, {classes[0]}; a classifier needs at least 2.")
        if self.y_test is not None:
            if _describe_kind(self.y_test) != _describe_kind(self.y):
                raise UserMistake(f"y_test holds {_describe_kind(self.y_test)} and y holds {_describe_kind(self.y)}.")
            _encode(self.y_test, classes, "y_test")
        if self.target_names is not None and len(self.target_names) != (outputs := _output_count(self.y, classes)):
            kind = "targets" if classes is None else "classes"
            names = count(len(self.target_names), "name")
            raise UserMistake(f"target_names has {names}, and y has {outputs} {kind}.")

    def _validate_feature_names(self) -> None:
        names, features = self.feature_names, int(np.prod(self.x.shape[1:]))
        if names is not None and len(names) != features:
            raise UserMistake(f"feature_names has {count(len(names), 'name')}, and x has {count(features, 'feature')}.")
        if names is not None and len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise UserMistake(f"feature_names has the name {double!r} more than once.")

    def _standardizes_targets(self, classes: Array | None) -> bool:
        if classes is not None:
            return False
        if self.standardize_targets is None:
            return not are_probabilities(self.y.reshape(len(self.y), -1))
        return self.standardize_targets

    def _encoded_targets(self, y: Array, classes: Array | None, name: str) -> Array:
        """Return the targets as the data holds them: indices of classes (N,), or numbers (N, T)."""
        if not self._standardizes_targets(classes):
            return _encode(y, classes, name)
        return as_rows(y, precise_float_type(self.y))

    def _validate_image_shape(self) -> None:
        row_shape, image_shape = self.x.shape[1:], self.image_shape
        if image_shape is None:
            return
        if (
            len(image_shape) not in (2, 3)
            or np.prod(image_shape) != np.prod(row_shape)
            or (len(row_shape) > 1 and image_shape != row_shape)
        ):
            raise UserMistake(
                f"image_shape={image_shape} is not (height, width) or (height, width, channels) of rows of shape "
                f"{row_shape}."
            )


def _classes_of(y: Array) -> Array | None:
    """Return the distinct labels (C,), sorted; None where y is numbers to predict."""
    return None if y.dtype.kind == "f" else np.unique(y)


def _encode(y: Array, classes: Array | None, name: str) -> Array:
    """Return labels (N,) as indices into the classes, or numbers as float32 (N, T).

    Raises:
        UserMistake: When a label is none of the classes.
    """
    if classes is None:
        return as_finite_float32(y, name).reshape(len(y), -1)
    indices = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    is_unknown = np.asarray(classes[indices] != y)
    if is_unknown.any():
        row = int(is_unknown.argmax())
        raise UserMistake(f"{name} holds the label {y[row]} in row {row}, and y does not hold this label.")
    return indices.astype(np.int64)


def _output_count(y: Array, classes: Array | None) -> int:
    """Return how many classes there are, or how many numbers to predict for each row."""
    return len(classes) if classes is not None else int(y.size // len(y))


def _describe_kind(y: Array) -> str:
    if y.dtype.kind == "f":
        return f"{_output_count(y, None)} floats per row"
    return "strings" if y.dtype.kind in TEXT_KINDS else "whole numbers"


def _require_same_features(x: Array, x_test: Array) -> None:
    features, test_features = (int(np.prod(array.shape[1:])) for array in (x, x_test))
    if features != test_features:
        raise UserMistake(f"x has {count(features, 'feature')} and x_test has {test_features}.")


def _validate_column(values: Any, name: str, rows: int) -> Array:
    """Return a column that is no input as a read-only copy (N,); raise UserMistake where it is not one value a row."""
    column: Array = np.array(values)
    if column.shape != (rows,) or column.dtype.kind == "O":
        raise UserMistake(f"the column {name!r} must have one number or text for each of {count(rows, 'row')}.")
    column.setflags(write=False)
    return column


def _is_equal(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_equal(left[name], right[name]) for name in left)
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return type(left) is type(right) and bool(left == right)

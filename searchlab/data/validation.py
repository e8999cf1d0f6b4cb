"""What users give as arrays, read once and for all or refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake

WORDS = "UT"  # kinds of dtype: NumPy's two kinds of text
CLASSES = "iub" + WORDS


def given_inputs(x: Any, name: str) -> Array:
    """A copy of inputs (N, F) or (N, H, W) that nobody can change; raises UserMistake for what is not numbers."""
    array = _array(x, name)
    if array.dtype.kind not in "iubf":
        raise UserMistake(f"{name} is not numeric: its values are {array.dtype}.")
    if array.ndim not in (2, 3):
        raise UserMistake(f"{name} is (rows, features), or (rows, height, width) for pictures; got {array.shape}.")
    if not array.size:
        raise UserMistake(f"{name} is empty: its shape is {array.shape}.")
    finite(array, name)
    return _locked(array)


def given_targets(y: Any, name: str) -> Array:
    """A copy, that nobody can change, of classes (N,) or numbers (N,) or (N, T); raises UserMistake otherwise."""
    array = _array(y, name)
    if array.dtype.kind not in CLASSES + "f":
        raise UserMistake(f"{name} is neither whole numbers, words nor floats: its values are {array.dtype}.")
    if array.ndim != 1 and not (array.ndim == 2 and array.dtype.kind == "f" and array.size):
        raise UserMistake(f"{name} is one class per row, (rows,), or floats (rows, targets); got {array.shape}.")
    if array.dtype.kind == "f":
        finite(array, name)
    return _locked(array)


def given_groups(groups: Any, rows: int) -> Array:
    """A copy of the group of each row (N,), whatever names them; raises UserMistake for another length."""
    array = _array(groups, "groups")
    if array.shape != (rows,) or array.dtype.kind not in CLASSES + "f":
        raise UserMistake(f"groups name one group for each of {rows} rows; got {array.dtype} of shape {array.shape}.")
    return _locked(array)


def finite(array: Array, name: str) -> Array:
    """The numbers as float32; raises UserMistake where one is NaN, infinite, or too large for float32."""
    with np.errstate(over="ignore", under="ignore"):
        numbers: Array = array.astype(np.float32)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
        raise UserMistake(
            f"{name} holds NaN or infinite numbers, as float32: {wrong.sum()} in all, the first in row {row}, from 0."
        )
    return numbers


def _array(values: Any, name: str) -> Array:
    try:
        array = np.array(values)
    except ValueError as error:
        raise UserMistake(f"{name} cannot be read as an array ({error}).") from error
    if array.dtype == object and array.size and all(isinstance(value, str) for value in array.flat):
        return array.astype(str)  # a column of words as pandas gives it
    return array


def _locked(array: Array) -> Array:
    array.setflags(write=False)
    return array

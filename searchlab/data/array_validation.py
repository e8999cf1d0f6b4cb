"""Arrays that users give: copied, made read-only, and checked once."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.wording import count

TEXT_KINDS = "UT"  # kinds of dtype: NumPy's two kinds of text
CLASS_KINDS = "iub" + TEXT_KINDS
MAX_ROUNDING = 1e-5  # of float32, as a share of the standard deviation of a column


def validate_inputs(x: Any, name: str) -> Array:
    """Return a read-only copy of inputs (N, F), (N, H, W) or (N, H, W, C).

    Raises:
        UserMistake: When they are not finite numbers of such a shape.
    """
    array = _as_array(x, name)
    if array.dtype.kind not in "iubf":
        raise UserMistake(f"{name} must be numeric; its dtype is {array.dtype}.")
    if array.ndim not in (2, 3, 4):
        raise UserMistake(
            f"{name} must be (rows, features), or for images (rows, height, width) or (rows, height, width, channels); "
            f"got {array.shape}."
        )
    if not array.size:
        raise UserMistake(f"{name} is empty: its shape is {array.shape}.")
    as_finite_float32(array, name)
    return _as_read_only(array)


def validate_targets(y: Any, name: str) -> Array:
    """Return a read-only copy of classes (N,), or of numbers (N,) or (N, T).

    Raises:
        UserMistake: When they are neither.
    """
    array = _as_array(y, name)
    if array.dtype.kind not in CLASS_KINDS + "f":
        raise UserMistake(f"{name} must be whole numbers, strings or floats; its dtype is {array.dtype}.")
    if array.ndim != 1 and not (array.ndim == 2 and array.dtype.kind == "f" and array.size):
        raise UserMistake(f"{name} must be one class per row, (rows,), or floats (rows, targets); got {array.shape}.")
    if array.dtype.kind == "f":
        as_finite_float32(array, name)
    return _as_read_only(array)


def validate_groups(groups: Any, rows: int) -> Array:
    """Return a read-only copy of the group of each row (N,), as numbers or strings.

    Raises:
        UserMistake: When there is not one group for each row.
    """
    array = _as_array(groups, "groups")
    if array.shape != (rows,) or array.dtype.kind not in CLASS_KINDS + "f":
        raise UserMistake(
            f"groups must be one group for each of {count(rows, 'row')}; got {array.dtype} of shape {array.shape}."
        )
    return _as_read_only(array)


def as_finite_float32(array: Array, name: str) -> Array:
    """Return the numbers as float32.

    Raises:
        UserMistake: When one is NaN, infinite, or too large for float32.
    """
    with np.errstate(over="ignore", under="ignore"):
        numbers: Array = array.astype(np.float32)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
        values = f"{count(int(wrong.sum()), 'value')} that {'is' if wrong.sum() == 1 else 'are'}"
        raise UserMistake(f"{name} holds {values} NaN or infinite as float32, the first in row {row} (from 0).")
    return numbers


def precise_float_type(array: Array) -> type[np.floating[Any]]:
    """Return float32, or float64 where float32 would round away what tells the rows of finite numbers (N, ...) apart.

    Seconds since 1970 are an example: float32 rounds them to multiples of 128.
    """
    if np.can_cast(array.dtype, np.float32):
        return np.float32
    exact = array.astype(np.float64)
    with np.errstate(under="ignore"):
        lost = np.abs(array.astype(np.float32) - exact).max(axis=0)
        spread = (exact - exact[0]).std(axis=0)
    is_too_coarse = (spread > 0) & (lost > MAX_ROUNDING * spread)
    return np.float64 if is_too_coarse.any() else np.float32


def as_rows(array: Array, dtype: type[np.floating[Any]]) -> Array:
    """Return finite numbers (N, ...) as rows (N, columns) of this type."""
    with np.errstate(under="ignore"):  # numbers too near 0 for float32 become 0
        rows: Array = array.reshape(len(array), -1).astype(dtype)
    return rows


def are_probabilities(y: Array) -> bool:
    """Return whether targets (N, T) are all 0 or 1, or each row of several is a distribution over them."""
    is_distribution = y.shape[1] > 1 and bool((y >= 0).all()) and np.allclose(y.sum(axis=1), 1.0, rtol=0, atol=1e-4)
    return is_distribution or bool(((y == 0) | (y == 1)).all())


def _as_array(values: Any, name: str) -> Array:
    try:
        array = np.array(values)
    except ValueError as error:
        raise UserMistake(f"{name} cannot be read as an array ({error}).") from error
    if array.dtype == object and array.size and all(isinstance(value, str) for value in array.flat):
        return array.astype(str)  # a column of strings as pandas gives it
    return array


def _as_read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array

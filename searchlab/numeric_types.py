"""What counts as a number: Python's and NumPy's numbers alike, and never a bool. It does not import NumPy."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, TypeGuard


def is_whole_number(value: object) -> TypeGuard[int]:
    """Return whether the value is an integer of Python or NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value is an integer or a real number of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool)


def as_python(value: Any) -> Any:
    """Return a number, bool or text of NumPy as Python's own, also inside a tuple; any other value as it is."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return tuple(map(as_python, value)) if type(value) is tuple else value

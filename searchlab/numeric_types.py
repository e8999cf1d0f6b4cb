"""What counts as a number: Python's and NumPy's numbers alike, and never a bool."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np


def is_whole_number(value: object) -> TypeGuard[int]:
    """Return whether the value is an integer of Python or NumPy."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value is an integer or a real number of Python or NumPy."""
    return is_whole_number(value) or isinstance(value, (float, np.floating))


def as_python(value: Any) -> Any:
    """Return a number, bool or text of NumPy as Python's own, also inside a tuple; any other value as it is."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(as_python, value)) if type(value) is tuple else value

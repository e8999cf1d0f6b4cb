"""JSON values that identify the parts of a sweep, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np

from searchlab.data.splits import LATER
from searchlab.numeric_types import as_python
from searchlab.space.domains import Domain, option_label


def to_json_value(value: Any) -> Any:
    """Return a JSON value that distinguishes this value from others; classes and functions are named."""
    value = as_python(value)
    if isinstance(value, Domain):
        conditions = {name: to_json_value(required) for name, required in value.conditions.items()}
        return f"{type(value).__name__}({value})" + (f" when {conditions}" if conditions else "")
    if isinstance(value, np.ndarray):
        return _array_digest(value)
    if isinstance(value, partial):  # it has no name, and its repr contains an address
        keywords = {name: to_json_value(argument) for name, argument in value.keywords.items()}
        function, arguments = to_json_value(value.func), to_json_value(value.args)
        return {"kind": "partial", "function": function, "arguments": arguments, **keywords}
    if is_dataclass(value) and not isinstance(value, type):
        compared = {f.name: to_json_value(getattr(value, f.name)) for f in fields(value) if _counts(f, value)}
        return {"kind": type(value).__name__, **compared}
    if isinstance(value, Mapping):
        return {str(name): to_json_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(item) for item in value]
    if callable(value) or not hasattr(value, "__dict__"):
        return option_label(value)
    attributes = {name: to_json_value(attribute) for name, attribute in vars(value).items()}
    return {"kind": type(value).__name__, **attributes}


def _counts(field: Field[Any], value: Any) -> bool:
    """Return whether a field of a dataclass is part of its description.

    A field that was added later, and has the metadata `LATER`, is left out at its default: older sweeps keep theirs.
    """
    return field.compare and not (
        LATER.items() <= field.metadata.items() and getattr(value, field.name) == field.default
    )


def _array_digest(array: np.ndarray) -> dict[str, Any]:
    """Return shape, dtype and hash of an array; objects are hashed by their text, as their bytes are addresses."""
    content = repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "sha256": hashlib.sha256(content).hexdigest()[:16],
    }

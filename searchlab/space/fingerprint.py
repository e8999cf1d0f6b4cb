"""What tells one sweep from another: its parts as JSON values, the same in every process."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np

from searchlab.space.domains import Domain, label


def plain(value: Any) -> Any:
    """A JSON value that tells this one from others; classes and functions go by name."""
    if isinstance(value, Domain):
        conditions = {name: plain(wanted) for name, wanted in value.conditions.items()}
        return f"{type(value).__name__}({value})" + (f" when {conditions}" if conditions else "")
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, partial):  # it has no name, and its text has an address in it
        keywords = {name: plain(held) for name, held in value.keywords.items()}
        return {"kind": "partial", "function": plain(value.func), "arguments": plain(value.args), **keywords}
    if is_dataclass(value) and not isinstance(value, type):
        arguments = {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.compare}
        return {"kind": type(value).__name__, **arguments}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if callable(value) or not hasattr(value, "__dict__"):
        return label(value)
    return {"kind": type(value).__name__, **{name: plain(held) for name, held in vars(value).items()}}


def _plain_array(array: np.ndarray) -> dict[str, Any]:
    """What tells an array from others without holding it; objects go by their text, for their bytes are addresses."""
    content = repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "sha256": hashlib.sha256(content).hexdigest()[:16],
    }

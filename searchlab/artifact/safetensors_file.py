"""The format safetensors of weights files, for programs that read that: an optional package writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake


def write_safetensors(arrays: Mapping[str, Array]) -> bytes:
    """Return the content of a file with these arrays; raise UserMistake where the package is not installed."""
    content: bytes = require_safetensors().save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return content


def read_safetensors(content: bytes) -> dict[str, Array]:
    """Return the arrays of a file by name.

    Raises:
        UserMistake: When the package safetensors is not installed.
        ValueError: When the content is not in this format.
    """
    numpy_format = require_safetensors()
    try:
        arrays: dict[str, Array] = numpy_format.load(content)
    except Exception as error:  # the package's own exceptions, and those of NumPy for a type that it does not have
        raise ValueError(f"the weights are not in the format safetensors ({error})") from error
    return arrays


def require_safetensors() -> Any:
    """Return the module of the package that reads and writes arrays; raise UserMistake where it is not installed."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise UserMistake(
            "weights in the format safetensors need the package of that name: pip install 'searchlab[safetensors]'."
        ) from error
    return safetensors.numpy

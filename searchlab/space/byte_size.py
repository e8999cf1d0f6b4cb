"""Sizes in bytes as text, such as "200kB"; kB, MB and GB are powers of ten."""

from __future__ import annotations

import re

from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number

BYTES_PER_UNIT = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE_PATTERN = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(BYTES_PER_UNIT)})")


def parse_bytes(value: object, name: str) -> float:
    """Return the bytes that a whole number or a text like "200kB" stands for.

    Raises:
        UserMistake: When the value is neither; the message begins with `name`.
    """
    if is_whole_number(value):
        return float(value)
    match = SIZE_PATTERN.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise UserMistake(f'{name} is not a size in bytes; write a size as "200kB" or "1.5 MB".')
    return float(match[1]) * BYTES_PER_UNIT[match[2]]


def format_bytes(count: float) -> str:
    """Return a number of bytes as text with three digits: 620 MB, 3.1 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000.0
    return f"{count:.3g} GB"

"""Amounts of bytes, as people write and read them; kB, MB and GB are powers of ten."""

from __future__ import annotations

import re

from searchlab.errors import UserMistake

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
WRITTEN = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})")


def amount(given: object, where: str) -> float:
    """Bytes of a whole number, or of text like "200kB"; raises UserMistake that names `where` for anything else."""
    if isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    written = WRITTEN.fullmatch(given) if isinstance(given, str) else None
    if not written:
        raise UserMistake(f'{where} is no amount of bytes; write one as "200kB" or "1.5 MB".')
    return float(written[1]) * UNITS[written[2]]


def size(count: float) -> str:
    """Bytes for people: 620 MB, 3.1 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000.0
    return f"{count:.3g} GB"

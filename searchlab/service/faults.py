"""Faults of the world, as they come through Ray: in one sentence, with what was kept and how to go on."""

from __future__ import annotations

from searchlab.errors import UserMistake, WorldFault


def told(name: str, error: Exception) -> str:
    """One sentence: that of a fault or a mistake in another process, or what Ray met and how to go on."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    known = tuple(f"{kind.__module__}.{kind.__name__}: " for kind in (WorldFault, UserMistake))
    faults = [line.partition(": ")[2] for line in lines if line.startswith(known)]
    if faults:
        return faults[-1]
    return f"Ray could not go on ({lines[0]}); what had ended is kept, and `searchlab resume {name}` goes on."

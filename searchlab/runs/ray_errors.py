"""Faults of the world, as they come through Ray: in one sentence, with what was kept and how to go on."""

from __future__ import annotations

from searchlab.errors import UserMistake, WorldFault

HEADER = "Traceback (most recent call last):"


def as_searchlab_error(name: str, error: Exception) -> UserMistake | WorldFault:
    """What to raise for what Ray raised: a mistake that another process met is one here too."""
    return (UserMistake if isinstance(error, UserMistake) else WorldFault)(error_sentence(name, error))


def error_sentence(name: str, error: Exception) -> str:
    """One sentence: that of a fault or a mistake in another process, or what Ray met and how to go on."""
    known = tuple(f"{kind.__module__}.{kind.__name__}: " for kind in (WorldFault, UserMistake))
    faults = [line.partition(": ")[2] for line in str(error).splitlines() if line.startswith(known)]
    if faults:
        return faults[-1]
    return f"Ray could not go on ({first_line(error)}); what had ended is kept, and `searchlab resume {name}` goes on."


def first_line(error: Exception) -> str:
    """What an error says first; of one that holds a whole traceback, as Tune's and Ray's client's do, its end."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if HEADER not in lines:
        return lines[0]
    last = len(lines) - lines[::-1].index(HEADER)
    raised = next((line for line in lines[last:] if line and not line.startswith(" ")), lines[-1].strip())
    return raised.partition(": ")[2] or raised

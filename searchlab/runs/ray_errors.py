"""Errors that come through Ray, as one sentence that says what is kept and how to continue."""

from __future__ import annotations

from searchlab.errors import UserMistake, WorldFault

TRACEBACK_HEADER = "Traceback (most recent call last):"


def as_searchlab_error(name: str, error: Exception) -> UserMistake | WorldFault:
    """Return the exception to raise for one of Ray's: a UserMistake of another process stays a UserMistake."""
    return (UserMistake if isinstance(error, UserMistake) else WorldFault)(error_sentence(name, error))


def error_sentence(name: str, error: Exception) -> str:
    """Return the sentence of an error of searchlab in another process, or else Ray's error and how to continue.

    `name` is that of the sweep.
    """
    prefixes = tuple(f"{kind.__module__}.{kind.__name__}: " for kind in (WorldFault, UserMistake))
    sentences = [line.partition(": ")[2] for line in str(error).splitlines() if line.startswith(prefixes)]
    if sentences:
        return sentences[-1]
    return f"Ray failed ({first_line(error)}); what was reached is kept, and `searchlab resume {name}` continues it."


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; for a traceback, as Tune and Ray's client give, its last error's."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if TRACEBACK_HEADER not in lines:
        return lines[0]
    last = len(lines) - lines[::-1].index(TRACEBACK_HEADER)
    raised = next((line for line in lines[last:] if line and not line.startswith(" ")), lines[-1].strip())
    return raised.partition(": ")[2] or raised

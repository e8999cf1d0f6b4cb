"""Words of messages that every package needs: a number with its noun, and a suggestion for a misspelled name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

MIN_SIMILARITY = 0.6  # of two names, from 0 to 1


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is needed: "1 trial", "2,000 trials", "3 processes"."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def suggestion(given: str, names: Iterable[str], shown: Mapping[str, str] | None = None) -> str:
    """Return a question about the name that was probably meant, in brackets: " (did you mean 'run'?)".

    Args:
        given: What was given, in letters of either case.
        names: The names that there are.
        shown: How to show a name, such as the path of a file; default: as it is.

    Returns:
        The question, or an empty text where no name is close.
    """
    by_folded_name = {name.lower(): name for name in names}
    close = get_close_matches(given.lower(), by_folded_name, n=1, cutoff=MIN_SIMILARITY)
    if not close:
        return ""
    name = by_folded_name[close[0]]
    return f" (did you mean {(shown or {}).get(name, name)!r}?)"

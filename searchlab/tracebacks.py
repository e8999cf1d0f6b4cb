"""An exception as text: one sentence with the line of the user's code that raised it, and the whole traceback."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchlab.errors import UserMistake, WorldFault

LIBRARY = Path(__file__).parent
INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))
MAX_LETTERS = 8000  # of a traceback; the last ones, which hold the error


def error_sentence(error: BaseException) -> str:
    """Return the first line of an exception, its class, and the place in the user's code that raised it.

    A UserMistake is a sentence for people, to which class and place add nothing.
    """
    lines = str(error).strip().splitlines()
    if isinstance(error, UserMistake) and lines:
        return lines[0]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    place = user_place(error)
    return f"{text} ({place})" if place else text


@contextmanager
def as_user_mistake(what: str) -> Iterator[None]:
    """Within the block, which calls a part that the user chose, raise UserMistake for any exception that is Python's.

    `what` begins the sentence, such as "the data cannot be loaded".
    """
    try:
        yield
    except (UserMistake, WorldFault, MemoryError):
        raise
    except Exception as error:
        raise UserMistake(f"{what}: {error_sentence(error).rstrip('.')}.") from error


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an exception as Python prints it; of a long one, the end."""
    return "".join(traceback.format_exception(error))[-MAX_LETTERS:]


def user_place(error: BaseException) -> str | None:
    """Return file, line and function of the innermost call of the user's own code; None where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.suffix == ".py" and not any(path.is_relative_to(folder) for folder in (LIBRARY, *INSTALLED)):
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            return f"{shown}, line {frame.lineno}, in {frame.name}"
    return None

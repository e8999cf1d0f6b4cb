"""Misspelled arguments in a sweep file: the sentence names those that the class or the function has."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

UNKNOWN = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")  # Python's own words
BUILT = re.compile(r"(\w+)\.__init__\(\) missing .*'replicas'")  # a model or a layer, which the search builds


def unknown_argument(name: str, target: str, known: list[str]) -> str:
    """Return the sentence for an argument that a class or a function does not have."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? It has" if close else "it has"
    return f"{target} has no argument {name!r}; {hint}: {', '.join(known)}."


def misspelled_argument(error: BaseException) -> str | None:
    """Return the sentence for a call with an argument that does not exist, or of what the search calls; else None.

    What was called is looked for by its name in the code that called it.
    """
    if isinstance(error, TypeError) and (built := BUILT.match(str(error))):
        return f"{built[1]} is built by the search; give the class itself, such as Space({built[1]}, ...)."
    found = UNKNOWN.match(str(error)) if isinstance(error, TypeError) else None
    traceback = error.__traceback__
    if found is None or traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    called = next(_called(found[1], traceback.tb_frame), None)
    if called is None:
        return None
    parameters = inspect.signature(called).parameters.values()
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return unknown_argument(found[2], found[1], known)


def _called(name: str, frame: FrameType) -> Iterator[Callable[..., Any]]:
    """Yield the classes and functions of this name that the code of a frame sees, also in the modules that it sees."""
    values = [*frame.f_locals.values(), *frame.f_globals.values()]
    for value in [*values, *(getattr(module, name, None) for module in values if isinstance(module, ModuleType))]:
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__name__ == name:
            yield value

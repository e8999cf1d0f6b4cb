"""Settings: parts of a sweep with arguments fixed by path, as --set and a resumed sweep have them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from searchlab.errors import UserMistake
from searchlab.space.domains import Choice
from searchlab.space.space import Space


def tuples(value: Any) -> Any:
    """The value with tuples for lists: JSON knows no tuple, and a resumed sweep is given what JSON kept."""
    return tuple(tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def option(given: Any, value: Any) -> Any:
    """The option of a choice that a word names, else the value itself."""
    return given.labels.get(value, value) if isinstance(given, Choice) and isinstance(value, str) else value


def fix(given: Any, rest: str, value: Any, path: str) -> Any:
    """A space or dataclass with the argument at the end of the path fixed."""
    name, _, deeper = rest.partition(".")
    if isinstance(given, Choice) and name in given.labels:
        fixed = [fix(held, deeper, value, path) if key == name else held for key, held in given.labels.items()]
        return Choice(*fixed, conditions=given.conditions)
    if isinstance(given, Space):
        there = given.arguments.get(name)
        inner = fix(there, deeper, value, path) if deeper else option(there, value)
        return Space(given.target, **{**given.arguments, name: inner})
    if is_dataclass(given) and not isinstance(given, type) and name in {f.name for f in fields(given)}:
        return replace(given, **{name: fix(getattr(given, name), deeper, value, path) if deeper else value})
    known = (
        given.labels if isinstance(given, Choice) else [f.name for f in fields(given)] if is_dataclass(given) else []
    )
    raise UserMistake(
        f"there is nothing to set at {path!r}: {name!r} is not one of {', '.join(map(str, known)) or 'its parts'}."
    )

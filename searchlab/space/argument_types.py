"""What a constructor's annotations say of the values that its arguments take."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from searchlab.replicas import PER_REPLICA

TYPE_WORDS = {bool: "True or False", int: "a whole number", float: "a finite number", str: "a text", NoneType: "None"}
PLAIN_TYPES = set(TYPE_WORDS)
MAX_SHOWN = 80  # letters of a value in a message


@cache
def keyword_parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the keyword-only parameters of a constructor: its hyperparameters."""
    return {p.name: p for p in _parameters(target).values() if p.kind is p.KEYWORD_ONLY}


@cache
def per_replica_arguments(target: Callable[..., Any]) -> frozenset[str]:
    """Return the arguments annotated PerReplica, which may differ between the replicas of one group."""
    hints = _type_hints(target)
    return frozenset(name for name in keyword_parameters(target) if _is_per_replica(hints.get(name)))


def takes_whole_numbers(target: Callable[..., Any], name: str) -> bool:
    """Return whether the argument is annotated int, alone or among other types, and not float."""
    hint = _type_hints(target).get(name)
    types = _alternatives(hint)
    return int in types and float not in types and not _is_per_replica(hint)


def expected_type(target: Callable[..., Any], name: str, value: Any) -> str | None:
    """Return what the argument takes, as words, where it does not take this value.

    None where it takes the value, and where the annotation does not say. A number has to be finite: an infinite one has
    no meaning in a search.
    """
    hint = _type_hints(target).get(name)
    types = _alternatives(hint) | ({float} if _is_per_replica(hint) else set())
    plain = types & PLAIN_TYPES
    if type(value) in PLAIN_TYPES:  # text may stand for one of the other types
        is_checked = plain == types or _is_per_replica(hint) or not isinstance(value, str)
    else:  # an object may stand for a text, as a path does, and for no number
        is_checked = plain == types and str not in plain
    if not plain - {NoneType} or not is_checked or value is _default(target, name) or _fits(plain, value):
        return None
    shown = plain - {int} if float in plain else plain
    return " or ".join(word for kind, word in TYPE_WORDS.items() if kind in shown)


def _default(target: Callable[..., Any], name: str) -> Any:
    """Return the default of an argument, which an annotation may have forgotten, as in `limit: int = None`."""
    return _parameters(target)[name].default


@cache
def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(target).parameters


def one_line(value: Any) -> str:
    """Return a value in one line of a message; an array takes several by itself."""
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _fits(types: set[Any], value: Any) -> bool:
    if isinstance(value, (bool, str, NoneType)):
        return type(value) in types
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return is_number and (float in types or (int in types and isinstance(value, int)))


@cache
def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a constructor; of a dataclass those of its fields, which bases may have imported."""
    owner = target.__init__ if inspect.isclass(target) and not is_dataclass(target) else target
    with suppress(NameError):  # a name that is imported for type checkers alone, or local to a function
        return get_type_hints(owner, include_extras=True)
    return {}


def _alternatives(hint: Any) -> set[Any]:
    """Return the types of a union, and of the unions and annotated types inside it."""
    if hasattr(hint, "__metadata__"):
        return _alternatives(hint.__origin__)
    if get_origin(hint) in (Union, UnionType):
        return set().union(*map(_alternatives, get_args(hint)))
    return {type(value) for value in get_args(hint)} if get_origin(hint) is Literal else {hint}


def _is_per_replica(hint: Any) -> bool:
    return PER_REPLICA in getattr(hint, "__metadata__", ()) or any(_is_per_replica(part) for part in get_args(hint))

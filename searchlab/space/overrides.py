"""Overrides: arguments of a sweep set by path, as by `--set`, or as a resumed sweep stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from searchlab.errors import UserMistake
from searchlab.space.argument_types import one_line
from searchlab.space.domains import Choice
from searchlab.space.space import Space

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep


def override_arguments(sweep: Sweep, values: Mapping[str, Any]) -> Sweep:
    """Return a copy of a sweep with some arguments set by their paths, such as {"model.hidden": 64, "trials": 10}.

    Raises:
        UserMistake: When a path does not exist, or an argument does not accept its value.
    """
    for path, value in values.items():
        part, _, rest = path.partition(".")
        names = [f.name for f in fields(sweep)]
        if part not in names:
            raise UserMistake(f"{path!r} is not part of a sweep; its parts are: {', '.join(names)}.")
        current = sweep.effective_pruner if part == "pruner" else getattr(sweep, part)
        value = lists_to_tuples(value)
        try:
            new = set_argument(current, rest, value, path) if rest else resolve_option(current, value)
            sweep = replace(sweep, **{part: new})
        except UserMistake:
            raise
        except (TypeError, ValueError) as error:
            raise UserMistake(f"{path} cannot be {one_line(value)} ({error}).") from error
    return sweep


def lists_to_tuples(value: Any) -> Any:
    """Return the value with tuples in place of lists: a resumed sweep reads its overrides from JSON, without tuples."""
    return tuple(lists_to_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def resolve_option(current: Any, value: Any) -> Any:
    """Return the option of a choice whose label the value is, and otherwise the value itself."""
    return current.labels.get(value, value) if isinstance(current, Choice) and isinstance(value, str) else value


def set_argument(owner: Any, path: str, value: Any, full_path: str) -> Any:
    """Return a copy of a space, choice or dataclass with one argument set.

    Args:
        owner: The object that `path` starts from.
        path: Path below the owner: the name of an argument, or names joined by dots.
        value: The new value of the argument.
        full_path: The path as the user gave it, for the message.

    Raises:
        UserMistake: When the path leads nowhere; the message lists the names that exist.
    """
    name, _, rest = path.partition(".")
    if isinstance(owner, Choice) and name in owner.labels:
        options = [
            set_argument(option, rest, value, full_path) if label == name else option
            for label, option in owner.labels.items()
        ]
        return Choice(*options, conditions=owner.conditions)
    if isinstance(owner, Space):
        current = owner.arguments.get(name)
        new = set_argument(current, rest, value, full_path) if rest else resolve_option(current, value)
        return Space(owner.target, **{**owner.arguments, name: new})
    if is_dataclass(owner) and not isinstance(owner, type) and name in {f.name for f in fields(owner)}:
        return replace(owner, **{name: set_argument(getattr(owner, name), rest, value, full_path) if rest else value})
    known = ", ".join(map(str, _argument_names(owner)))
    raise UserMistake(
        f"{full_path!r} cannot be set: {name!r} is not one of {known}."
        if known
        else f"{full_path!r} cannot be set: {name!r} does not exist there."
    )


def _argument_names(owner: Any) -> list[Any]:
    """Return the names that a path may continue with, for a message."""
    if isinstance(owner, Choice):
        return list(owner.labels)
    return [f.name for f in fields(owner)] if is_dataclass(owner) else []

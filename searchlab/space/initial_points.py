"""Known points: those that a sweep tries first (`enqueue=`), and those of an earlier sweep that are in this space."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from searchlab.errors import UserMistake
from searchlab.space.domains import Choice, Domain, Float, Int, ParameterValues, Scalar, is_same_option, option_label
from searchlab.space.space import Space

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

STEP_TOLERANCE = 1e-8  # how far a value may lie from the steps of its range, as a fraction of a step


@dataclass(frozen=True)
class OpenArgument:
    """An open argument of a sweep.

    Attributes:
        domain: The values it may take.
        conditions: For each other open argument that decides whether this one is open, the values that open it.
    """

    domain: Domain
    conditions: Mapping[str, tuple[Scalar, ...]]


def enqueued_points(sweep: Sweep) -> list[dict[str, Scalar]]:
    """Return the points that a sweep tries first, by path, with options as labels.

    Raises:
        UserMistake: When a path is not open, a value is not in its domain, or a condition does not hold.
    """
    if not sweep.enqueue:
        return []
    arguments = open_arguments(sweep)
    fixed = {path: value for path, value, _ in sweep.iter_arguments() if not isinstance(value, Domain)}
    return [
        _normalize_point(point, arguments, fixed, f"enqueue[{number}]") for number, point in enumerate(sweep.enqueue)
    ]


def is_valid_point(sweep: Sweep, parameters: ParameterValues) -> bool:
    """Return whether this sweep could have suggested exactly these values, with no argument more and none fewer."""
    suggested: set[str] = set()

    def suggest(path: str, domain: Domain) -> Scalar:
        suggested.add(path)
        return to_domain_value(domain, parameters[path])

    try:
        sweep.suggest_configuration(suggest)
    except (KeyError, ValueError):
        return False
    return suggested == set(parameters)


def to_domain_value(domain: Domain, value: Any) -> Scalar:
    """Return the value as a sampler would suggest it: the label of an option, or a number of the range.

    Raises:
        ValueError: When the value is not in the domain.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(domain, Choice):
        for label, option in domain.labels.items():
            if _is_label(label, value) or is_same_option(option, tuple(value) if isinstance(value, list) else value):
                return label
    elif isinstance(domain, (Float, Int)) and domain.contains(value) and _is_on_step(domain, value):
        return float(value) if isinstance(domain, Float) else int(value)
    raise ValueError(f"{value!r} is not in {domain}")


def open_arguments(sweep: Sweep) -> dict[str, OpenArgument]:
    """Return every open argument of a sweep by path."""
    return {
        path: argument
        for part in sweep.parts
        for path, argument in _iter_open_arguments(getattr(sweep, part), part, conditions={})
    }


def _iter_open_arguments(
    value: Any, path: str, conditions: Mapping[str, tuple[Scalar, ...]]
) -> Iterator[tuple[str, OpenArgument]]:
    if isinstance(value, Domain):
        yield path, OpenArgument(value, conditions)
    if isinstance(value, Choice):
        for label, option in value.labels.items():
            if isinstance(option, Space):
                yield from _iter_space(option, f"{path}.{label}", {**conditions, path: (label,)})
    elif isinstance(value, Space):
        yield from _iter_space(value, path, conditions)


def _iter_space(
    space: Space, path: str, conditions: Mapping[str, tuple[Scalar, ...]]
) -> Iterator[tuple[str, OpenArgument]]:
    siblings = space.open_arguments
    for name, value in space.arguments.items():
        required = value.conditions if isinstance(value, Domain) else {}
        own_conditions = {
            f"{path}.{sibling}": _allowed_values(siblings[sibling], allowed)
            for sibling, allowed in required.items()
            if sibling in siblings  # a fixed sibling meets the condition, or the space would not be valid
        }
        yield from _iter_open_arguments(value, f"{path}.{name}", {**conditions, **own_conditions})


def _allowed_values(domain: Domain, required: Any) -> tuple[Scalar, ...]:
    """Return the values of a sibling that meet a condition, with options as labels."""
    options = required if isinstance(required, tuple) else (required,)
    if not isinstance(domain, Choice):
        return options
    return tuple(
        label for label, option in domain.labels.items() if any(is_same_option(option, value) for value in options)
    )


def _normalize_point(
    point: Any, arguments: Mapping[str, OpenArgument], fixed: ParameterValues, name: str
) -> dict[str, Scalar]:
    if not isinstance(point, Mapping):
        raise UserMistake(f"{name} is {point!r}; a point is a dict of values by path, such as {{'model.hidden': 64}}.")
    values: dict[str, Scalar] = {}
    for path, value in point.items():
        if path in fixed:
            _validate_fixed(name, path, fixed[path], value)
            continue
        if path not in arguments:
            raise UserMistake(f"{name} has {path!r}, which is not open in this sweep; {_path_hint(path, arguments)}.")
        domain = arguments[path].domain
        try:
            values[path] = to_domain_value(domain, value)
        except ValueError as error:
            raise UserMistake(f"{name} has {path}={_format(value)}, and {path} takes {domain}.") from error
    for path in values:
        for other, allowed in arguments[path].conditions.items():
            _validate_condition(name, path, other, allowed, values)
    return values


def _validate_fixed(name: str, path: str, fixed: Scalar, value: Any) -> None:
    """Raise UserMistake where a point has another value than the sweep, or `--set`, fixes."""
    if option_label(value) != fixed:
        raise UserMistake(f"{name} has {path}={_format(value)}, and this sweep fixes it to {fixed}.")


def _validate_condition(name: str, path: str, other: str, allowed: tuple[Scalar, ...], values: ParameterValues) -> None:
    condition = f"{path} is open only when {other} is {' or '.join(map(str, allowed))}"
    if other not in values:
        raise UserMistake(f"{name} has {path} without {other}, but {condition}; add {other}.")
    if not any(_is_label(value, values[other]) for value in allowed):
        raise UserMistake(f"{name} has {path}, but {condition}, and this point has {values[other]}.")


def _path_hint(path: Any, arguments: Mapping[str, OpenArgument]) -> str:
    close = difflib.get_close_matches(str(path), arguments, n=1)
    return f"did you mean {close[0]!r}?" if close else f"open are: {', '.join(arguments) or 'none'}"


def _is_label(label: Scalar, value: Any) -> bool:
    """Return whether a value is this label; True is not 1."""
    return type(value) in (bool, int, float, str, type(None)) and is_same_option(label, value)


def _is_on_step(domain: Float | Int, value: float) -> bool:
    if not domain.step:
        return True
    steps = (value - domain.low) / domain.step
    return abs(steps - round(steps)) < STEP_TOLERANCE


def _format(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)

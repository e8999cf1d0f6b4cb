"""Known configurations: those that a sweep file has tried first, and those of an earlier sweep that fit this one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from searchlab.errors import UserMistake
from searchlab.space.domains import Choice, Domain, Float, Int, Scalar, label, same
from searchlab.space.space import Space

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

NEAR = 1e-8  # of a step: how far a value may lie from the steps of its range


@dataclass(frozen=True)
class Place:
    """An open argument: its domain, and by path the values of other open arguments under which it is open at all."""

    domain: Domain
    waits: Mapping[str, tuple[Scalar, ...]]


def enqueued(sweep: Sweep) -> list[dict[str, Scalar]]:
    """The configurations to try first, by path, options by their labels; what one leaves out is left to the sampler.

    Raises UserMistake for a path that is not open, a value outside its domain, and one that would not be asked for.
    """
    if not sweep.enqueue:
        return []
    places = places_of(sweep)
    fixed = {path: value for path, value, _ in sweep.walk() if not isinstance(value, Domain)}
    return [_normalized(given, places, fixed, f"enqueue[{number}]") for number, given in enumerate(sweep.enqueue)]


def fits(sweep: Sweep, parameters: Mapping[str, Scalar]) -> bool:
    """Whether a draw of this sweep could have given exactly these values, no argument more and none fewer."""
    asked: set[str] = set()

    def ask(path: str, domain: Domain) -> Scalar:
        asked.add(path)
        return value_of(domain, parameters[path])

    try:
        sweep.draw(ask)
    except (KeyError, ValueError):
        return False
    return asked == set(parameters)


def value_of(domain: Domain, given: Any) -> Scalar:
    """The value as a draw would give it: an option's label, a number of the range; ValueError if it is neither."""
    given = given.item() if isinstance(given, np.generic) else given
    if isinstance(domain, Choice):
        for name, option in domain.labels.items():
            if _is(name, given) or same(option, tuple(given) if isinstance(given, list) else given):
                return name
    elif isinstance(domain, (Float, Int)) and domain.contains(given) and _on_step(domain, given):
        return float(given) if isinstance(domain, Float) else int(given)
    raise ValueError(f"{given!r} is not in {domain}")


def places_of(sweep: Sweep) -> dict[str, Place]:
    """Every open argument by path."""
    return {path: place for part in sweep.parts for path, place in _places(getattr(sweep, part), part, {})}


def _places(value: Any, path: str, waits: Mapping[str, tuple[Scalar, ...]]) -> Iterator[tuple[str, Place]]:
    if isinstance(value, Domain):
        yield path, Place(value, waits)
    if isinstance(value, Choice):
        for name, option in value.labels.items():
            if isinstance(option, Space):
                yield from _arguments(option, f"{path}.{name}", {**waits, path: (name,)})
    elif isinstance(value, Space):
        yield from _arguments(value, path, waits)


def _arguments(space: Space, path: str, waits: Mapping[str, tuple[Scalar, ...]]) -> Iterator[tuple[str, Place]]:
    for name, value in space.arguments.items():
        own = value.conditions if isinstance(value, Domain) else {}
        conditions = {
            f"{path}.{sibling}": _values(space.open[sibling], wanted)
            for sibling, wanted in own.items()
            if sibling in space.open  # a fixed one holds, or the space would have been refused
        }
        yield from _places(value, f"{path}.{name}", {**waits, **conditions})


def _values(domain: Domain, wanted: Any) -> tuple[Scalar, ...]:
    """The values of a sibling that meet a condition, options by their labels."""
    options = wanted if isinstance(wanted, tuple) else (wanted,)
    if not isinstance(domain, Choice):
        return options
    return tuple(name for name, option in domain.labels.items() if any(same(option, one) for one in options))


def _normalized(given: Any, places: Mapping[str, Place], fixed: Mapping[str, Scalar], where: str) -> dict[str, Scalar]:
    if not isinstance(given, Mapping):
        raise UserMistake(f"{where} is {given!r}; a configuration is a dict of values by path, as in model.hidden.")
    values: dict[str, Scalar] = {}
    for path, value in given.items():
        if path in fixed:
            _check_fixed(where, path, fixed[path], value)
            continue
        if path not in places:
            raise UserMistake(f"{where} has {path!r}, which is not open in this sweep; {_hint(path, places)}.")
        try:
            values[path] = value_of(places[path].domain, value)
        except ValueError as error:
            took = f"{path} takes {places[path].domain}"
            raise UserMistake(f"{where} has {path}={_shown(value)}, and {took}.") from error
    for path in values:
        for other, wanted in places[path].waits.items():
            _check_open(where, path, other, wanted, values)
    return values


def _check_fixed(where: str, path: str, fixed: Scalar, value: Any) -> None:
    """What the sweep fixes, or --set, may be given as it is."""
    if label(value) != fixed:
        raise UserMistake(f"{where} has {path}={_shown(value)}, and this sweep fixes it to {fixed}.")


def _check_open(where: str, path: str, other: str, wanted: tuple[Scalar, ...], values: Mapping[str, Scalar]) -> None:
    needs = f"{path} is open only when {other} is {' or '.join(map(str, wanted))}"
    if other not in values:
        raise UserMistake(f"{where} has {path} and leaves {other} out, but {needs}: give that too.")
    if not any(_is(one, values[other]) for one in wanted):
        raise UserMistake(f"{where} has {path}, but {needs}, and it is {values[other]} there.")


def _hint(path: Any, places: Mapping[str, Place]) -> str:
    close = difflib.get_close_matches(str(path), places, n=1)
    return f"did you mean {close[0]!r}?" if close else f"open are: {', '.join(places) or 'none'}"


def _is(name: Scalar, given: Any) -> bool:
    """Whether they are the same plain value: True is not 1."""
    return type(given) in (bool, int, float, str, type(None)) and same(name, given)


def _on_step(domain: Float | Int, value: float) -> bool:
    if not domain.step:
        return True
    steps = (value - domain.low) / domain.step
    return abs(steps - round(steps)) < NEAR


def _shown(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)

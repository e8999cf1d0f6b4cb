"""What an argument left open may be: a range of numbers or a choice of options."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

from searchlab.errors import UserMistake

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True)
class Domain(ABC):
    """What an open argument may be, and under which values of its siblings it is open at all."""

    conditions: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def when(self, **conditions: Any) -> Any:
        """The same domain, open only while each named sibling has this value, or one of this tuple of values."""
        if not conditions:
            raise UserMistake(f"{self}.when() needs the name and value of a sibling, as in .when(tied=False).")
        return replace(self, conditions={**self.conditions, **conditions})

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Whether the argument could take this value."""


@dataclass(frozen=True)
class Float(Domain):
    """A number between low and high, both included; on a logarithmic scale if `log`, in steps if `step`."""

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high, self.log, self.step)

    def contains(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return _range_text(self.low, self.high, self.log, self.step)


@dataclass(frozen=True)
class Int(Domain):
    """A whole number between low and high, both included; on a logarithmic scale if `log`, in steps of `step`."""

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high, self.log, None if self.step == 1 else self.step)
        if any(not isinstance(number, int) for number in (self.low, self.high, self.step)):
            raise UserMistake(f"Int({self.low}, {self.high}) takes whole numbers; Float takes the others.")

    def contains(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{_range_text(self.low, self.high, self.log, None if self.step == 1 else self.step)}, whole"


class Choice(Domain):
    """One of several options: numbers, words, classes, functions, tuples, or spaces with open arguments."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any, conditions: Mapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "conditions", conditions or {})
        if not options:
            raise UserMistake("Choice() needs at least one option.")
        ranges = [option for option in options if isinstance(option, Domain)]
        if ranges:
            raise UserMistake(f"Choice() chooses between values and spaces, and {ranges[0]!r} is neither.")
        if len(self.labels) < len(options):
            raise UserMistake(f"{self} has an option twice.")

    def when(self, **conditions: Any) -> Any:
        return Choice(*self.options, conditions={**self.conditions, **conditions}) if conditions else super().when()

    @cached_property
    def labels(self) -> dict[Scalar, Any]:
        """Each option by the name it is stored and shown under."""
        return {label(option): option for option in self.options}

    def contains(self, value: Any) -> bool:
        return any(same(option, value) for option in self.options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and (self.options, self.conditions) == (other.options, other.conditions)

    def __hash__(self) -> int:
        return hash(self.options)

    def __str__(self) -> str:
        return " | ".join(str(name) for name in self.labels)

    def __repr__(self) -> str:
        return f"Choice({', '.join(repr(name) for name in self.labels)})"


def label(option: Any) -> Scalar:
    """The name an option is stored and shown under: itself if it is a plain value, else the name of its class."""
    if option is None or isinstance(option, (bool, int, float, str)):
        return option
    option = getattr(option, "target", option)  # a space goes by what it constructs
    if isinstance(option, partial):
        given = [str(label(held)) for held in option.args]
        given += [f"{name}={label(held)}" for name, held in option.keywords.items()]
        return f"{label(option.func)}({', '.join(given)})"
    return str(getattr(option, "__name__", None) or option)


def same(option: Any, value: Any) -> bool:
    """Whether an option is this value: a space is the constructor it opens, and True is not 1."""
    option = getattr(option, "target", option)
    return bool(option == value) and isinstance(option, bool) == isinstance(value, bool)


def _range_text(low: float, high: float, log: bool, step: float | None) -> str:
    """In 15 digits, so that two ranges that differ read differently: sweeps are told apart by this text."""
    return f"{low:.15g} to {high:.15g}" + (", log" if log else "") + (f", step {step:.15g}" if step else "")


def _check_range(domain: Domain, low: float, high: float, log: bool, step: float | None) -> None:
    name = type(domain).__name__
    numbers = (low, high) if step is None else (low, high, step)
    if any(isinstance(n, bool) or not isinstance(n, (int, float)) or not math.isfinite(n) for n in numbers):
        raise UserMistake(f"{name}({low!r}, {high!r}) takes finite numbers.")
    if low >= high:
        raise UserMistake(
            f"{name}({low}, {high}) is an empty range: the low end comes first and lies below the high one."
        )
    if log and low <= 0:
        raise UserMistake(f"{name}({low}, {high}, log=True) needs a low end above 0.")
    if log and step is not None:
        raise UserMistake(f"{name}({low}, {high}) takes log or step, not both.")
    if step is not None and not 0 < step <= high - low:
        raise UserMistake(f"{name}({low}, {high}) needs a step above 0 and no larger than the range, got {step}.")

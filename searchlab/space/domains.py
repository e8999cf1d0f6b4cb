"""Domains: what an open argument may be, either a range of numbers or a choice of options."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

from searchlab.errors import UserMistake
from searchlab.numeric_types import as_python, is_number, is_whole_number

Scalar: TypeAlias = bool | int | float | str | None
"""A parameter value as it is stored: a number of a range, or the label of an option."""

ParameterValues: TypeAlias = Mapping[str, Scalar]
"""The values of a trial's open arguments by path, such as `{"model.hidden": 64, "optimizer": "SGD"}`."""


@dataclass(frozen=True)
class Domain(ABC):
    """The values that an open argument may take, and the conditions under which it is open.

    Args:
        conditions: Required value, or tuple of allowed values, of each named sibling argument; set by `when`.
    """

    conditions: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def when(self, **conditions: Any) -> Any:
        """Return the same domain, open only while its sibling arguments have the given values.

        Where a condition does not hold, the argument is not suggested and keeps its default.

        Args:
            conditions: For each sibling argument of the same space, its required value or a tuple of allowed values.

        Returns:
            The conditional domain. Conditions of several calls must all hold.

        Raises:
            UserMistake: When no condition is given.

        Example:
            >>> from models.mlp import MLP
            >>> from searchlab import Float, Int, Space
            >>> space = Space(MLP, layers=Int(0, 3), dropout=Float(0.0, 0.5).when(layers=(1, 2, 3)))
            >>> space.open_arguments["dropout"].conditions
            {'layers': (1, 2, 3)}
        """
        if not conditions:
            raise UserMistake(f"{self}.when() needs a sibling argument and its value, as in .when(tied=False).")
        return replace(self, conditions={**self.conditions, **conditions})

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Return whether the argument may take this value."""


@dataclass(frozen=True)
class Float(Domain):
    """A range of real numbers.

    Args:
        low: Smallest value, included.
        high: Largest value, included.
        log: Whether values are drawn on a logarithmic scale, which needs `low` above 0; default False.
        step: Distance between neighboring values; default None, which allows every number of the range.
        conditions: Required values of sibling arguments; set by `when`.

    Raises:
        UserMistake: When the range is empty or not finite, or `log` and `step` are both given.

    Example:
        >>> from searchlab import Float
        >>> Float(1e-4, 0.1, log=True).contains(0.01)
        True
        >>> print(Float(0, 0.5, step=0.1))
        0 to 0.5, step 0.1
    """

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _convert_numbers(self)
        _validate_range(self, self.low, self.high, log=self.log, step=self.step)

    def contains(self, value: Any) -> bool:
        """Return whether the value is a number of the range; steps are not checked."""
        return is_number(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        return _format_range(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Int(Domain):
    """A range of whole numbers.

    Args:
        low: Smallest value, included.
        high: Largest value, included.
        log: Whether values are drawn on a logarithmic scale, which needs `low` above 0; default False.
        step: Distance between neighboring values; default 1.
        conditions: Required values of sibling arguments; set by `when`.

    Raises:
        UserMistake: When the range is empty or has fractions, or `log` and `step` are both given.

    Example:
        >>> from searchlab import Int
        >>> Int(1, 8).contains(8), Int(1, 8).contains(2.5)
        (True, False)
        >>> print(Int(16, 128, step=16))
        16 to 128, step 16, whole
    """

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        _convert_numbers(self)
        _validate_range(self, self.low, self.high, log=self.log, step=self._step_or_none)
        if any(not isinstance(number, int) for number in (self.low, self.high, self.step)):
            raise UserMistake(f"Int({self.low}, {self.high}) takes whole numbers; use Float for other numbers.")

    def contains(self, value: Any) -> bool:
        """Return whether the value is a whole number of the range; steps are not checked."""
        return is_whole_number(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{_format_range(self.low, self.high, log=self.log, step=self._step_or_none)}, whole"

    @property
    def _step_or_none(self) -> int | None:
        return None if self.step == 1 else self.step


class Choice(Domain):
    """A choice of one option out of several.

    Args:
        options: Numbers, strings, classes, functions, tuples, or spaces with open arguments of their own.
        conditions: Required values of sibling arguments; use `when` instead.

    Attributes:
        labels: Each option by the label under which it is stored and shown.

    Raises:
        UserMistake: When there is no option, an option is given twice, or an option is a domain.

    Example:
        >>> from searchlab import SGD, Adam, Choice, Float, Space
        >>> optimizer = Choice(Space(SGD, lr=Float(0.01, 1.0, log=True)), Space(Adam))
        >>> list(optimizer.labels)
        ['SGD', 'Adam']
        >>> Choice(32, 64, 128).contains(64)
        True
    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any, conditions: Mapping[str, Any] | None = None) -> None:
        options = tuple(map(as_python, options))
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "conditions", conditions or {})
        if not options:
            raise UserMistake("Choice() needs at least one option.")
        domains = [option for option in options if isinstance(option, Domain)]
        if domains:
            raise UserMistake(f"Choice() takes values and spaces as options, got the domain {domains[0]!r}.")
        if len(self.labels) < len(options):
            raise UserMistake(f"{self} has an option twice.")

    def when(self, **conditions: Any) -> Any:
        """Return the same choice, open only while its sibling arguments have the given values; see `Domain.when`."""
        return Choice(*self.options, conditions={**self.conditions, **conditions}) if conditions else super().when()

    @cached_property
    def labels(self) -> dict[Scalar, Any]:
        """Each option by the label under which it is stored and shown."""
        return {option_label(option): option for option in self.options}

    def contains(self, value: Any) -> bool:
        """Return whether the value is one of the options; a space stands for its constructor."""
        return any(is_same_option(option, value) for option in self.options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and (self.options, self.conditions) == (other.options, other.conditions)

    def __hash__(self) -> int:
        return hash(self.options)

    def __str__(self) -> str:
        return " | ".join(str(name) for name in self.labels)

    def __repr__(self) -> str:
        return f"Choice({', '.join(repr(name) for name in self.labels)})"


def option_label(option: Any) -> Scalar:
    """Return the label of an option: the option itself where it is a scalar, otherwise the name of its class."""
    if option is None or isinstance(option, (bool, int, float, str)):
        return option
    option = getattr(option, "target", option)  # a space has the name of its constructor
    if isinstance(option, partial):
        arguments = [str(option_label(value)) for value in option.args]
        arguments += [f"{name}={option_label(value)}" for name, value in option.keywords.items()]
        return f"{option_label(option.func)}({', '.join(arguments)})"
    return str(getattr(option, "__name__", None) or option)


def is_same_option(option: Any, value: Any) -> bool:
    """Return whether an option equals a value; a space equals its constructor, and True does not equal 1."""
    option = getattr(option, "target", option)
    return bool(option == value) and isinstance(option, bool) == isinstance(value, bool)


def _format_range(low: float, high: float, *, log: bool, step: float | None) -> str:
    """Return a range as text, with 15 digits: the fingerprint of a sweep compares ranges by this text."""
    return f"{low:.15g} to {high:.15g}" + (", log" if log else "") + (f", step {step:.15g}" if step else "")


def _convert_numbers(domain: Float | Int) -> None:
    """Replace numbers of NumPy in a range by Python's own."""
    for name in ("low", "high", "step"):
        object.__setattr__(domain, name, as_python(getattr(domain, name)))


def _validate_range(domain: Domain, low: float, high: float, *, log: bool, step: float | None) -> None:
    name = type(domain).__name__
    numbers = (low, high) if step is None else (low, high, step)
    if any(isinstance(n, bool) or not isinstance(n, (int, float)) or not math.isfinite(n) for n in numbers):
        raise UserMistake(f"{name}({low!r}, {high!r}) takes finite numbers.")
    if low >= high:
        raise UserMistake(f"{name}({low}, {high}) is an empty range: the first number must be below the second.")
    if log and low <= 0:
        raise UserMistake(f"{name}({low}, {high}, log=True) needs a low end above 0.")
    if log and step is not None:
        raise UserMistake(f"{name}({low}, {high}) takes either log or step, and both are given.")
    if step is not None and not 0 < step <= high - low:
        raise UserMistake(f"{name}({low}, {high}) needs a step above 0 and no larger than the range, got {step}.")

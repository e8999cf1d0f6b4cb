"""Search spaces: a constructor with some of its keyword arguments left open."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from searchlab.errors import UserMistake
from searchlab.numeric_types import as_python
from searchlab.space.argument_types import (
    expected_type,
    keyword_parameters,
    one_line,
    per_replica_arguments,
    takes_whole_numbers,
)
from searchlab.space.domains import Choice, Domain, Float, Int, Scalar, is_same_option, option_label
from searchlab.space.misspelled import unknown_argument


class Suggest(Protocol):
    """A callback that suggests a value for one open argument, as `optuna.Trial.suggest_float` and its kin do."""

    def __call__(self, path: str, domain: Domain) -> Scalar:
        """Return a number of a Float or Int, or the label of an option of a Choice."""


@dataclass(frozen=True)
class BoundConstructor:
    """A constructor with a value for each of its arguments.

    Attributes:
        target: The constructor: a class or a function.
        arguments: Its keyword arguments by name; the argument of a nested space is a BoundConstructor in turn.
    """

    target: Callable[..., Any]
    arguments: Mapping[str, Any]

    @property
    def keywords(self) -> dict[str, Any]:
        """The keyword arguments as the constructor takes them; a nested one is a callable, as a class would be.

        `activation=Relu` and `activation=Space(LeakyRelu, slope=Float(0.0, 0.3))` are both called with the replicas.
        """
        return {
            name: partial(value.target, **value.keywords) if isinstance(value, BoundConstructor) else value
            for name, value in self.arguments.items()
        }

    def build(self, *positional: Any) -> Any:
        """Call the constructor with these positional arguments and all keyword arguments."""
        return self.target(*positional, **self.keywords)


class Space:
    """A constructor whose keyword arguments are given as values or left open as domains.

    Arguments that are not mentioned keep the default of the constructor. The space is validated when it is created.

    Args:
        target: The class or function whose keyword-only arguments are searched.
        arguments: A value, a domain (`Float`, `Int`, `Choice`) or a nested `Space` for each keyword argument.

    Raises:
        UserMistake: When the target is an object, the constructor does not have an argument or a required one is
            missing, a range does not fit the argument's type, or a condition can never hold.

    Example:
        >>> from searchlab import Float, Momentum, Space
        >>> space = Space(Momentum, lr=Float(0.001, 0.3, log=True), momentum=0.9)
        >>> list(space.open_arguments)
        ['lr']
        >>> Space(Momentum, learning_rate=0.1)
        Traceback (most recent call last):
        searchlab.errors.UserMistake: Momentum has no argument 'learning_rate'; it has: lr, momentum.
    """

    def __init__(self, target: Callable[..., Any], **arguments: Any) -> None:
        self.target, self.arguments = target, {name: as_python(value) for name, value in arguments.items()}
        self._validate_target()
        self._validate_names()
        for name, value in self.arguments.items():
            self._validate_values(name, value)
        for name, domain in self.open_arguments.items():
            self._validate_type(name, domain)
            self._validate_conditions(name, domain)
        self._order = self._dependency_order()

    @property
    def open_arguments(self) -> dict[str, Domain]:
        """The arguments left open, by name."""
        return {name: value for name, value in self.arguments.items() if isinstance(value, Domain)}

    def bind(self, suggest: Suggest, path: str) -> BoundConstructor:
        """Return the constructor with a suggested value for every open argument.

        Args:
            suggest: Callback that receives the path of each open argument, such as "model.hidden", and its domain.
            path: Path of this space, the prefix of its arguments' paths.

        Returns:
            The bound constructor. An argument whose conditions do not hold is left out, so it keeps its default.
        """
        values: dict[str, Any] = {}
        for name in self._order:
            value = self.arguments[name]
            if isinstance(value, Domain):
                if not _conditions_hold(value, values):
                    continue
                value = suggest_argument(suggest, f"{path}.{name}", value)
            elif isinstance(value, Space):
                value = value.bind(suggest, f"{path}.{name}")
            values[name] = value
        return BoundConstructor(self.target, values)

    def iter_arguments(self, path: str) -> Iterator[tuple[str, Domain | Scalar, bool]]:
        """Yield every argument, including those of nested spaces.

        An argument that a condition refers to is never per replica: all trials of a group have the same arguments.

        Args:
            path: Path of this space, the prefix of its arguments' paths.

        Yields:
            The path of the argument, its domain or fixed value, and whether it is per replica.
        """
        referenced = {sibling for domain in self.open_arguments.values() for sibling in domain.conditions}
        for name in self._order:
            value, argument_path = self.arguments[name], f"{path}.{name}"
            if isinstance(value, Space):
                yield argument_path, option_label(value), False
                yield from value.iter_arguments(argument_path)
                continue
            differs = name in per_replica_arguments(self.target) and _is_stackable(value) and name not in referenced
            yield argument_path, value if isinstance(value, Domain) else option_label(value), differs
            if isinstance(value, Choice):
                yield from iter_option_arguments(value, argument_path)

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"Space({self.target.__name__}{arguments})"

    def _validate_target(self) -> None:
        """Raise UserMistake for an object in place of its class."""
        if not callable(self.target) or not hasattr(self.target, "__name__"):
            kind = type(self.target)
            hint = "" if kind.__module__ == "builtins" else f"; give the class itself: Space({kind.__name__}, ...)"
            raise UserMistake(f"Space(...) takes a class or a function, got {one_line(self.target)}{hint}.")

    def _validate_names(self) -> None:
        known = keyword_parameters(self.target)
        if self.arguments and not known and hasattr(self.target, "training") and hasattr(self.target, "testing"):
            name = self.target.__name__
            raise UserMistake(
                f"data is not searched: give the data set itself with its values, data={name}(...); only arguments of "
                "model, optimizer and training can be open."
            )
        for name in self.arguments:
            if name not in known:
                raise UserMistake(unknown_argument(name, self.target.__name__, list(known)))
        missing = [name for name, p in known.items() if p.default is p.empty and name not in self.arguments]
        if missing:
            raise UserMistake(f"{self.target.__name__} needs {', '.join(missing)}: give a value or a domain.")

    def _validate_values(self, name: str, value: Any) -> None:
        """Raise UserMistake where the argument's annotation does not allow a value or an option."""
        if isinstance(value, (Float, Int)):
            options: tuple[Any, ...] = (value.low, value.high)
        else:
            options = value.options if isinstance(value, Choice) else (value,)
        for option in options:
            expected = expected_type(self.target, name, option)
            if expected:
                raise UserMistake(f"{name} of {self.target.__name__} takes {expected}, got {one_line(option)}.")

    def _validate_type(self, name: str, domain: Domain) -> None:
        if isinstance(domain, Float) and takes_whole_numbers(self.target, name):
            raise UserMistake(
                f"{name} of {self.target.__name__} takes whole numbers, got Float({domain}); use Int instead."
            )

    def _validate_conditions(self, name: str, domain: Domain) -> None:
        if domain.conditions and keyword_parameters(self.target)[name].default is inspect.Parameter.empty:
            conditions = " and ".join(f"{sibling} is {_format(value)}" for sibling, value in domain.conditions.items())
            raise UserMistake(
                f"{self.target.__name__} always needs {name}, so it cannot be open only when {conditions}; give it a "
                "default in the constructor."
            )
        for sibling, required in domain.conditions.items():
            condition = f"{name} of {self.target.__name__} is open only when {sibling} is {_format(required)}"
            if sibling not in self.arguments:
                given = ", ".join(self.arguments)
                raise UserMistake(f"{condition}, but {sibling!r} is not among the arguments of the space: {given}.")
            value = self.arguments[sibling]
            if not any(
                value.contains(option) if isinstance(value, Domain) else is_same_option(value, option)
                for option in _as_options(required)
            ):
                actual = value if isinstance(value, Domain) else _format(value)
                raise UserMistake(f"{condition}, which is impossible: {sibling} is {actual}.")

    def _dependency_order(self) -> list[str]:
        """Return the arguments ordered so that each comes after those that its conditions refer to."""
        order: list[str] = []
        remaining = list(self.arguments)
        while remaining:
            ready = [name for name in remaining if self._siblings(name) <= set(order)]
            if not ready:
                raise UserMistake(
                    f"the conditions of {', '.join(remaining)} in {self.target.__name__} depend on each other in a "
                    "circle; remove one of them."
                )
            order += ready
            remaining = [name for name in remaining if name not in ready]
        return order

    def _siblings(self, name: str) -> set[str]:
        """Return the siblings that the conditions of an argument refer to."""
        value = self.arguments[name]
        return set(value.conditions) if isinstance(value, Domain) else set()


def suggest_argument(suggest: Suggest, path: str, domain: Domain) -> Any:
    """Return the suggested value of one open argument; a chosen space is bound under the path with its label."""
    value = suggest(path, domain)
    if not isinstance(domain, Choice):
        return value
    option = domain.labels[value]
    return option.bind(suggest, f"{path}.{value}") if isinstance(option, Space) else option


def iter_option_arguments(choice: Choice, path: str) -> Iterator[tuple[str, Domain | Scalar, bool]]:
    """Yield what `Space.iter_arguments` yields, for each space among the options."""
    for name, option in choice.labels.items():
        if isinstance(option, Space):
            yield from option.iter_arguments(f"{path}.{name}")


def _is_stackable(value: Any) -> bool:
    """Return whether values can be stacked by replica; a choice between a number and None is structure instead."""
    return not isinstance(value, Choice) or all(isinstance(option, (int, float)) for option in value.options)


def _conditions_hold(domain: Domain, values: Mapping[str, Any]) -> bool:
    """Return whether the siblings of a domain have values that meet its conditions."""
    return all(
        sibling in values and _meets_condition(values[sibling], required)
        for sibling, required in domain.conditions.items()
    )


def _meets_condition(value: Any, required: Any) -> bool:
    value = value.target if isinstance(value, BoundConstructor) else value
    return any(is_same_option(value, option) for option in _as_options(required))


def _as_options(required: Any) -> tuple[Any, ...]:
    """Return the allowed values of a condition, which is one value or a tuple of them."""
    return required if isinstance(required, tuple) else (required,)


def _format(value: Any) -> str:
    """Return a value, or the allowed values of a condition, as text for a message."""
    return " or ".join(str(option_label(item)) for item in _as_options(value))

"""Search spaces: a constructor with some of its keyword arguments left open."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol, get_args, get_type_hints

from searchlab.errors import UserMistake
from searchlab.replicas import PER_REPLICA
from searchlab.space.domains import Choice, Domain, Float, Scalar, label, same


class Ask(Protocol):
    """Whoever proposes: gives one value for an open argument."""

    def __call__(self, path: str, domain: Domain) -> Scalar:
        """A number of a Float or Int; the label of one of a Choice's options."""


@dataclass(frozen=True)
class Drawn:
    """A constructor with all arguments settled, each a value or a Drawn of its own."""

    target: Callable[..., Any]
    arguments: Mapping[str, Any]

    @property
    def settled(self) -> dict[str, Any]:
        """The arguments as the constructor takes them: a part of its own comes as something to call, as a class would.

        `activation=Relu` and `activation=Space(LeakyRelu, slope=Float(0.0, 0.3))` are both called with the replicas.
        """
        return {
            name: partial(value.target, **value.settled) if isinstance(value, Drawn) else value
            for name, value in self.arguments.items()
        }

    def build(self, *positional: Any) -> Any:
        """What the constructor makes of these arguments."""
        return self.target(*positional, **self.settled)


@cache
def keywords_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A constructor's keyword-only parameters: its hyperparameters."""
    return {p.name: p for p in inspect.signature(target).parameters.values() if p.kind is p.KEYWORD_ONLY}


@cache
def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)


@cache
def per_replica_of(target: Callable[..., Any]) -> frozenset[str]:
    """The arguments annotated PerReplica: they may differ between the replicas of one group."""
    hints = _hints(target)
    return frozenset(name for name in keywords_of(target) if _is_per_replica(hints.get(name)))


class Space:
    """A constructor with keyword arguments given as values or left open as domains; checked when it is written.

    Raises UserMistake for an argument the constructor does not have, one it needs and is not given, a range that does
    not fit its type, or a condition that can never hold.
    """

    def __init__(self, target: Callable[..., Any], **arguments: Any) -> None:
        self.target, self.arguments = target, dict(arguments)
        self._check_names()
        for name, domain in self.open.items():
            self._check_type(name, domain)
            self._check_conditions(name, domain)
        self._order = self._dependencies_first()

    @property
    def open(self) -> dict[str, Domain]:
        """The arguments left open."""
        return {name: value for name, value in self.arguments.items() if isinstance(value, Domain)}

    def draw(self, ask: Ask, path: str) -> Drawn:
        """Settle every open argument by asking for it under its path; closed conditions leave it to its default."""
        values: dict[str, Any] = {}
        for name in self._order:
            value = self.arguments[name]
            if isinstance(value, Domain):
                if not all(
                    name in values and _meets(values[name], wanted) for name, wanted in value.conditions.items()
                ):
                    continue
                value = ask_for(ask, f"{path}.{name}", value)
            elif isinstance(value, Space):
                value = value.draw(ask, f"{path}.{name}")
            values[name] = value
        return Drawn(self.target, values)

    def walk(self, path: str) -> Iterator[tuple[str, Domain | Scalar, bool]]:
        """Every argument with its path and whether it is per replica, those of nested spaces included.

        What decides whether a sibling is open is structure: of a group, all have the same arguments.
        """
        decisive = {sibling for domain in self.open.values() for sibling in domain.conditions}
        for name in self._order:
            value = self.arguments[name]
            if isinstance(value, Space):
                yield f"{path}.{name}", label(value), False
                yield from value.walk(f"{path}.{name}")
            else:
                yield (
                    f"{path}.{name}",
                    value if isinstance(value, Domain) else label(value),
                    name in per_replica_of(self.target) and _numeric(value) and name not in decisive,
                )
            if isinstance(value, Choice):
                yield from walk_options(value, f"{path}.{name}")

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"Space({self.target.__name__}{arguments})"

    def _check_names(self) -> None:
        known = keywords_of(self.target)
        for name in self.arguments:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}? It has" if close else "it has"
                raise UserMistake(f"{self.target.__name__} has no argument {name!r}; {hint}: {', '.join(known)}.")
        missing = [name for name, p in known.items() if p.default is p.empty and name not in self.arguments]
        if missing:
            raise UserMistake(f"{self.target.__name__} needs {', '.join(missing)}: give a value or leave it open.")

    def _check_type(self, name: str, domain: Domain) -> None:
        if isinstance(domain, Float) and _takes_whole_numbers(self.target, name):
            raise UserMistake(
                f"{self.target.__name__}'s {name} is a whole number and Float({domain}) gives fractions; use Int."
            )

    def _check_conditions(self, name: str, domain: Domain) -> None:
        if domain.conditions and keywords_of(self.target)[name].default is inspect.Parameter.empty:
            told = ", ".join(f"{sibling} is {_text(wanted)}" for sibling, wanted in domain.conditions.items())
            raise UserMistake(
                f"{self.target.__name__} always needs {name}, so it cannot be open only when {told}; give it a default."
            )
        for sibling, wanted in domain.conditions.items():
            where = f"{name} of {self.target.__name__} is open only when {sibling} is {_text(wanted)}"
            if sibling not in self.arguments:
                raise UserMistake(f"{where}, but {sibling!r} is not given; given are: {', '.join(self.arguments)}.")
            there = self.arguments[sibling]
            options = wanted if isinstance(wanted, tuple) else (wanted,)
            if not any(there.contains(o) if isinstance(there, Domain) else same(there, o) for o in options):
                raise UserMistake(
                    f"{where}, which it never is: {sibling} is {there if isinstance(there, Domain) else _text(there)}."
                )

    def _dependencies_first(self) -> list[str]:
        order: list[str] = []
        waiting = list(self.arguments)
        while waiting:
            ready = [
                n for n in waiting if not isinstance(d := self.arguments[n], Domain) or set(d.conditions) <= set(order)
            ]
            if not ready:
                raise UserMistake(
                    f"the conditions of {', '.join(waiting)} in {self.target.__name__} wait for each other."
                )
            order += ready
            waiting = [n for n in waiting if n not in ready]
        return order


def ask_for(ask: Ask, path: str, domain: Domain) -> Any:
    """The value of one open argument; a chosen space is drawn in turn, under the path with its label."""
    answer = ask(path, domain)
    if not isinstance(domain, Choice):
        return answer
    option = domain.labels[answer]
    return option.draw(ask, f"{path}.{answer}") if isinstance(option, Space) else option


def walk_options(choice: Choice, path: str) -> Iterator[tuple[str, Domain | Scalar, bool]]:
    """What `Space.walk` gives for each space among the options."""
    for name, option in choice.labels.items():
        if isinstance(option, Space):
            yield from option.walk(f"{path}.{name}")


def _numeric(value: Any) -> bool:
    """Whether it can be stacked replica by replica: a choice between a number and None is a choice of structure."""
    return not isinstance(value, Choice) or all(isinstance(option, (int, float)) for option in value.options)


def _meets(value: Any, wanted: Any) -> bool:
    options = wanted if isinstance(wanted, tuple) else (wanted,)
    return any(same(value.target if isinstance(value, Drawn) else value, option) for option in options)


def _text(value: Any) -> str:
    return " or ".join(str(label(item)) for item in value) if isinstance(value, tuple) else str(label(value))


def _takes_whole_numbers(target: Callable[..., Any], name: str) -> bool:
    """Whether the argument is annotated int, alone or among other types, and not float."""
    hint = _hints(target).get(name)
    kinds = set(get_args(hint)) | {hint}
    return int in kinds and float not in kinds and not _is_per_replica(hint)


def _is_per_replica(hint: Any) -> bool:
    return PER_REPLICA in getattr(hint, "__metadata__", ()) or any(_is_per_replica(part) for part in get_args(hint))

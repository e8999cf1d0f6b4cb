"""The constraint of a sweep: a candidate that breaks it is told as infeasible and never trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from searchlab.data.loaded import LoadedDataset
from searchlab.errors import UserMistake
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Replicas
from searchlab.space.byte_size import amount, size
from searchlab.space.domains import Scalar, label
from searchlab.space.space import Drawn
from searchlab.space.structure import fuse, structural
from searchlab.space.sweep import Sweep


class Candidate(Mapping[str, Scalar]):
    """A point of the space before it is trained: its values by path, drawn and fixed, and its number of weights.

    A choice of classes is there by name: `candidate["optimizer"] == "Adam"`. An argument that is not open here, or left
    to its default, is not there; `.get` gives another value instead.
    """

    def __init__(self, values: Mapping[str, Scalar], count: Callable[[], int]) -> None:
        self._values, self._count = values, count

    @cached_property
    def weights(self) -> int:
        """Learned weights of one network, counted by building it."""
        return self._count()

    def __getitem__(self, path: str) -> Scalar:
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Candidate({dict(self._values)})"


Constraint: TypeAlias = Callable[[Candidate], float]  # how far a candidate is over; 0 or less is feasible


@dataclass(frozen=True)
class SizeLimit:
    """A constraint: the weights of one network take `at_most` so much, "200kB" or a number of bytes.

    Each weight takes `bytes`: 2 in a float16 artifact, 4 in training. kB, MB and GB are powers of ten.
    """

    at_most: str | int
    bytes: int = 2

    def __post_init__(self) -> None:
        if self.limit <= 0 or type(self.bytes) is not int or self.bytes < 1:
            raise UserMistake(f"{self!r} needs a limit above 0 and whole bytes of at least 1 a weight.")

    @property
    def limit(self) -> float:
        """Bytes; raises UserMistake for what is no amount of them."""
        return amount(self.at_most, f"SizeLimit({self.at_most!r})")

    def __call__(self, candidate: Candidate) -> float:
        """Bytes above the limit."""
        return candidate.weights * self.bytes - self.limit


class Candidates:
    """Holds points of one sweep against its constraint; networks are counted once for each structure.

    `table` gives the sweep's training rows, and is called when the first network is built.
    """

    def __init__(self, sweep: Sweep, table: Callable[[], LoadedDataset]) -> None:
        self.sweep, self._table = sweep, table
        self._weights: dict[Hashable, int] = {}

    def excess(self, parameters: Mapping[str, Scalar]) -> float:
        """How far this point is over; 0 or less is feasible, and so is any point of a sweep without constraint.

        A network that cannot be built breaks no constraint: its trial fails, and tells the reason. Raises UserMistake
        when the constraint itself fails or gives no number.
        """
        constraint = self.sweep.constraint
        if constraint is None:
            return 0.0
        candidate = Candidate(_values(self.sweep, parameters), lambda: self._count(parameters))
        try:
            given = constraint(candidate)
        except _NotBuilt:
            return 0.0
        except Exception as error:
            why = f"it raised {type(error).__name__}: {error}"
            raise UserMistake(f"{_about(constraint, candidate)}: {why}.") from error
        return _number(given, constraint, candidate)

    def told(self, excess: float) -> str:
        """Why a point with this excess is not trained, for people."""
        constraint = self.sweep.constraint
        over = size(excess) if isinstance(constraint, SizeLimit) else f"{excess:.4g}"
        return f"over {_name(constraint)} by {over}"

    def _count(self, parameters: Mapping[str, Scalar]) -> int:
        key = tuple(sorted(structural(self.sweep, parameters).items()))
        if key not in self._weights:
            try:
                self._weights[key] = self._build(parameters)
            except Exception as error:
                raise _NotBuilt from error
        return self._weights[key]

    def _build(self, parameters: Mapping[str, Scalar]) -> int:
        drawn = fuse([self.sweep.settle(parameters)], folds=1).model
        return Parameters(drawn.build(Replicas([0]), *self._table().sizes).parameters()).count


class _NotBuilt(Exception):
    """A network's own constructor refused."""


def _values(sweep: Sweep, parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Every value by path: those drawn, and those that the sweep file fixes."""
    configuration = sweep.settle(parameters)
    values: dict[str, Scalar] = {}
    for part in sweep.parts:
        _add(values, getattr(configuration, part), part, parameters)
    return values


def _add(values: dict[str, Scalar], value: Any, path: str, parameters: Mapping[str, Scalar]) -> None:
    values[path] = parameters.get(path, label(value))
    if isinstance(value, Drawn):
        inside = f"{path}.{parameters[path]}" if path in parameters else path
        for name, argument in value.arguments.items():
            _add(values, argument, f"{inside}.{name}", parameters)


def _number(given: Any, constraint: Constraint, candidate: Candidate) -> float:
    try:
        number = math.nan if given is None else float(given)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        wanted = "it returns how far a candidate is over, a number that is 0 or less where it is feasible"
        raise UserMistake(f"{_about(constraint, candidate)}: it returned {given!r}; {wanted}.")
    return number


def _about(constraint: Constraint, candidate: Candidate) -> str:
    return f"Sweep(constraint={_name(constraint)}) failed for {', '.join(f'{k}={v}' for k, v in candidate.items())}"


def _name(constraint: object) -> str:
    return getattr(constraint, "__name__", None) or repr(constraint)

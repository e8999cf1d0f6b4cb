"""The constraint of a sweep: a trial that violates it is reported to the sampler as infeasible and is not trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from searchlab.data.loaded import LoadedDataset
from searchlab.errors import UserMistake
from searchlab.nn.parameter import Parameters
from searchlab.numeric_types import is_whole_number
from searchlab.replicas import Replicas
from searchlab.space.byte_size import format_bytes, parse_bytes
from searchlab.space.domains import ParameterValues, Scalar, option_label
from searchlab.space.space import BoundConstructor
from searchlab.space.structure import fuse_configurations, structural_parameters
from searchlab.space.sweep import Sweep


class Candidate(Mapping[str, Scalar]):
    """A point of the space before it is trained, as a constraint receives it.

    It is a mapping from paths to values, both of open and of fixed arguments. A class is given by its name, as in
    `candidate["optimizer"] == "Adam"`. An argument that is not open at this point, or has its default, is not in the
    mapping; use `candidate.get(path, default)` for it.

    Args:
        values: The values by path.
        count_weights: Function that builds the network and returns its number of trainable weights.

    Example:
        >>> from searchlab import Candidate
        >>> candidate = Candidate({"model.hidden": 64, "optimizer": "Adam"}, count_weights=lambda: 4810)
        >>> candidate["model.hidden"], candidate.get("model.layers", 1), candidate.weight_count
        (64, 1, 4810)
    """

    def __init__(self, values: ParameterValues, count_weights: Callable[[], int]) -> None:
        self._values, self._count_weights = values, count_weights

    @cached_property
    def weight_count(self) -> int:
        """Number of trainable weights of one network, found by building it."""
        return self._count_weights()

    def __getitem__(self, path: str) -> Scalar:
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Candidate({dict(self._values)})"


Constraint: TypeAlias = Callable[[Candidate], float]
"""A function that returns by how much a candidate violates the constraint; 0 or less where it is feasible."""


@dataclass(frozen=True)
class SizeLimit:
    """A constraint on the size of the network's weights.

    Args:
        at_most: Largest size, as text like "200kB" or as a number of bytes; kB, MB and GB are powers of ten.
        bytes: Bytes of each weight: 2 in a float16 artifact, 4 in training; default 2.

    Raises:
        UserMistake: When `at_most` is not a size above 0, or `bytes` is not a whole number of at least 1.

    Example:
        >>> from searchlab import Candidate, SizeLimit
        >>> SizeLimit("10kB")(Candidate({"model.hidden": 64}, count_weights=lambda: 4810))
        -380.0
        >>> SizeLimit("10kB", bytes=4)(Candidate({"model.hidden": 64}, count_weights=lambda: 4810))
        9240.0
    """

    at_most: str | int
    bytes: int = 2

    def __post_init__(self) -> None:
        if self.limit_bytes <= 0 or not is_whole_number(self.bytes) or self.bytes < 1:
            raise UserMistake(f"{self!r} needs a size above 0 and a whole number of bytes of at least 1 per weight.")

    @property
    def limit_bytes(self) -> float:
        """The largest size in bytes."""
        return parse_bytes(self.at_most, f"SizeLimit({self.at_most!r})")

    def __call__(self, candidate: Candidate) -> float:
        """Return the bytes by which a candidate exceeds the limit."""
        return candidate.weight_count * self.bytes - self.limit_bytes


class ConstraintChecker:
    """Checks points of one sweep against its constraint; a network is built once for each structure.

    `load_training_rows` is called when the first network is built.
    """

    def __init__(self, sweep: Sweep, load_training_rows: Callable[[], LoadedDataset]) -> None:
        self.sweep, self._load_training_rows = sweep, load_training_rows
        self._weight_counts: dict[Hashable, int] = {}

    def violation(self, parameters: ParameterValues) -> float:
        """Return by how much this point violates the constraint; 0 or less is feasible.

        Every point of a sweep without a constraint is feasible. So is a point whose network cannot be built: its trial
        fails for that reason.

        Raises:
            UserMistake: When the constraint raises an exception or does not return a number.
        """
        constraint = self.sweep.constraint
        if constraint is None:
            return 0.0
        candidate = Candidate(_all_values(self.sweep, parameters), lambda: self._count_weights(parameters))
        try:
            value = constraint(candidate)
        except _ModelBuildError:
            return 0.0
        except Exception as error:
            message = f"{_failure(constraint, candidate)}: it raised {type(error).__name__}: {error}."
            raise UserMistake(message) from error
        return _as_number(value, constraint, candidate)

    def violation_message(self, violation: float) -> str:
        """Return why a point with this violation is not trained."""
        constraint = self.sweep.constraint
        amount = format_bytes(violation) if isinstance(constraint, SizeLimit) else f"{violation:.4g}"
        return f"over {_name(constraint)} by {amount}"

    def _count_weights(self, parameters: ParameterValues) -> int:
        key = tuple(sorted(structural_parameters(self.sweep, parameters).items()))
        if key not in self._weight_counts:
            try:
                sizes = self._load_training_rows().sizes
                self._weight_counts[key] = count_weights(self.sweep, parameters, sizes)
            except Exception as error:
                raise _ModelBuildError from error
        return self._weight_counts[key]


def count_weights(sweep: Sweep, parameters: ParameterValues, sizes: Sequence[int]) -> int:
    """Return the number of trainable weights of one network with these parameters, for data of these sizes."""
    constructor = fuse_configurations([sweep.configuration(parameters)], folds=1).model
    return Parameters(constructor.build(Replicas([0]), *sizes).named_parameters()).count


class _ModelBuildError(Exception):
    """A model's constructor has raised an exception."""


def _all_values(sweep: Sweep, parameters: ParameterValues) -> dict[str, Scalar]:
    """Return every value by path: those of the open arguments, and those that the sweep file fixes."""
    configuration = sweep.configuration(parameters)
    values: dict[str, Scalar] = {}
    for part in sweep.parts:
        _collect_values(values, getattr(configuration, part), part, parameters)
    return values


def _collect_values(values: dict[str, Scalar], value: Any, path: str, parameters: ParameterValues) -> None:
    values[path] = parameters.get(path, option_label(value))
    if isinstance(value, BoundConstructor):
        prefix = f"{path}.{parameters[path]}" if path in parameters else path
        for name, argument in value.arguments.items():
            _collect_values(values, argument, f"{prefix}.{name}", parameters)


def _as_number(value: Any, constraint: Constraint, candidate: Candidate) -> float:
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise UserMistake(
            f"{_failure(constraint, candidate)}: it returned {value!r}; it returns a number, which is 0 or less where "
            "the candidate is feasible."
        )
    return number


def _failure(constraint: Constraint, candidate: Candidate) -> str:
    return f"Sweep(constraint={_name(constraint)}) failed for {', '.join(f'{k}={v}' for k, v in candidate.items())}"


def _name(constraint: object) -> str:
    return getattr(constraint, "__name__", None) or repr(constraint)

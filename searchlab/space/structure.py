"""The structure of a trial: the parameters that all trials of a group share, so that they can be fused."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from searchlab.errors import UserMistake
from searchlab.space.argument_types import keyword_parameters, per_replica_arguments
from searchlab.space.configuration import Configuration
from searchlab.space.domains import ParameterValues, Scalar
from searchlab.space.space import BoundConstructor
from searchlab.space.sweep import Sweep


def structural_parameters(sweep: Sweep, parameters: ParameterValues) -> dict[str, Scalar]:
    """Return those of the parameters that every trial of a group must share."""
    per_replica_paths = {path for path, _, per_replica in sweep.iter_arguments() if per_replica}
    return {path: value for path, value in parameters.items() if path not in per_replica_paths}


def structure_key(sweep: Sweep, parameters: ParameterValues) -> Hashable:
    """Return a key that is equal for trials of equal structure."""
    return frozenset(structural_parameters(sweep, parameters).items())


def fuse_configurations(configurations: Sequence[Configuration], folds: int) -> Configuration:
    """Return one configuration for all replicas of some trials.

    Arguments annotated PerReplica become an array with one value per replica, (trials * folds,), trial by trial.

    Raises:
        UserMistake: When the structures of the trials differ.
    """
    return Configuration(
        **{
            part: _fuse([getattr(configuration, part) for configuration in configurations], folds)
            for part in Sweep.parts
        }
    )


def _fuse(constructors: Sequence[BoundConstructor], folds: int) -> BoundConstructor:
    target = constructors[0].target
    if any(constructor.target is not target for constructor in constructors):
        raise UserMistake(f"{target.__name__} cannot train in one group with another constructor.")
    per_replica = per_replica_arguments(target)
    names = dict.fromkeys(name for constructor in constructors for name in constructor.arguments)
    arguments: dict[str, Any] = {}
    for name in names:
        default = keyword_parameters(target)[name].default
        values = [constructor.arguments.get(name, default) for constructor in constructors]
        if isinstance(values[0], BoundConstructor):
            arguments[name] = _fuse(values, folds)
        elif name in per_replica and not any(value is None for value in values):
            arguments[name] = np.repeat(np.array(values, dtype=np.float64), folds)  # (R,)
        else:
            arguments[name] = _shared_value(name, values)
    return BoundConstructor(target, arguments)


def _shared_value(name: str, values: Sequence[Any]) -> Any:
    """Return the value that all trials share; raise UserMistake where they differ."""
    if any(value != values[0] for value in values):
        raise UserMistake(
            f"{name} is part of the structure and must be equal in a group, got {values}; annotate it PerReplica in "
            "the constructor if it may differ."
        )
    return values[0]

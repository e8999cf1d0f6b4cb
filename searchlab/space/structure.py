"""Structure: the parameters that all trials of a group share, and how configurations of one structure are fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from searchlab.errors import UserMistake
from searchlab.space.domains import Scalar
from searchlab.space.space import Drawn, keywords_of, per_replica_of
from searchlab.space.sweep import Configuration, Sweep


def structural(sweep: Sweep, parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Those of the parameters that every trial of a group must share."""
    free = {path for path, _, per_replica in sweep.walk() if per_replica}
    return {path: value for path, value in parameters.items() if path not in free}


def fuse(configurations: Sequence[Configuration], folds: int) -> Configuration:
    """One configuration for all: arguments annotated PerReplica become one value per replica, trial by trial.

    Raises UserMistake when the structures differ.
    """
    parts = ("model", "optimizer", "training")
    return Configuration(**{part: _fuse_drawn([getattr(c, part) for c in configurations], folds) for part in parts})


def _fuse_drawn(drawn: Sequence[Drawn], folds: int) -> Drawn:
    first = drawn[0]
    if any(one.target is not first.target for one in drawn):
        raise UserMistake(f"{first.target.__name__} cannot train in one group with another constructor.")
    free = per_replica_of(first.target)
    names = dict.fromkeys(name for one in drawn for name in one.arguments)
    arguments: dict[str, Any] = {}
    for name in names:
        values = [one.arguments.get(name, keywords_of(one.target)[name].default) for one in drawn]
        if isinstance(values[0], Drawn):
            arguments[name] = _fuse_drawn(values, folds)
        elif name in free and not any(value is None for value in values):
            arguments[name] = np.repeat(np.array(values, dtype=np.float64), folds)
        else:
            arguments[name] = _equal(name, values)
    return Drawn(first.target, arguments)


def _equal(name: str, values: Sequence[Any]) -> Any:
    if any(value != values[0] for value in values):
        raise UserMistake(
            f"{name} is structure and must be equal in a group; got {values}. Annotate it PerReplica if it may differ."
        )
    return values[0]

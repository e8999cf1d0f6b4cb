"""The pruner of a sweep that names none."""

from __future__ import annotations

from searchlab.pruning.halving import Halving
from searchlab.pruning.pruner import NoPruning, Pruner


def default_pruner(metrics: int) -> Pruner:
    """Return Halving for one metric, and no pruning for several."""
    return Halving() if metrics == 1 else NoPruning()

"""Initial weights: functions from sizes to an array (R, n_in, n_out), each replica's from its own seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from searchlab.backend import Array
from searchlab.replicas import Replicas

Initial: TypeAlias = Callable[[Replicas, int, int], Array]


def he(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Normal with standard deviation sqrt(2 / n_in), for relu (He et al. 2015; Deep Learning from Scratch 1, ch. 6)."""
    return replicas.normal(n_in, n_out, scale=(2.0 / n_in) ** 0.5)


def glorot(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Normal with standard deviation sqrt(2 / (n_in + n_out)), for sigmoid and tanh (Glorot and Bengio 2010)."""
    return replicas.normal(n_in, n_out, scale=(2.0 / (n_in + n_out)) ** 0.5)

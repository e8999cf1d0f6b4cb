"""Initial weights: functions from sizes to an array (R, n_in, n_out), each replica's from its own seed.

Named as in Keras. Normal numbers are not truncated, as they are there, so that scales are those of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from searchlab.backend import Array
from searchlab.replicas import PerReplica, Replicas

Initial: TypeAlias = Callable[[Replicas, int, int], Array]


def random_normal(replicas: Replicas, n_in: int, n_out: int, *, scale: PerReplica = 0.01) -> Array:
    """Normal with this standard deviation: 0.01 in Deep Learning from Scratch 1, chapter 4 (Keras: 0.05)."""
    return replicas.normal(n_in, n_out, scale=scale)


def random_uniform(replicas: Replicas, n_in: int, n_out: int, *, scale: PerReplica = 0.05) -> Array:
    """Uniform in [-scale, scale), Keras' default scale."""
    return replicas.uniform(n_in, n_out, scale=scale)


def he_normal(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Normal with standard deviation sqrt(2 / n_in), for relu (He et al. 2015; Deep Learning from Scratch 1, ch. 6)."""
    return replicas.normal(n_in, n_out, scale=(2.0 / n_in) ** 0.5)


def he_uniform(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Uniform within sqrt(6 / n_in): the variance of `he_normal`."""
    return replicas.uniform(n_in, n_out, scale=(6.0 / n_in) ** 0.5)


def glorot_normal(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Normal with standard deviation sqrt(2 / (n_in + n_out)), for sigmoid and tanh (Glorot and Bengio 2010)."""
    return replicas.normal(n_in, n_out, scale=(2.0 / (n_in + n_out)) ** 0.5)


def glorot_uniform(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Uniform within sqrt(6 / (n_in + n_out)): the variance of `glorot_normal`, Keras' default for a dense layer."""
    return replicas.uniform(n_in, n_out, scale=(6.0 / (n_in + n_out)) ** 0.5)


def lecun_normal(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Normal with standard deviation sqrt(1 / n_in) (LeCun et al. 1998, Efficient BackProp): "Xavier" in the books."""
    return replicas.normal(n_in, n_out, scale=(1.0 / n_in) ** 0.5)


def lecun_uniform(replicas: Replicas, n_in: int, n_out: int) -> Array:
    """Uniform within sqrt(3 / n_in): the variance of `lecun_normal`."""
    return replicas.uniform(n_in, n_out, scale=(3.0 / n_in) ** 0.5)

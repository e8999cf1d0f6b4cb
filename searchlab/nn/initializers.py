"""Initial weights: functions from sizes to an array (R, fan_in, fan_out), each replica's drawn from its own seed.

Names are those of Keras. Unlike there, normal numbers are not truncated, so that scales are those of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from searchlab.backend import Array
from searchlab.replicas import PerReplica, Replicas

Initializer: TypeAlias = Callable[[Replicas, int, int], Array]
"""A function from (replicas, fan_in, fan_out) to initial weights (R, fan_in, fan_out).

Example:
    >>> from searchlab.nn import Affine, Replicas
    >>> def zeros(replicas, fan_in, fan_out):
    ...     return replicas.zeros(fan_in, fan_out)
    >>> bool(Affine(Replicas([1]), 4, 3, initializer=zeros).W.value.any())
    False
"""


def random_normal(replicas: Replicas, fan_in: int, fan_out: int, *, scale: PerReplica = 0.01) -> Array:
    """Draw normal weights with standard deviation `scale`.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.
        scale: Standard deviation; default 0.01 as in the reference (Keras: 0.05).

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        Deep Learning from Scratch 1, chapter 4.

    Example:
        >>> from searchlab import random_normal
        >>> from searchlab.nn import Replicas
        >>> random_normal(Replicas([1, 2]), 4, 3).shape
        (2, 4, 3)
    """
    return replicas.normal(fan_in, fan_out, scale=scale)


def random_uniform(replicas: Replicas, fan_in: int, fan_out: int, *, scale: PerReplica = 0.05) -> Array:
    """Draw uniform weights in [-scale, scale).

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.
        scale: Largest absolute value; default 0.05 as in Keras.

    Returns:
        Weights (R, fan_in, fan_out).

    Example:
        >>> from searchlab import random_uniform
        >>> from searchlab.nn import Replicas
        >>> bool(abs(random_uniform(Replicas([1]), 4, 3, scale=0.5)).max() <= 0.5)
        True
    """
    return replicas.uniform(fan_in, fan_out, scale=scale)


def he_normal(replicas: Replicas, fan_in: int, fan_out: int) -> Array:
    """Draw normal weights with standard deviation sqrt(2 / fan_in), for ReLU.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        He et al. (2015); Deep Learning from Scratch 1, chapter 6.

    Example:
        >>> from searchlab import he_normal
        >>> from searchlab.nn import Replicas
        >>> round(float(he_normal(Replicas([1]), 200, 100).std()), 2)
        0.1
    """
    return replicas.normal(fan_in, fan_out, scale=(2.0 / fan_in) ** 0.5)


def he_uniform(replicas: Replicas, fan_in: int, fan_out: int) -> Array:
    """Draw uniform weights within sqrt(6 / fan_in): the variance of `he_normal`.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        He et al. (2015).

    Example:
        >>> from searchlab import he_uniform
        >>> from searchlab.nn import Replicas
        >>> round(float(he_uniform(Replicas([1]), 200, 100).std()), 2)
        0.1
    """
    return replicas.uniform(fan_in, fan_out, scale=(6.0 / fan_in) ** 0.5)


def glorot_normal(replicas: Replicas, fan_in: int, fan_out: int) -> Array:
    """Draw normal weights with standard deviation sqrt(2 / (fan_in + fan_out)), for sigmoid and tanh.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        Glorot and Bengio (2010).

    Example:
        >>> from searchlab import glorot_normal
        >>> from searchlab.nn import Replicas
        >>> round(float(glorot_normal(Replicas([1]), 100, 100).std()), 2)
        0.1
    """
    return replicas.normal(fan_in, fan_out, scale=(2.0 / (fan_in + fan_out)) ** 0.5)


def glorot_uniform(replicas: Replicas, fan_in: int, fan_out: int) -> Array:
    """Draw uniform weights within sqrt(6 / (fan_in + fan_out)): the variance of `glorot_normal`.

    It is Keras' default for a dense layer.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        Glorot and Bengio (2010).

    Example:
        >>> from searchlab import glorot_uniform
        >>> from searchlab.nn import Replicas
        >>> round(float(glorot_uniform(Replicas([1]), 100, 100).std()), 2)
        0.1
    """
    return replicas.uniform(fan_in, fan_out, scale=(6.0 / (fan_in + fan_out)) ** 0.5)


def lecun_normal(replicas: Replicas, fan_in: int, fan_out: int) -> Array:
    """Draw normal weights with standard deviation sqrt(1 / fan_in), called "Xavier" in Deep Learning from Scratch.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        LeCun et al. (1998), Efficient BackProp.

    Example:
        >>> from searchlab import lecun_normal
        >>> from searchlab.nn import Replicas
        >>> round(float(lecun_normal(Replicas([1]), 100, 100).std()), 2)
        0.1
    """
    return replicas.normal(fan_in, fan_out, scale=(1.0 / fan_in) ** 0.5)


def lecun_uniform(replicas: Replicas, fan_in: int, fan_out: int) -> Array:
    """Draw uniform weights within sqrt(3 / fan_in): the variance of `lecun_normal`.

    Args:
        replicas: The replicas, which draw them.
        fan_in: Number of inputs of the layer.
        fan_out: Number of outputs of the layer.

    Returns:
        Weights (R, fan_in, fan_out).

    Reference:
        LeCun et al. (1998), Efficient BackProp.

    Example:
        >>> from searchlab import lecun_uniform
        >>> from searchlab.nn import Replicas
        >>> round(float(lecun_uniform(Replicas([1]), 100, 100).std()), 2)
        0.1
    """
    return replicas.uniform(fan_in, fan_out, scale=(3.0 / fan_in) ** 0.5)

"""The kernels of a sweep: one choice for all of its trials, whichever process trains them."""

from __future__ import annotations

from searchlab.kernels import kernel_set
from searchlab.space.domains import Choice
from searchlab.space.space import Space
from searchlab.space.sweep import Sweep


def kernels_of(sweep: Sweep) -> str:
    """Return which kernels train the networks of a sweep on a CPU, "numpy" or "numba".

    A sweep is recurrent where one of its models may be: a class or function with the attribute `is_recurrent`, or one
    of their arguments, such as a layer. Its other models then train with the same kernels.

    Raises UserMistake for a value of SEARCHLAB_KERNELS that is no set of kernels.
    """
    return kernel_set(is_recurrent=_is_recurrent(sweep.model))


def _is_recurrent(value: object) -> bool:
    if isinstance(value, Space):
        return _is_recurrent(value.target) or any(map(_is_recurrent, value.arguments.values()))
    if isinstance(value, Choice):
        return any(map(_is_recurrent, value.labels.values()))
    return bool(getattr(value, "is_recurrent", False))

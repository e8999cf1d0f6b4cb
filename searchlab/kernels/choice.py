"""Which kernels train: Numba's where they are chosen, on a CPU and in float32; NumPy's (or CuPy's) code otherwise."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import numpy as np

from searchlab.backend import Array
from searchlab.environment import KERNELS_VARIABLE, worker_environment
from searchlab.errors import UserMistake

KERNEL_SETS = ("numpy", "numba")


def kernel_set() -> str:
    """Return which kernels train on a CPU: those that SEARCHLAB_KERNELS names, else NumPy's.

    Raises UserMistake for another value of the variable.
    """
    chosen = worker_environment()[KERNELS_VARIABLE]
    if chosen not in KERNEL_SETS:
        raise UserMistake(f"{KERNELS_VARIABLE} is {chosen!r}; it can be {' or '.join(KERNEL_SETS)}.")
    return chosen


def uses_compiled(array: Array) -> bool:
    """Return whether compiled kernels process this array: float32 on the host, where the kernel set is "numba".

    Gradients in float64 are compared with finite differences, which the NumPy code alone computes.
    """
    return isinstance(array, np.ndarray) and array.dtype == np.float32 and _is_compiled()


@cache
def compiled(name: str) -> ModuleType:
    """Return the module of compiled kernels of this name, imported at the first call.

    Args:
        name: Name of a module of this package, such as "lstm".
    """
    return importlib.import_module(f"searchlab.kernels.{name}")


@cache
def _is_compiled() -> bool:
    """Return whether this process uses Numba.

    Raises UserMistake where it cannot be imported: to use NumPy instead would change numbers in the middle of a sweep.
    """
    if kernel_set() == "numpy":
        return False
    try:
        importlib.import_module("numba")
    except ImportError as error:
        raise UserMistake(
            f"the kernels of Numba cannot be used here ({error}): install it (pip install 'searchlab[fast]'), or set "
            f"{KERNELS_VARIABLE}=numpy."
        ) from error
    return True

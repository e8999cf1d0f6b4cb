"""Which kernels train: Numba's where they are chosen, on a CPU and in float32; NumPy's (or CuPy's) code otherwise.

They round differently, so one sweep uses one of them in all of its processes: whoever builds a trainer calls
`use_kernels` with what the sweep and SEARCHLAB_KERNELS say.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import numpy as np

from searchlab.backend import Array
from searchlab.environment import KERNELS_VARIABLE, worker_environment
from searchlab.errors import UserMistake

KERNEL_SETS = ("auto", "numpy", "numba")
MIN_NUMBA = (0, 65)  # the oldest version that the kernels are tested with

_in_use = [""]  # the kernels of this process, once they are known


def kernel_set(*, is_recurrent: bool) -> str:
    """Return which kernels train networks on a CPU: "numpy" or "numba", as SEARCHLAB_KERNELS says.

    Its default, "auto", means Numba's for recurrent networks, where Numba can be imported. Other networks earn back the
    second that each process takes to load it only in long searches.

    Args:
        is_recurrent: Whether some of the networks have recurrent layers.

    Raises:
        UserMistake: For another value of the variable.
    """
    chosen = worker_environment()[KERNELS_VARIABLE]
    if chosen not in KERNEL_SETS:
        raise UserMistake(f"{KERNELS_VARIABLE} is {chosen!r}; it can be {', '.join(KERNEL_SETS[:-1])} or numba.")
    if chosen != "auto":
        return chosen
    return "numba" if is_recurrent and _numba_fault() is None else "numpy"


def use_kernels(name: str) -> None:
    """Train with these kernels in this process from now on.

    Args:
        name: "numpy" or "numba".

    Raises:
        UserMistake: When Numba cannot be imported: to use NumPy instead would change numbers in the middle of a sweep.
    """
    if name == "numba" and (fault := _numba_fault()) is not None:
        raise UserMistake(
            f"the kernels of Numba cannot be used here ({fault}): install it (pip install 'searchlab[fast]'), or set "
            f"{KERNELS_VARIABLE}=numpy."
        )
    _in_use[0] = name


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


def loaded_kernels() -> int:
    """Return how many modules of compiled kernels this process has loaded."""
    return compiled.cache_info().currsize


def kernels_are_cold() -> bool:
    """Return whether this process uses compiled kernels and has loaded none: the next step may load Numba."""
    return loaded_kernels() == 0 and _is_compiled()


def _is_compiled() -> bool:
    """Return whether this process uses Numba; where no sweep has said so, the variable alone does."""
    if not _in_use[0]:
        use_kernels(kernel_set(is_recurrent=False))
    return _in_use[0] == "numba"


@cache
def _numba_fault() -> str | None:
    """Return why Numba cannot be used, which is also so where it does not fit the installed NumPy; None if it can."""
    try:
        numba = importlib.import_module("numba")
    except ImportError as error:
        return str(error)
    if numba.version_info[:2] < MIN_NUMBA:
        return f"Numba {numba.__version__} is older than {'.'.join(map(str, MIN_NUMBA))}"
    return None

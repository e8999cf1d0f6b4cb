"""How the kernels are compiled: by Numba for one thread, with the machine code kept on disk for the next process.

Importing this module imports Numba, so only kernels that are about to run import it. Numba stores the code beside the
source, or else in the user's cache (NUMBA_CACHE_DIR names another place).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba

from searchlab.kernels.source import source_hash

Function = TypeVar("Function", bound=Callable[..., Any])


def jit_with(*rewrites: str) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function at its first call, from the disk cache where that can be written.

    Args:
        rewrites: What LLVM may do to arithmetic operations, by the names of its fast-math flags.
    """
    compile_function = partial(numba.njit, nogil=True, error_model="numpy", fastmath=set(rewrites))

    def compile_lazily(function: Function) -> Function:
        # part of the name in the cache, where Numba looks at the file of a function, and not at those that it calls
        function.__qualname__ = f"{function.__qualname__}_{source_hash()}"
        try:
            return cast(Function, compile_function(cache=True)(function))
        except RuntimeError:  # neither the folder of the source nor the user's cache can be written
            return cast(Function, compile_function()(function))

    return compile_lazily


# "contract" lets a product and a sum become one fused operation, in the vector body of a loop as in its scalar rest;
# nothing else may be rewritten, so a number does not depend on its position, and NaN and infinity stay what they are
jit = jit_with("contract")

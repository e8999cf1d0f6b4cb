"""Environment variables of a training process: one BLAS thread, and freed memory that is kept for the next step.

Each variable is read only once, by BLAS when NumPy is first imported and by the allocator when a process starts, so it
must be set before that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

# the products of small networks are up to 7 times slower on two threads than on one, and every worker has its own core
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# in bytes; by default glibc returns arrays of some hundred kilobytes to the system at every step, and the next step
# pays for page faults
MALLOC_VARIABLES = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20)}

KERNELS_VARIABLE = "SEARCHLAB_KERNELS"  # "auto", "numpy" or "numba": what computes on a CPU

# id of a process: when a call to the raylet fails and that process has died, Ray ends this one without a word; without
# the variable, when the parent of this process is process 1, as in a container or under nohup
RAYLET_VARIABLE = "RAY_RAYLET_PID"

# names of variables that hold secrets, and values that are URLs with a password
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN(?!IZ)|CREDENTIAL|(^|_)(API)?KEYS?($|_)", re.IGNORECASE)
SECRET_VALUE = re.compile(r"[\w.+-]+://[^/\s@]*:[^/\s@]+@")
WORKER_VARIABLES = "SEARCHLAB_WORKER_VARIABLES"  # names of the variables with secrets that the workers need


def cache_folder() -> Path:
    """Return searchlab's folder in the user's cache: what is there can be made or downloaded again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "searchlab"


def secret_variables(environment: Mapping[str, str], needed: Sequence[str] = ()) -> set[str]:
    """Return the names of the variables that hold secrets which the workers of this machine do not need.

    Args:
        environment: The variables of this process.
        needed: Beginnings of names that the workers need; those in SEARCHLAB_WORKER_VARIABLES are added.
    """
    declared = {name.strip() for name in environment.get(WORKER_VARIABLES, "").split(",")}
    secrets = {n for n, value in environment.items() if SECRET_NAME.search(n) or SECRET_VALUE.match(value)}
    return {name for name in secrets - declared if not name.startswith(tuple(needed))}


def driver_environment() -> dict[str, str]:
    """Return the variables of a process that drives a search with Ray, so that it reports a raylet's death itself."""
    return {RAYLET_VARIABLE: str(os.getpid())}


def worker_environment(threads: int = 1) -> dict[str, str]:
    """Return the variables of a process that trains on this many cores; values that the user has set take precedence.

    The command line sets one thread for its own process. For a worker with more cores, that value does not count as set
    by the user.
    """
    defaults = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **MALLOC_VARIABLES}
    defaults[KERNELS_VARIABLE] = "auto"
    user_set = {name: value for name in defaults if (value := os.environ.get(name)) is not None}
    if threads > 1:
        user_set = {name: value for name, value in user_set.items() if name not in THREAD_VARIABLES or value != "1"}
    return {**defaults, **user_set}

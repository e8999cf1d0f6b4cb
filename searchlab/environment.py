"""The environment variables of a process that trains: one BLAS thread, and memory that is kept for the next step.

Both are read once, BLAS' when NumPy is first imported and the allocator's when a process starts, so they must be in the
environment before that.
"""

from __future__ import annotations

import os

# the products of small networks are up to 7 times slower on two threads than on one, and every worker has a core
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# glibc would give arrays of some hundred kilobytes back to the system at every step and fault them in at the next
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20)}


def worker_environment(threads: int = 1) -> dict[str, str]:
    """The variables of a process that trains on so many cores; what the user has set in this one's stays as it is.

    The command line has set one thread for itself, which is not the user's word where a worker is to have more.
    """
    wanted = {**dict.fromkeys(THREADS, str(threads)), **KEEP_MEMORY}
    kept = {name: value for name in wanted if (value := os.environ.get(name)) is not None}
    if threads > 1:
        kept = {name: value for name, value in kept.items() if name not in THREADS or value != "1"}
    return {**wanted, **kept}

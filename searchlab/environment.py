"""The environment variables of a process that trains: one BLAS thread, and memory that is kept for the next step.

Both are read once, BLAS' when NumPy is first imported and the allocator's when a process starts, so they must be in the
environment before that.
"""

from __future__ import annotations

import os

# the products of small networks are up to 7 times slower on two threads than on one, and every worker has a core
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# glibc would give arrays of some hundred kilobytes back to the system at every step and fault them in at the next
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20)}


def worker_environment() -> dict[str, str]:
    """The variables of a process that trains; what the user has set in this one's stays as it is."""
    return {name: os.environ.get(name, value) for name, value in {**ONE_THREAD, **KEEP_MEMORY}.items()}

"""How many threads a process that trains multiplies its matrices with: one, unless the user says otherwise.

BLAS reads these variables when NumPy is first imported, so they must be in the environment of a process before that.
"""

from __future__ import annotations

import os

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def worker_environment() -> dict[str, str]:
    """The environment variables of a process that trains; what the user has set in this one's stays as it is.

    One thread: the products of small networks are up to 7 times slower on two, and every worker has a core.
    """
    return {name: os.environ.get(name, "1") for name in VARIABLES}

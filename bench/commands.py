"""Whole commands, timed from the start of the process to its end."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.timing import ROOT


def command_seconds(arguments: Sequence[str], checkout: Path = ROOT) -> np.ndarray:
    """Return the seconds and the processor seconds (2,) of a Python process that runs with this checkout's code.

    Processor seconds include those of all its processes that have ended. A command that fails ends the benchmark with
    what it printed.
    """
    variables = {**os.environ, "PYTHONPATH": str(checkout)}
    before, started = _processor_seconds(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=variables, capture_output=True, text=True, check=False
    )
    seconds = np.array([time.perf_counter() - started, _processor_seconds() - before])
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with exit code {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return seconds


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

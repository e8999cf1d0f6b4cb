"""Paired timing: candidates take turns, so that a machine whose speed drifts cannot favour one of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from searchlab.environment import worker_environment

if not worker_environment().items() <= os.environ.items():  # as in a worker, from the start of the process
    os.execve(sys.executable, sys.orig_argv, {**os.environ, **worker_environment()})

import numpy as np

ROOT = Path(__file__).parents[1]


def in_turns(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, np.ndarray]:
    """Rates by name, (rounds,) each: every round asks each candidate once, in turn. The first round is thrown away."""
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, measure in candidates.items():
            rates[name].append(measure())
    return {name: np.array(found[1:]) for name, found in rates.items()}


def per_second(work: Callable[[], object], amount: float) -> float:
    """How much of `amount` is done in a second by one call of `work`."""
    started = time.perf_counter()
    work()
    return amount / (time.perf_counter() - started)


def ratio(over: np.ndarray, under: np.ndarray) -> str:
    """The median of the ratios round by round, with their range."""
    ratios = over / under
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"

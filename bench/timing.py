"""Paired timing: candidates take turns, so that a drift of the machine's speed favors none of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from searchlab.environment import worker_environment

if not worker_environment().items() <= os.environ.items():  # as in a worker, from the start of the process
    os.execve(sys.executable, sys.orig_argv, {**os.environ, **worker_environment()})  # noqa: S606, this same program

import numpy as np

ROOT = Path(__file__).parents[1]


def in_turns(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, np.ndarray]:
    """Return the rates (rounds,) of each candidate; every round measures each once, and the first one is discarded."""
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, measure in candidates.items():
            rates[name].append(measure())
    return {name: np.array(measured[1:]) for name, measured in rates.items()}


def per_second(work: Callable[[], object], amount: float) -> float:
    """Return how much of `amount` one call of `work`, which does all of it, does per second."""
    started = time.perf_counter()
    work()
    return amount / (time.perf_counter() - started)


def ratio_text(rates: np.ndarray, baseline: np.ndarray) -> str:
    """Return the median of the ratios round by round, with their range."""
    ratios = rates / baseline
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"

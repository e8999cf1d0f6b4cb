"""The parts of bench.gpu besides the grid: each returns its lines and the numbers behind them, as a value of JSON."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import islice
from typing import Any, TypeAlias

from bench.gpu_sizes import Sizes
from bench.lm_torch import Case, token_rate
from bench.lm_torch import fused_step as lm_step
from bench.mlp_torch import fused_step as mlp_step
from bench.mlp_torch import step_rate
from bench.textbook_sample import trainer_of
from bench.textbook_sweep import points_by_structure, textbook_sweep
from bench.timing import ROOT, in_turns, ratio_text  # it sets one BLAS thread

import numpy as np  # isort: skip

from searchlab.backend import Device, to_host, xp_for_device
from searchlab.fusion.memory import MemoryModel
from searchlab.nn import Relu
from searchlab.optim import SGD, Adam
from searchlab.space.byte_size import format_bytes
from searchlab.training import Trainer

Result: TypeAlias = dict[str, Any]
"""A result of a part: "lines", what is printed, and numbers."""

FOLDS, MAX_FOLD_RATIO, MIN_LSTM_RATIO = 5, 1.5, 10.0
PTB_TOKENS, PTB_EPOCHS = 929_589, 40
SCORED_BATCHES = 5  # after the steps whose memory is measured


class TestsFailed(Exception):
    """Tests on the device fail; the message is the end of what pytest prints."""


def run_tests(sizes: Sizes, seconds: float) -> Result:
    """Run the tests of the device in a process of its own.

    Raises TestsFailed, or subprocess.TimeoutExpired after this many seconds. They may take half of the minutes: CuPy
    compiles its kernels, and keeps them for the next start.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sizes.tests]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    counted = re.search(r"\d+ passed.*", finished.stdout)
    if finished.returncode or not counted:
        raise TestsFailed(finished.stdout[-3000:] + finished.stderr[-1000:])
    return {"lines": [f"tests on the device: {counted[0].strip(' =')}"]}


def compare_folds(sizes: Sizes) -> Result:
    """Return how many times as long five folds take as one, on the deep MLP."""
    result: Result = {"lines": []}
    for optimizer in (SGD, Adam):
        runs = {}
        for count in (1, FOLDS):
            step = mlp_step(sizes.mlp, Relu, sizes.mlp_batch, count, optimizer, sizes.device)
            runs[count] = step_rate(step, sizes.steps, count, to_host)
        rates = _measure(runs, sizes)
        times = FOLDS * rates[1] / rates[FOLDS]  # seconds of a step of five folds / those of one
        result[optimizer.__name__] = float(np.median(times))
        result["lines"].append(
            f"5 folds / 1 fold, deep MLP, {optimizer.__name__}: {ratio_text(times, np.ones(1))} times the time, "
            f"goal {MAX_FOLD_RATIO}: {_verdict(np.median(times) <= MAX_FOLD_RATIO)}; one fold "
            f"{np.median(rates[1]):,.0f} steps/s"
        )
    return result


def compare_lstms(sizes: Sizes) -> Result:
    """Return how many times as fast small LSTMs train fused as one by one."""
    rates = _measure({count: _lm_rate(sizes.small_lm, count, sizes) for count in (1, sizes.fused_lms)}, sizes)
    ratios = rates[sizes.fused_lms] / rates[1]
    case = sizes.small_lm
    return {
        "ratio": float(np.median(ratios)),
        "lines": [
            f"{sizes.fused_lms} LSTMs {case.layers}x{case.hidden}, V {case.vocabulary_size}, fused / one by one: "
            f"{ratio_text(rates[sizes.fused_lms], rates[1])} times the rate, goal {MIN_LSTM_RATIO:.0f}: "
            f"{_verdict(np.median(ratios) >= MIN_LSTM_RATIO)}; {np.median(rates[sizes.fused_lms]):,.0f} tokens/s"
        ],
    }


def measure_ptb(sizes: Sizes) -> Result:
    """Return the tokens per second of the large language model, and the hours of its 40 epochs."""
    case, result = sizes.lm, dict[str, Any](lines=[])
    rates = _measure({count: _lm_rate(case, count, sizes) for count in (1, FOLDS)}, sizes)
    for count, measured in rates.items():
        rate = float(np.median(measured))
        result[f"R = {count}"] = rate
        hours = PTB_TOKENS * PTB_EPOCHS * count / rate / 3600.0
        result["lines"].append(
            f"LSTM {case.layers}x{case.hidden} tied, V {case.vocabulary_size:,}, R = {count}: {rate:,.0f} tokens/s, "
            f"{hours:.1f} hours for {PTB_EPOCHS} epochs of the Penn Treebank"
        )
    return result


def compare_memory(sizes: Sizes) -> Result:
    """Return the peak memory of the smallest and of the largest group of the grid beside what `plan` expects."""
    sweep = textbook_sweep("memory", hidden=sizes.mlp[1:-1], data=sizes.data, batch_sizes=sizes.batch_sizes)
    grid, result = sweep.grid_points(), dict[str, Any](lines=[])
    assert grid is not None
    groups = points_by_structure(grid.points)
    data = sizes.data.training()
    memory = MemoryModel(sweep, data, sizes.device)
    for name in (f"SGD, batch {min(sizes.batch_sizes)}", f"Adam, batch {max(sizes.batch_sizes)}"):
        points = groups[name]
        replicas = len(points) * memory.folds
        expected = memory.measure(points[0]).total_bytes(replicas) + memory.data_bytes

        def train(points: list = points) -> None:
            _train_and_score(trainer_of(sweep, points, data.to(sizes.device), sizes.device))

        peak = peak_bytes(sizes.device, train) + (memory.data_bytes if sizes.device == "cpu" else 0)
        result[name] = {"peak": peak, "expected": expected}
        result["lines"].append(
            f"memory of {replicas} deep MLPs, {name}: {format_bytes(peak)} at most, plan expects "
            f"{format_bytes(expected)}: {expected / peak:.2f} times as much"
        )
    return result


def peak_bytes(device: Device, work: Callable[[], object]) -> int:
    """Return the most bytes that the work takes: from a GPU by CuPy's memory pool, on a CPU by NumPy's arrays."""
    if device == "cpu":
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    pool = xp_for_device(device).get_default_memory_pool()
    gc.collect()
    pool.free_all_blocks()
    before = pool.total_bytes()
    work()
    peak = int(pool.total_bytes() - before)  # the pool returns nothing while memory suffices
    gc.collect()
    pool.free_all_blocks()
    return peak


def _train_and_score(trainer: Trainer) -> None:
    with np.errstate(all="ignore"):
        trainer.train_briefly()
        batches = islice(trainer.data.scoring_batches(trainer.split.held_out), SCORED_BATCHES)
        to_host(trainer.metric.measure(trainer.model, batches))
        trainer.train_briefly()
        trainer.state()


def _lm_rate(case: Case, count: int, sizes: Sizes) -> Callable[[], float]:
    return token_rate(lm_step(case, count, sizes.device), sizes.steps, count * case.batch * case.time, to_host)


def _measure(runs: dict, sizes: Sizes) -> dict:
    """Return the rates of each candidate, which take turns."""
    with np.errstate(all="ignore"):
        return in_turns(runs, sizes.rounds)


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "not reached"

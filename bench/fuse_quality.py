"""The effect of fusing on the result of a search: digits with groups of one trial and with --fuse auto, 20 seeds each.

python -m bench.fuse_quality [SEEDS]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np

from search_spaces.digits_mlp import sweep
from searchlab.engine import local
from searchlab.fusion.groups import FuseOption
from searchlab.runs.config import RunConfig
from searchlab.runs.events import NullHandler
from searchlab.runs.job import Job

SEEDS, TRIALS = 20, 60


def search(seed: int, fuse: FuseOption) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds at which complete trials ended, and the best score up to then: two arrays (ends,)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        config = RunConfig(seed=seed, fuse=fuse, workers=1)
        job = Job(sweep, "digits", path / "study.journal", path / "checkpoints", TRIALS, config)
        started = time.time()
        trials = local.search(job, NullHandler()).trials
    complete = sorted((t for t in trials if t.state == "COMPLETE"), key=lambda t: t.ended or 0.0)
    ends = np.array([(trial.ended or 0.0) - started for trial in complete])
    best = np.maximum.accumulate([trial.value or 0.0 for trial in complete])
    return np.append(ends, time.time() - started), np.append(best, best[-1])


def best_after(seconds: float, ends: np.ndarray, best: np.ndarray) -> float:
    """Return the best score after this many seconds; before the first complete trial, the score of that trial."""
    return float(best[max(0, np.searchsorted(ends, seconds, side="right") - 1)])


def mean_text(differences: list[float]) -> str:
    """Return mean and standard error in percentage points."""
    values = 100.0 * np.array(differences)
    return f"{values.mean():+.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f} percentage points"


def main() -> None:
    """Print both searches seed by seed, and the differences in pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="?", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    equal_trials, equal_seconds, ratios, scores = [], [], [], []
    for seed in range(seeds):
        order: list[FuseOption] = [1, "auto"] if seed % 2 else ["auto", 1]
        searches = {fuse: search(seed, fuse) for fuse in order}
        (alone_ends, alone), (auto_ends, auto) = searches[1], searches["auto"]
        equal_trials.append(auto[-1] - alone[-1])
        seconds = min(auto_ends[-1], alone_ends[-1])
        equal_seconds.append(best_after(seconds, auto_ends, auto) - best_after(seconds, alone_ends, alone))
        ratios.append(alone_ends[-1] / auto_ends[-1])
        scores.append((alone[-1], auto[-1]))
        print(
            f"seed {seed}: alone {alone[-1]:.4f} in {alone_ends[-1]:.1f} s, "
            f"auto {auto[-1]:.4f} in {auto_ends[-1]:.1f} s"
        )
    means = np.mean(scores, axis=0)
    print(f"\n{seeds} seeds, {TRIALS} trials, one worker: best accuracy alone {means[0]:.4f}, auto {means[1]:.4f}")
    print(f"auto - alone after the same number of trials: {mean_text(equal_trials)}")
    print(f"auto - alone after the same time: {mean_text(equal_seconds)}")
    print(f"seconds alone / auto: {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

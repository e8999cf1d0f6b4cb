"""Does fusing by itself cost quality? The digits searched in groups of one and by --fuse auto, 20 seeds each.

python -m bench.fuse_quality [SEEDS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np

from search_spaces.digits_mlp import sweep
from searchlab.engine import local
from searchlab.fusion.groups import Fuse
from searchlab.runs.events import NoRecord
from searchlab.runs.job import Job

SEEDS, TRIALS = 20, 60


def search(seed: int, fuse: Fuse) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since the start at which complete trials ended, and the best score up to each: (ends,) twice."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        job = Job(sweep, "digits", place / "j", place / "c", TRIALS, seed=seed, fuse=fuse)
        started = time.time()
        trials = local.search(job, NoRecord()).trials
    complete = sorted((t for t in trials if t.state == "COMPLETE"), key=lambda t: t.ended or 0.0)
    ends = np.array([(trial.ended or 0.0) - started for trial in complete])
    best = np.maximum.accumulate([trial.value or 0.0 for trial in complete])
    return np.append(ends, time.time() - started), np.append(best, best[-1])


def after(seconds: float, ends: np.ndarray, best: np.ndarray) -> float:
    """The best score that was there after so many seconds; the first one where none was yet."""
    return float(best[max(0, np.searchsorted(ends, seconds, side="right") - 1)])


def told(differences: list[float]) -> str:
    """Mean and standard error."""
    values = 100.0 * np.array(differences)
    return f"{values.mean():+.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f} percent points"


def main() -> None:
    """Print both, seed by seed in turn, and the paired differences."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    equal_trials, equal_seconds, ratios, scores = [], [], [], []
    for seed in range(seeds):
        order: list[Fuse] = [1, "auto"] if seed % 2 else ["auto", 1]
        found = {fuse: search(seed, fuse) for fuse in order}
        (alone_ends, alone), (auto_ends, auto) = found[1], found["auto"]
        equal_trials.append(auto[-1] - alone[-1])
        clock = min(auto_ends[-1], alone_ends[-1])
        equal_seconds.append(after(clock, auto_ends, auto) - after(clock, alone_ends, alone))
        ratios.append(alone_ends[-1] / auto_ends[-1])
        scores.append((alone[-1], auto[-1]))
        print(
            f"seed {seed}: alone {alone[-1]:.4f} in {alone_ends[-1]:.1f} s, "
            f"auto {auto[-1]:.4f} in {auto_ends[-1]:.1f} s"
        )
    means = np.mean(scores, axis=0)
    print(f"\n{seeds} seeds, {TRIALS} trials, one worker: best accuracy alone {means[0]:.4f}, auto {means[1]:.4f}")
    print(f"auto - alone after as many trials: {told(equal_trials)}")
    print(f"auto - alone after as many seconds: {told(equal_seconds)}")
    print(f"seconds alone / auto: {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

"""Whole commands of two checkouts in turn: whether a change made `searchlab run` slower.

Each round runs every sweep once with each checkout, in a new home, by the same Python. Processor seconds are those of
the command and of all its processes that have ended.

    python -m bench.versions OTHER_CHECKOUT [SWEEP ...] [--rounds 5] [--options "--engine local --trials 20"]

OTHER_CHECKOUT is a folder, as `git worktree add OTHER_CHECKOUT COMMIT` makes it; SWEEP is the name of a file in
search_spaces/.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

from bench.commands import command_seconds
from bench.timing import ROOT  # it sets one BLAS thread

import numpy as np  # isort: skip

SWEEPS = ("spiral_mlp", "digits_mlp", "grid_168")  # short ones, whose data come with scikit-learn or are generated
OPTIONS = "--engine local"  # one process trains: the other cores are for the record and the figures


def sweep_seconds(checkout: Path, sweep: str, options: str) -> np.ndarray:
    """Return the seconds and processor seconds (2,) of the command that runs a sweep of this checkout in a new home."""
    with tempfile.TemporaryDirectory() as home:
        command = ["-m", "searchlab.cli", "run", f"search_spaces/{sweep}.py", "--home", home]
        return command_seconds([*command, *shlex.split(options)], checkout)


def print_sweep(sweep: str, other: Path, rounds: int, options: str) -> None:
    """Print the seconds of both checkouts, and the median ratio of rounds with its range."""
    checkouts = (ROOT, other)
    measured = np.array([[sweep_seconds(each, sweep, options) for each in checkouts] for _ in range(rounds)])
    ratios = measured[:, 0] / measured[:, 1]  # (rounds, 2)
    texts = []
    for column, name in enumerate(("seconds", "processor seconds")):
        here, there = np.median(measured[:, :, column], axis=0)
        ratio = ratios[:, column]
        texts.append(
            f"{name} {here:.1f} and {there:.1f}, ratio {np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        )
    print(f"{sweep}: {'; '.join(texts)}", flush=True)


def main() -> None:
    """Print a line for each sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("sweeps", nargs="*", default=list(SWEEPS), metavar="SWEEP", help=f"default: {' '.join(SWEEPS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--options", default=OPTIONS, help=f"of `searchlab run`; default: {OPTIONS!r}")
    arguments = parser.parse_args()
    print("this checkout and the other one:")
    for sweep in arguments.sweeps:
        print_sweep(sweep, arguments.other.resolve(), arguments.rounds, arguments.options)


if __name__ == "__main__":
    main()

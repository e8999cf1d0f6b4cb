"""The prediction of `searchlab plan` compared with `searchlab run`, on three sweeps of the project.

python -m bench.plan
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile

from bench.timing import ROOT  # first: it sets one BLAS thread

SWEEPS = ("digits_mlp", "grid_168", "spiral_mlp")
MAX_ERROR = 0.35  # goal for the relative error of the predicted seconds
NOTABLE_SLOWDOWN = 1.2  # by other programs; from here on the comparison has to be repeated


def command_result(folder: str, command: str, sweep: str) -> dict:
    """Return what a command prints with --json, run in this folder."""
    arguments = [sys.executable, "-m", "searchlab.cli", command, str(ROOT / "search_spaces" / f"{sweep}.py"), "--json"]
    finished = subprocess.run(arguments, cwd=folder, check=True, text=True, capture_output=True)
    return json.loads(finished.stdout.splitlines()[-1])


def compare(sweep: str) -> str:
    """Return a line with the predictions before and after the run, as a machine's speed drifts, and with the run."""
    with tempfile.TemporaryDirectory() as folder:
        before, run, after = (command_result(folder, command, sweep) for command in ("plan", "run", "plan"))
    seconds = run["seconds"]["search"]
    predicted = [plan["seconds"]["search"] for plan in (before, after)]
    ratio = sum(predicted) / 2.0 / seconds
    slowdown = max(plan["slowdown"] for plan in (before, after))
    note = f"; other programs made it {slowdown:.1f} times as slow" if slowdown > NOTABLE_SLOWDOWN else ""
    return (
        f"{sweep}: predicted {predicted[0]:.1f} and {predicted[1]:.1f} s, took {seconds:.1f} s, "
        f"ratio {ratio:.2f}, goal {1.0 - MAX_ERROR:.2f} to {1.0 + MAX_ERROR:.2f} "
        f"({before['pruned']} trials predicted to be pruned, {run['trials']['pruned']} were{note})"
    )


def main() -> None:
    """Print a line for each sweep."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for sweep in SWEEPS:
        print(compare(sweep), flush=True)


if __name__ == "__main__":
    main()

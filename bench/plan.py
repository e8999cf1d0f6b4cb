"""What `searchlab plan` foretells against what `searchlab run` then takes, on three sweeps that come with the project.

python -m bench.plan
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from bench.timing import ROOT  # first: it sets one BLAS thread

SWEEPS = ("digits_mlp", "grid_168", "spiral_mlp")
GOAL = 0.35  # how far seconds may be off
BUSY = 1.2  # times as slow as a machine at rest: a figure to be taken again


def told(folder: str, verb: str, sweep: str) -> dict:
    """What the command says with --json, in this folder."""
    command = [sys.executable, "-m", "searchlab.cli", verb, str(ROOT / "search_spaces" / f"{sweep}.py")]
    done = subprocess.run([*command, "--json"], cwd=folder, check=True, text=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(sweep: str) -> str:
    """A line: foretold before and after the run, since a machine's speed drifts in between, and taken."""
    with tempfile.TemporaryDirectory() as folder:
        before, taken, after = (told(folder, verb, sweep) for verb in ("plan", "run", "plan"))
    search = taken["seconds"]["search"]
    foretold = [found["seconds"]["search"] for found in (before, after)]
    middle = sum(foretold) / 2.0 / search
    slowed = max(found["slowed"] for found in (before, after))
    return (
        f"{sweep}: foretold {foretold[0]:.1f} and {foretold[1]:.1f} s, took {search:.1f} s, ratio {middle:.2f}, goal "
        f"{1.0 - GOAL:.2f} to {1.0 + GOAL:.2f} ({before['stopped']} trials to be stopped, {taken['trials']['pruned']} "
        f"were" + (f"; other programs made it {slowed:.1f} times as slow)" if slowed > BUSY else ")")
    )


def main() -> None:
    """Print a line for each sweep."""
    for sweep in SWEEPS:
        print(compare(sweep), flush=True)


if __name__ == "__main__":
    main()

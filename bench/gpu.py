"""What a GPU makes of searchlab, on a machine with Python, NumPy, CuPy and pytest alone: `python -m bench.gpu`.

Runs the tests marked `gpu`, then prints: five folds against one on the deep MLP, small LSTMs fused against one by one,
tokens per second of the large language model, peak memory against what `plan` expects, and the textbook's grid of 168
combinations on the deep MLP, as much of it as the minutes allow.

    python -m bench.gpu --minutes 8 [--results build/gpu.json]

The results of finished parts are kept in a file. The same command does what is missing, and prints all of them: start
it again when it was cut off or its minutes are over, and delete the file to measure anew. SEARCHLAB_DATA names the
folder with MNIST's files; without them, the grid is only sampled, on random images. `--device cpu` runs the same code
with tiny sizes, to check it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

from bench.finished_parts import FinishedParts
from bench.gpu_grid import GridOnDevice
from bench.gpu_parts import (
    Result,
    TestsFailed,
    compare_folds,
    compare_lstms,
    compare_memory,
    measure_ptb,
    run_tests,
)
from bench.gpu_sizes import Sizes, device_name, sizes_of
from bench.timing import ROOT
from searchlab.backend import unavailable_reason


@dataclass(frozen=True)
class Part:
    """A part of the measurement: its name, what it does, and the seconds that it is expected to take on a GPU."""

    name: str
    run: Callable[[], Result]
    expected_seconds: Callable[[], float]


def all_parts(sizes: Sizes, grid: GridOnDevice, finished: FinishedParts, remaining: Callable[[], float]) -> list[Part]:
    """Return the parts in their order: whole groups of the grid come last, those of large batches first."""
    parts = [
        Part("tests", lambda: run_tests(sizes, remaining() / 2.0), lambda: 60.0),
        Part("folds", partial(compare_folds, sizes), lambda: 15.0),
        Part("lstms", partial(compare_lstms, sizes), lambda: 20.0),
        Part("ptb", partial(measure_ptb, sizes), lambda: 30.0),
        Part("memory", partial(compare_memory, sizes), lambda: 20.0),
    ]
    parts += [Part(f"sample {name}", partial(grid.sample, name), lambda: 3.0) for name in grid.groups]
    by_batch = sorted(grid.groups, key=lambda name: -int(name.split()[-1]))
    if sizes.real_data:
        for name in by_batch:
            expected = partial(grid.expected_seconds, name, finished.results)
            parts.append(Part(f"train {name}", partial(grid.train, name), expected))
    return parts


def run_parts(parts: list[Part], finished: FinishedParts, remaining: Callable[[], float], scale: float) -> bool:
    """Run the parts that are missing and fit into the remaining seconds; return whether none of them failed.

    The expected seconds are multiplied by `scale`.
    """
    succeeded = True
    for part in parts:
        if part.name not in finished.results:
            if remaining() < part.expected_seconds() * scale:
                print(f"{part.name}: no time left; start the same command again", flush=True)
                continue
            try:
                finished.add(part.name, part.run())
            except (TestsFailed, subprocess.TimeoutExpired) as error:
                print(f"{part.name}: {error}", flush=True)
                succeeded = False
                continue
            except Exception:  # a device may fail in one part, and the others are wanted all the same
                traceback.print_exc()
                print(f"{part.name}: failed", flush=True)
                succeeded = False
                continue
        for line in finished.results[part.name]["lines"]:
            print(line, flush=True)
    return succeeded


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print all results, and return the exit status: 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="no part begins that would end later; default 8")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "gpu.json", help="file of finished parts")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + 60.0 * options.minutes
    if reason := unavailable_reason(options.device):
        sys.exit(f"skipped: {reason}")
    sizes = sizes_of(options.device)
    measured = device_name(options.device) + ("" if sizes.real_data else " and random images")
    print(f"measured: {measured}", flush=True)

    def remaining() -> float:
        return deadline - time.monotonic()

    finished, grid = FinishedParts(options.results, measured), GridOnDevice(sizes)
    parts = all_parts(sizes, grid, finished, remaining)
    succeeded = run_parts(parts, finished, remaining, scale=1.0 if options.device == "cuda" else 0.0)
    if not sizes.real_data:
        print("MNIST's files are missing: the grid was sampled on random images, and none of it was trained")
    for line in grid.summary(finished.results):
        print(line)
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())

"""Kill processes of a sweep many times, and print what that costs: `python -m tests.chaos --seed 3 --kills 25`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.experiment import ChaosExperiment
from tests.chaos.invariants import violations


def run_chaos(home: Path, seed: int, kills: int, **options: Any) -> list[str]:
    """Run the experiment, print its log and its costs, and return the violated invariants."""
    experiment, started = ChaosExperiment(home, seed=seed, **options), time.monotonic()
    try:
        result = experiment.run(kills)
        messages = violations(experiment, result)
    finally:
        experiment.clear()
    seconds, count = time.monotonic() - started, experiment.requested
    print(f"\nseed {seed}: {kills} kills in {seconds:.0f} s, {count} trials, {result['trials']}")
    _print_costs(experiment)
    for message in messages:
        print(f"VIOLATED: {message}")
    print(f"{len(messages)} violations" if messages else "every invariant holds")
    return messages


def _print_costs(experiment: ChaosExperiment) -> None:
    for position, event in enumerate(experiment.kills, start=1):
        if event.lost_epochs:
            cost = f"{event.lost_epochs} epochs trained again, {event.lost_seconds:.2f} s of one trial"
            print(f"kill {position:2} ({event.kind}): {cost}")
    recoveries: dict[str, list[float]] = {}
    for event in experiment.kills:
        recoveries.setdefault(event.kind, []).append(event.recovery or 0.0)
    for kind, count in Counter(event.kind for event in experiment.kills).most_common():
        seconds = sorted(recoveries[kind])
        print(
            f"{kind:<9} {count:2} times; trains again after {seconds[len(seconds) // 2]:.1f} s, "
            f"at most {seconds[-1]:.1f} s"
        )
    epochs = sum(event.lost_epochs for event in experiment.kills)
    longest = max(event.lost_seconds for event in experiment.kills)
    print(
        f"lost: {epochs} epochs in all, at most {longest:.2f} s in one kill; writing a checkpoint took up to "
        f"{experiment.write_seconds:.3f} s"
    )


def main() -> int:
    """Read the options; return exit code 1 when an invariant is violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--language", action="store_true", help="a language model with Plateau instead of digits")
    parser.add_argument("--home", type=Path, help="an empty folder to keep; default: a temporary folder")
    options = parser.parse_args()
    spec = "language_sweep.py" if options.language else "sweep.py"
    if options.home:
        options.home.mkdir(parents=True)
        return 1 if run_chaos(options.home, options.seed, options.kills, spec=spec) else 0
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run_chaos(Path(folder), options.seed, options.kills, spec=spec) else 0


if __name__ == "__main__":
    sys.exit(main())

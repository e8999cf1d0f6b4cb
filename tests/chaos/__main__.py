"""`python -m tests.chaos --seed 3 --kills 25`: kill a sweep so often, and say what that has cost."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.driver import Chaos
from tests.chaos.sentences import broken


def chaos(home: Path, seed: int, kills: int, **options: float) -> list[str]:
    """Carry it out and print its log; what was broken."""
    driver, began = Chaos(home, seed=seed, **options), time.monotonic()
    try:
        told = driver.run(kills)
        found = broken(driver, told)
    finally:
        driver.clear()
    print(f"\nseed {seed}: {kills} kills in {time.monotonic() - began:.0f} s, {driver.asked} trials, {told['trials']}")
    for at, blow in enumerate(driver.kills, start=1):
        if blow.lost:
            print(f"kill {at:2} ({blow.victim}): {blow.lost} epochs trained again, {blow.seconds:.2f} s of one trial")
    recoveries: dict[str, list[float]] = {}
    for blow in driver.kills:
        recoveries.setdefault(blow.victim, []).append(blow.recovery or 0.0)
    for victim, count in Counter(blow.victim for blow in driver.kills).most_common():
        seconds = sorted(recoveries[victim])
        middle, most = seconds[len(seconds) // 2], seconds[-1]
        print(f"{victim:<9} {count:2} times; at work again after {middle:.1f} s, at most {most:.1f} s")
    most, epochs = max(blow.seconds for blow in driver.kills), sum(blow.lost for blow in driver.kills)
    print(
        f"lost: {epochs} epochs in all, at most {most:.2f} s by one kill; a checkpoint took up to {driver.write:.3f} s"
    )
    for sentence in found:
        print(f"BROKEN: {sentence}")
    print("every sentence holds" if not found else f"{len(found)} sentences broken")
    return found


def main() -> int:
    """Read the options; exit code 1 where a sentence is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--home", type=Path, help="an empty folder to keep, instead of one that is thrown away")
    options = parser.parse_args()
    if options.home:
        options.home.mkdir(parents=True)
        return 1 if chaos(options.home, options.seed, options.kills) else 0
    with tempfile.TemporaryDirectory() as folder:
        return 1 if chaos(Path(folder), options.seed, options.kills) else 0


if __name__ == "__main__":
    sys.exit(main())

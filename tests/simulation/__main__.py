"""Search with many seeds, and print those that fail: `python -m tests.simulation FIRST LAST [FOLDER]`.

What each failure says, with the latest steps of its schedule, is written to a file of the folder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.simulation.invariants import check_reproducible, search_with
from tests.simulation.settings import draw_settings


def explore(first, last, folder):
    """Search with these seeds, and print the first line of each failure."""
    for seed in range(first, last):
        place = Path(tempfile.mkdtemp(prefix="searchlab-simulation-"))
        try:
            search_with(draw_settings(seed), place / "free", seed)
            if seed % 2 == 0:
                check_reproducible(place / "reproducible", seed)
        except AssertionError as error:
            (folder / f"{seed}.txt").write_text(str(error))
            print(seed, str(error).splitlines()[0][:300], flush=True)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    explore(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3] if len(sys.argv) > 3 else "."))

"""How long tests wait: until something happens, or until it is certain that it never will."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE = 900.0  # seconds; only what hangs takes so long, also where ten processes share a core


def wait_for(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition does not hold after {seconds:.0f} s"
        time.sleep(0.02)

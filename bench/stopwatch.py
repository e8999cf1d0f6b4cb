"""Seconds of a piece of work that may be cut off and go on later, kept in a file."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType

from searchlab.runs.workspace import write_atomically

SECONDS_BETWEEN_WRITES = 5.0  # which a kill may lose


class Stopwatch:
    """Measures the seconds within its `with` block, added to those that the file holds from earlier blocks.

    A thread writes the file while the block runs, so that a process that is killed keeps its seconds too.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._stop = path, threading.Event()
        self._earlier = float(path.read_text()) if path.exists() else 0.0

    @property
    def seconds(self) -> float:
        """The seconds so far, of all blocks together."""
        return self._earlier + time.perf_counter() - self._started

    def __enter__(self) -> Stopwatch:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._write_often, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._write()

    def _write_often(self) -> None:
        while not self._stop.wait(SECONDS_BETWEEN_WRITES):
            self._write()

    def _write(self) -> None:
        write_atomically(self._path, f"{self.seconds:.3f}".encode())

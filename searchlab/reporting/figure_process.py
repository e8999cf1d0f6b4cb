"""The figures of a search, drawn by a process of its own while its best trials are run again and the winner trains.

Started by `BackgroundFigures`, so that matplotlib is imported and a dozen figures are drawn on another core. It imports
before it is told what to draw: a short search starts it before its last trial ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from searchlab.metrics import Goal
from searchlab.reporting.search_figures import save_search_figures
from searchlab.runs.trials import TrialRecord
from searchlab.tracking.writer_process import python_path

COMMAND = (sys.executable, "-P", "-m", "searchlab.reporting.figure_process")  # -P: without the modules of the user


class BackgroundFigures:
    """Starts the process that draws the figures of a search. What it does not draw, for whatever reason, is drawn here.

    With one core, no process is started: it would only take more time.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._answer = b""
        if len(os.sched_getaffinity(0)) > 1:
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    COMMAND,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": python_path()},
                    process_group=0,  # an interrupt from the keyboard is the driver's business
                )

    def draw(
        self, trials: Sequence[TrialRecord], metric: str, goal: Goal, folder: Path, others: Mapping[str, Goal]
    ) -> None:
        """Begin to draw; called once.

        Args:
            trials: Trials of the search.
            metric: Name of the primary metric.
            goal: Its direction, "max" or "min".
            folder: Folder of the figures.
            others: The goal of each metric after the primary one by its name.
        """
        self._arguments = (trials, metric, goal, folder, others)
        if self._process is not None:
            with contextlib.suppress(pickle.PicklingError, AttributeError, TypeError):
                question = pickle.dumps((list(trials), metric, goal, folder.absolute(), dict(others)))
                self._thread = threading.Thread(target=self._ask, args=(self._process, question), daemon=True)
                self._thread.start()

    def finish(self) -> tuple[Path, ...]:
        """Wait until the figures are drawn, and return their paths."""
        process = self._process
        if process is not None and self._thread is not None:
            self._thread.join()
            self._process = None
            if process.returncode == 0:
                return tuple(Path(os.fsdecode(line)) for line in self._answer.split(b"\0") if line)
        return save_search_figures(*self._arguments)

    def close(self) -> None:
        """End the process where its figures are not wanted any more."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        if self._thread is not None:
            self._thread.join()
        else:
            process.communicate()  # which closes its pipes, and waits for it

    def _ask(self, process: subprocess.Popen[bytes], question: bytes) -> None:
        self._answer = process.communicate(question)[0]


def main() -> None:
    """Draw the figures for the arguments on standard input, and write their paths to standard output."""
    import searchlab.reporting.figures
    import searchlab.study.importance  # noqa: F401, both before the question, which may come much later

    question = sys.stdin.buffer.read()
    if not question:
        return  # nothing is to be drawn any more
    paths = save_search_figures(*pickle.loads(question))  # noqa: S301, from the process that started this one
    sys.stdout.buffer.write(b"\0".join(os.fsencode(path) for path in paths))


if __name__ == "__main__":
    main()

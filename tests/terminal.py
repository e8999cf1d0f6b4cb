"""A terminal for tests, which runs `searchlab` commands as processes, each in a session of its own.

A sweep that ends there has no figures: no test looks at them, and they take longer than these sweeps.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

from searchlab.study.reading import read_trials
from tests.chaos.processes import kill, members
from tests.conftest import ROOT
from tests.waiting import DEADLINE
from tests.without_figures import PROGRAM

SPEC = ROOT / "tests" / "chaos" / "sweep.py"

ENDLESS_SWEEP = """
import time
from dataclasses import dataclass

import numpy as np

from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer

@dataclass(frozen=True)
class Endless(Accuracy):
    def measure(self, model, batches):
        if len(list(batches)) > 1:  # the measurement of memory uses one batch
            while True:
                with open(PROGRESS, "a") as file:
                    file.write("x")
                time.sleep(0.05)
        return np.zeros(1)

sweep = Sweep(
    name="endless", data=Spiral(points=100), validation=KFold(2), metric=Endless(), model=Space(MLP, hidden=5),
    optimizer=Space(SGD, lr=Float(0.1, 1.0)), training=Space(Trainer, batch_size=10, epochs=3), trials=3,
)
"""  # the first epoch never ends; PROGRESS, a file that grows meanwhile, is replaced by its path


def write_endless_sweep(folder):
    """Write a sweep file with an epoch that never ends; return its path, and that of a file that grows meanwhile."""
    spec, progress = folder / "endless.py", folder / "progress"
    spec.write_text(ENDLESS_SWEEP.replace("PROGRESS", repr(str(progress))))
    return spec, progress


class Terminal:
    """A terminal on a home folder; each command leads a process group, all of which Ctrl-C reaches."""

    def __init__(self, home):
        self.home, self.processes = home, []

    def start(self, *arguments):
        """Start `searchlab` with these arguments, and --json."""
        command = [*PROGRAM, *map(str, arguments), "--home", str(self.home), "--json"]
        number = len(self.processes)
        with (self.home / f"{number}.out").open("wb") as out, (self.home / f"{number}.err").open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_restore_sigint,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            )
        self.processes.append(process)
        return process

    def stderr(self, process):
        """Return what the process has printed to stderr."""
        return (self.home / f"{self.processes.index(process)}.err").read_text()

    def result(self, process):
        """Return the JSON object on the last line of stdout."""
        return json.loads((self.home / f"{self.processes.index(process)}.out").read_text().splitlines()[-1])

    def wait_until(self, process, condition):
        """Wait until the condition holds; fail when the process ends before."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert process.poll() is None, self.stderr(process)
            assert time.monotonic() < deadline, self.stderr(process)
            time.sleep(0.02)

    def trials(self, name="chaos"):
        """Return the trials in the study's journal."""
        return read_trials(self.home / "sweeps" / name / "study.journal", name)

    def clear(self):
        """End every process that was started here."""
        for process in self.processes:
            kill(list(members(process.pid)), process.pid)
            process.wait()


def _restore_sigint():
    """Restore the default action of SIGINT, which is ignored where a script runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

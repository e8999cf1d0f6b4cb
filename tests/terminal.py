"""A terminal for tests: `searchlab` commands run as processes, each in a session of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from searchlab.study.reading import read_trials
from tests.chaos.processes import kill, members
from tests.conftest import ROOT

SPEC = ROOT / "tests" / "chaos" / "sweep.py"

ENDLESS = """
import time
from dataclasses import dataclass

import numpy as np

from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer

@dataclass(frozen=True)
class Endless(Accuracy):
    def measure(self, model, batches):
        if len(list(batches)) > 1:  # memory is measured with one
            while True:
                with open(BEATS, "a") as file:
                    file.write("x")
                time.sleep(0.05)
        return np.zeros(1)

sweep = Sweep(
    name="endless", data=Spiral(points=100), validation=KFold(2), metric=Endless(), model=Space(MLP, hidden=5),
    optimizer=Space(SGD, lr=Float(0.1, 1.0)), training=Space(Trainer, batch_size=10, epochs=3), trials=3,
)
"""  # the first epoch never ends, and BEATS is the path of a file that grows meanwhile


class Terminal:
    """Starts commands on a home folder; each leads a process group, which Ctrl-C reaches as a whole."""

    def __init__(self, home):
        self.home, self.started = home, []

    def start(self, *arguments):
        """Start `searchlab` with these arguments, and --json."""
        command = [sys.executable, "-m", "searchlab.cli", *map(str, arguments), "--home", str(self.home), "--json"]
        number = len(self.started)
        with (self.home / f"{number}.out").open("wb") as out, (self.home / f"{number}.err").open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_restore_ctrl_c,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            )
        self.started.append(process)
        return process

    def stderr(self, process):
        """Return what the process has printed to stderr."""
        return (self.home / f"{self.started.index(process)}.err").read_text()

    def result(self, process):
        """Return the JSON object on the last line of stdout."""
        return json.loads((self.home / f"{self.started.index(process)}.out").read_text().splitlines()[-1])

    def wait_until(self, process, condition):
        """Wait until the condition holds; fail when the process ends before."""
        deadline = time.monotonic() + 150
        while not condition():
            assert process.poll() is None, self.stderr(process)
            assert time.monotonic() < deadline, self.stderr(process)
            time.sleep(0.02)

    def trials(self, name="chaos"):
        """Return the trials in the study's journal."""
        return read_trials(self.home / "sweeps" / name / "study.journal", name)

    def clear(self):
        """End every process that was started here."""
        for process in self.started:
            kill(list(members(process.pid)), process.pid)
            process.wait()


def _restore_ctrl_c():
    """Let SIGINT reach the process as in a terminal; a script that runs tests in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

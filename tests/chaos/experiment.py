"""The chaos experiment: it starts a sweep, kills processes at random moments, and resumes the sweep when it ends."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.runs.trials import TrialRecord
from searchlab.runs.workspace import write_atomically
from searchlab.space.loader import load
from tests.chaos.observed_sweep import NAME, ObservedSweep, Run
from tests.chaos.processes import ENDS_RUN, draw_kinds, kill, members, of_kind
from tests.waiting import DEADLINE

FOLDER = Path(__file__).parent
START_SHARE = 0.2  # of the kills may come while a run starts; the others come while it searches
TRIALS_PER_KILL = 12  # trials requested for each kill
INTERRUPTED = 130  # exit code of a run that was told to stop
CHECKPOINT_BYTES = 400_000  # size of the largest checkpoint of this sweep


@dataclass
class Kill:
    """One kill: what was killed, when, and the state of the sweep at that moment."""

    kind: str
    processes: int
    phase: str
    time: float  # seconds since 1970
    ended: dict[int, TrialRecord]
    saved: dict[int, tuple[int, float]]  # by open trial: the epochs in its group's checkpoint, and when they ended
    workers: set[int] = field(default_factory=set)  # ids of the workers' processes
    effect: str = ""
    recovery: float | None = None  # seconds until the search trained again
    lost_epochs: int = 0  # epochs that were trained again
    lost_seconds: float = 0.0  # of work in them, for the trial that lost most


@dataclass
class ChaosExperiment(ObservedSweep):
    """A sweep, its kills, and the faults that no kill explains.

    A kill comes at most `max_delay` seconds after a moment at which the search trained.
    """

    seed: int = 0
    max_delay: float = 6.0
    spec: str = "sweep.py"  # in this folder
    log: Callable[[str], None] = print
    requested: int = 0
    kills: list[Kill] = field(default_factory=list)
    write_seconds: float = 0.0  # the longest that a file of a checkpoint's size took to write
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        sweep = load(FOLDER / self.spec).sweep
        self.metric, self.epochs = sweep.primary_metric.name, sweep.training.arguments["epochs"]
        self.started = time.time()

    def run(self, kills: int) -> dict[str, Any]:
        """Kill this many times, then let the sweep end, and return the result that `--json` prints."""
        self.requested = TRIALS_PER_KILL * kills
        options = ["--engine", "tune", "--workers", "2", "--trials", str(self.requested)]
        run = self.start("run", str(FOLDER / self.spec), *options)
        for number, kind in zip(range(kills), draw_kinds(self.rng), strict=False):
            run = self.wait_random_time(run, kills - number)
            run = self.kill_and_recover(run, kind)
        while self.wait(run) != 0:
            self.faults.append(f"a run ended with {run.process.returncode} without a kill: {run.last_lines}")
            run = self.start("resume", NAME)
        result: dict[str, Any] = json.loads(run.out.read_text().splitlines()[-1])
        return result

    def wait_random_time(self, run: Run, kills_left: int) -> Run:
        """Wait for a random time, mostly from when the run trains, sometimes from its start; return the current run."""
        if self.rng.random() >= START_SHARE:
            run = self.wait_until_trained(run, kills_left)
        moment = time.monotonic() + self.rng.uniform(0.0, self.max_delay)
        while time.monotonic() < moment:
            run = self.keep_running(run, kills_left)
        return run

    def wait_until_trained(self, run: Run, kills_left: int) -> Run:
        """Wait until a worker has trained, and return the current run."""
        deadline = time.monotonic() + DEADLINE
        while not self.has_trained(run):
            run = self.keep_running(run, kills_left)
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing was trained for {DEADLINE:.0f} seconds: {run.last_lines}")
        return run

    def keep_running(self, run: Run, kills_left: int) -> Run:
        """Return the same run a moment later; where it has ended, the next one, with more trials if none are left."""
        time.sleep(0.02)
        if run.process.poll() is None:
            return run
        if run.process.returncode:
            self.faults.append(f"exit code {run.process.returncode} without a kill: {run.last_lines}")
            return self.start("resume", NAME)
        self.requested += TRIALS_PER_KILL * kills_left
        return self.start("resume", NAME, "--trials", str(self.requested))

    def kill_and_recover(self, run: Run, kind: str) -> Run:
        """Kill a process of this kind, resume the sweep if that ended the run, and return the run that then trains."""
        pids = of_kind(kind, run.session)
        if not pids:
            kind, pids = "driver", of_kind("driver", run.session)
        if kind in ("worker", "agent"):
            pids = [self.rng.choice(pids)]
        event = Kill(kind, len(pids), self.phase(run), time.time(), self.ended(), {})
        event.workers = set(of_kind("worker", run.session))
        kill(pids, run.session, signal.SIGTERM if kind == "group" else signal.SIGKILL)
        event.time = time.time()
        event.saved = self.saved_epochs()
        self.measure_write()
        self.kills.append(event)
        run = self.recover(run, event)
        after = f", trains again after {event.recovery:.1f} s" if event.recovery is not None else ""
        self.log(
            f"kill {len(self.kills):2}  {event.time - self.started:6.1f} s  {event.phase:<6}  {len(event.ended):3} of "
            f"{self.requested} ended  {event.kind} ({event.processes}): {event.effect}{after}"
        )
        return run

    def recover(self, run: Run, event: Kill) -> Run:
        """Wait until the search trains again or ends, and return the current run."""
        if event.kind in ENDS_RUN:
            code = self.wait(run)
            event.effect = f"exit code {code} after {time.time() - event.time:.1f} s"
            if code == 0:
                event.effect = "the search ended without it"
                return run
            if code > 0:
                self.check_message(run, code, event)
            run = self.start("resume", NAME)
        else:
            event.effect = "the run continues"
        while run.process.poll() is None:
            time.sleep(0.02)
            is_replaced = bool(set(of_kind("worker", run.session)) - event.workers)
            has_recovered = is_replaced if event.kind == "worker" else self.has_trained(run)
            if has_recovered or (event.kind not in ENDS_RUN and self.phase(run) == "winner"):
                break
            if time.time() - event.time > DEADLINE:
                raise TimeoutError(f"nothing is trained after {event.kind} was killed: {run.last_lines}")
        if run.process.poll() is None:
            event.recovery = time.time() - event.time
        return run

    def wait(self, run: Run) -> int:
        """Return the exit code of the run; raise TimeoutError when it does not end."""
        deadline = time.monotonic() + DEADLINE
        while run.process.poll() is None:
            time.sleep(0.02)
            if time.monotonic() > deadline:
                commands = [command[:80] for command in members(run.session).values()]
                raise TimeoutError(f"a run does not end: {run.last_lines}; its processes: {commands}")
        return run.process.returncode

    def check_message(self, run: Run, code: int, event: Kill) -> None:
        """Record a fault unless a run that ended by itself has exit code 1 and says in one sentence how to continue.

        The exit code is 130 after SIGTERM to its process group.
        """
        text, expected = run.err.read_text(), INTERRUPTED if event.kind == "group" else 1
        if code != expected or "Traceback" in text or f"searchlab resume {NAME}" not in text:
            self.faults.append(f"exit code {code}, with the message: {run.last_lines}")

    def measure_write(self) -> None:
        """Measure how long the disk takes now for a file of a checkpoint's size."""
        started = time.monotonic()
        write_atomically(self.home / "measured", bytes(CHECKPOINT_BYTES))
        self.write_seconds = max(self.write_seconds, time.monotonic() - started)

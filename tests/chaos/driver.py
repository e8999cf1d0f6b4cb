"""The driver of chaos: starts a sweep, kills one process after another at drawn moments, and resumes what has ended."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.runs.trials import TrialRecord
from searchlab.runs.workspace import write_atomically
from tests.chaos.place import NAME, PATIENCE, Place, Run
from tests.chaos.victims import ENDING, drawn, kill, members, of_kind

SPEC = Path(__file__).with_name("sweep.py")
AT_START = 0.2  # of the kills fall while a run starts, or wherever it is after as many seconds
PER_KILL = 12  # trials that are asked for
CHECKPOINT = 400_000  # bytes: the largest here


@dataclass
class Kill:
    """One kill: who, when, and what stood at that moment."""

    victim: str
    pids: int
    phase: str
    at: float  # seconds since 1970
    ended: dict[int, TrialRecord]
    saved: dict[int, tuple[int, float]]  # by open trial: the epochs that its group's checkpoint holds, and their end
    workers: set[int] = field(default_factory=set)  # the trials' processes
    outcome: str = ""
    recovery: float | None = None  # seconds until the search was at work again
    lost: int = 0  # epochs that were trained once more
    seconds: float = 0.0  # of work in them, of the trial that lost most


@dataclass
class Chaos(Place):
    """A sweep, the kills it has suffered, and the faults that no kill explains.

    A kill falls `within` so many seconds of a moment at which the search was at work.
    """

    seed: int = 0
    within: float = 6.0
    say: Callable[[str], None] = print
    asked: int = 0
    kills: list[Kill] = field(default_factory=list)
    write: float = 0.0  # seconds that a file as large as a checkpoint took to be written, at most
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.began = time.time()

    def run(self, kills: int) -> dict[str, Any]:
        """Kill so often, then let the sweep end; what `searchlab --json` told at last."""
        self.asked = PER_KILL * kills
        run = self.start("run", str(SPEC), "--workers", "2", "--trials", str(self.asked))
        for number, victim in zip(range(kills), drawn(self.chance), strict=False):
            run = self.wait_for_the_moment(run, kills - number)
            run = self.strike(run, victim)
        while self.wait(run) != 0:
            self.faults.append(f"a run ended with {run.process.returncode} and no victim: {run.last_words}")
            run = self.start("resume", NAME)
        told: dict[str, Any] = json.loads(run.out.read_text().splitlines()[-1])
        return told

    def wait_for_the_moment(self, run: Run, left: int) -> Run:
        """Let a drawn time pass: mostly of searching, sometimes from the start of a run on."""
        if self.chance.random() >= AT_START:
            run = self.until_at_work(run, left)
        moment = time.monotonic() + self.chance.uniform(0.0, self.within)
        while time.monotonic() < moment:
            run = self.goes_on(run, left)
        return run

    def until_at_work(self, run: Run, left: int) -> Run:
        """Wait until a worker trains."""
        deadline = time.monotonic() + PATIENCE
        while not self.at_work(run):
            run = self.goes_on(run, left)
            if time.monotonic() > deadline:
                raise TimeoutError(f"no work for {PATIENCE:.0f} seconds: {run.last_words}")
        return run

    def goes_on(self, run: Run, left: int) -> Run:
        """The same run a moment later; where it has ended meanwhile, the next one, extended if nothing is left."""
        time.sleep(0.02)
        if run.process.poll() is None:
            return run
        if run.process.returncode:
            self.faults.append(f"exit {run.process.returncode} without a victim: {run.last_words}")
            return self.start("resume", NAME)
        self.asked += PER_KILL * left
        return self.start("resume", NAME, "--trials", str(self.asked))

    def strike(self, run: Run, victim: str) -> Run:
        """Kill the victim, and resume if that has ended the run; the run at work afterwards."""
        pids = of_kind(victim, run.session)
        if not pids:
            victim, pids = "driver", of_kind("driver", run.session)
        if victim == "trial":
            pids = [self.chance.choice(pids)]
        blow = Kill(victim, len(pids), self.phase(run), time.time(), self.ended(), {})
        blow.workers = set(of_kind("trial", run.session))
        kill(pids, run.session)
        blow.at = time.time()
        blow.saved = self.saved()
        self.measure()
        self.kills.append(blow)
        run = self.recover(run, blow)
        after = f", at work again after {blow.recovery:.1f} s" if blow.recovery is not None else ""
        self.say(
            f"kill {len(self.kills):2}  {blow.at - self.began:6.1f} s  {blow.phase:<6}  {len(blow.ended):3} of "
            f"{self.asked} ended  {blow.victim} ({blow.pids}): {blow.outcome}{after}"
        )
        return run

    def recover(self, run: Run, blow: Kill) -> Run:
        """Wait until the search is at work again, or its end."""
        if blow.victim in ENDING:
            code = self.wait(run)
            blow.outcome = f"exit {code} after {time.time() - blow.at:.1f} s"
            if code == 0:
                blow.outcome = "the search came to its end without it"
                return run
            if code > 0:
                self.check_sentence(run, code, blow)
            run = self.start("resume", NAME)
        else:
            blow.outcome = "goes on"
        while run.process.poll() is None:
            time.sleep(0.02)
            replaced = bool(set(of_kind("trial", run.session)) - blow.workers)
            back = replaced if blow.victim == "trial" else self.at_work(run)
            if back or (blow.victim not in ENDING and self.phase(run) == "winner"):
                break
            if time.time() - blow.at > PATIENCE:
                raise TimeoutError(f"not at work again after the death of {blow.victim}: {run.last_words}")
        if run.process.poll() is None:
            blow.recovery = time.time() - blow.at
        return run

    def wait(self, run: Run) -> int:
        """How the run ended; raises TimeoutError when it does not."""
        deadline = time.monotonic() + PATIENCE
        while run.process.poll() is None:
            time.sleep(0.02)
            if time.monotonic() > deadline:
                living = [command[:80] for command in members(run.session).values()]
                raise TimeoutError(f"a run does not end: {run.last_words}; still there: {living}")
        return run.process.returncode

    def check_sentence(self, run: Run, code: int, blow: Kill) -> None:
        """A run that ended by itself says so in one sentence, with exit code 1, and how to go on.

        Where Ray dies while it is being started, it ends the process itself.
        """
        words = run.err.read_text()
        if code == 1 and blow.phase == "start" and "Failed to connect to GCS" in words:
            blow.outcome += ", in Ray's words"
        elif code != 1 or "Traceback" in words or f"searchlab resume {NAME}" not in words:
            self.faults.append(f"exit {code}, and said: {run.last_words}")

    def measure(self) -> None:
        """See how long the disk takes now for what a checkpoint holds."""
        began = time.monotonic()
        write_atomically(self.home / "measured", bytes(CHECKPOINT))
        self.write = max(self.write, time.monotonic() - began)

"""What can be seen of a sweep from outside: its journal, its checkpoints, and the processes that carry it out."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from searchlab.engine.checkpoints import Checkpoints
from searchlab.runs.trials import TrialRecord
from searchlab.study.reading import peek
from tests.chaos.victims import kill, members, of_kind

ROOT = Path(__file__).parents[2]
NAME = "chaos"
PATIENCE = 300.0  # seconds for anything that must happen


@dataclass
class Run:
    """One process of searchlab, the leader of its own session, and what it says."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    began: float
    size: int  # of the journal when it began

    @property
    def session(self) -> int:
        """The id of its session: it leads it."""
        return self.process.pid

    @property
    def last_words(self) -> str:
        """The end of what it said to people."""
        return self.err.read_text()[-1500:].strip()


@dataclass
class Place:
    """The sweep under a home, and every process of searchlab that was started on it."""

    home: Path
    runs: list[Run] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The sweep's own."""
        return self.home / "sweeps" / NAME

    def start(self, *arguments: str) -> Run:
        """Start `searchlab run` or `resume` in a session of its own."""
        count = len(self.runs)
        out, err = self.home / f"run-{count}.out", self.home / f"run-{count}.err"
        command = [sys.executable, "-m", "searchlab.cli", *arguments, "--home", str(self.home), "--json"]
        unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with out.open("wb") as told, err.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=told, stderr=said, env=unbuffered, start_new_session=True
            )
        run = Run(process, out, err, time.time(), self.journal())
        self.runs.append(run)
        return run

    def journal(self) -> int:
        """Bytes of the study's journal."""
        path = self.folder / "study.journal"
        return path.stat().st_size if path.exists() else 0

    def at_work(self, run: Run) -> bool:
        """Whether this run has trained: an end or a draw in the journal, or a checkpoint that is younger than it.

        The study of a driver that was killed may write on for a while; the next one's workers start after its end.
        """
        news = self.journal() > run.size or any(moment > run.began for moment in self.last_saved())
        return news and bool(of_kind("trial", run.session))

    def last_saved(self) -> list[float]:
        """When each group was, in seconds since 1970."""
        found = []
        for file in (self.folder / "checkpoints").glob("*.npz"):
            with contextlib.suppress(FileNotFoundError):
                found.append(file.stat().st_mtime)
        return found

    def phase(self, run: Run) -> str:
        """What the run is at, as far as one sees from outside."""
        if "winner" in run.err.read_text():
            return "winner"
        return "search" if self.at_work(run) else "start"

    def trials(self) -> list[TrialRecord]:
        """Every trial, as far as it is stored."""
        return peek(self.folder / "study.journal", NAME)

    def ended(self) -> dict[int, TrialRecord]:
        """Those that have ended, by number."""
        return {trial.number: trial for trial in self.trials() if trial.state != "RUNNING"}

    def saved(self) -> dict[int, tuple[int, float]]:
        """By open trial, the epochs that a checkpoint holds of it and when the last of them was over."""
        found, done = dict[int, tuple[int, float]](), self.ended()
        folder = self.folder / "checkpoints"
        store = Checkpoints(folder) if folder.exists() else None
        for file in folder.glob("*.npz"):
            kept = store.load(file.stem) if store else None
            for number in kept.trials if kept else ():
                reports = [report for trials, report in kept.reports if number in trials]
                if number not in done and reports:
                    last = max(reports, key=lambda report: report.epoch)
                    found[number] = max(found.get(number, (0, 0.0)), (last.epoch, last.time))
        return found

    def left_over(self) -> list[str]:
        """What still lives of all sessions, once it had time to notice that it is alone."""
        deadline = time.monotonic() + PATIENCE
        while living := [command for run in self.runs for command in members(run.session).values()]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return living

    def clear(self) -> None:
        """End what is left of the sessions started here, and nothing else."""
        for run in self.runs:
            kill(list(members(run.session)), run.session)
            run.process.poll()

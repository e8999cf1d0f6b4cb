"""A sweep observed from outside: its journal, its checkpoints, and the processes that carry it out."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from searchlab.engine.checkpoints import CheckpointStore
from searchlab.runs.trials import TrialRecord
from searchlab.study.reading import read_trials
from tests.chaos.processes import kill, members, of_kind
from tests.waiting import DEADLINE

ROOT = Path(__file__).parents[2]
NAME = "chaos"


@dataclass
class Run:
    """One process of searchlab, the leader of its own session, and the files of its output."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    started: float
    size: int  # of the journal at its start

    @property
    def session(self) -> int:
        """The id of its session, which it leads."""
        return self.process.pid

    @property
    def last_lines(self) -> str:
        """The end of what it has printed to stderr."""
        return self.err.read_text()[-1500:].strip()


@dataclass
class ObservedSweep:
    """The sweep in a home folder, and every process of searchlab that was started on it."""

    home: Path
    program: tuple[str, ...] = (sys.executable, "-m", "searchlab.cli")
    runs: list[Run] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The sweep's own folder."""
        return self.home / "sweeps" / NAME

    def start(self, *arguments: str) -> Run:
        """Start `searchlab run` or `resume` in a session of its own."""
        count = len(self.runs)
        out, err = self.home / f"run-{count}.out", self.home / f"run-{count}.err"
        command = [*self.program, *arguments, "--home", str(self.home), "--json"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=stdout, stderr=stderr, env=environment, start_new_session=True
            )
        run = Run(process, out, err, time.time(), self.journal_size())
        self.runs.append(run)
        return run

    def journal_size(self) -> int:
        """Return the bytes of the study's journal."""
        path = self.folder / "study.journal"
        return path.stat().st_size if path.exists() else 0

    def has_trained(self, run: Run) -> bool:
        """Return whether this run has trained: the journal has grown, or a checkpoint is younger than the run.

        The study of a driver that was killed may write on for a while; the next run's workers start after its end.
        """
        has_written = self.journal_size() > run.size or any(saved > run.started for saved in self.checkpoint_times())
        return has_written and bool(of_kind("worker", run.session))

    def checkpoint_times(self) -> list[float]:
        """Return when each group was saved, in seconds since 1970."""
        times = []
        for file in (self.folder / "checkpoints").glob("*.npz"):
            with contextlib.suppress(FileNotFoundError):
                times.append(file.stat().st_mtime)
        return times

    def phase(self, run: Run) -> str:
        """Return the phase of the run, as far as it can be observed from outside."""
        if "winner" in run.err.read_text():
            return "winner"
        return "search" if self.has_trained(run) else "start"

    def trials(self) -> list[TrialRecord]:
        """Return every trial, as far as it is stored."""
        return read_trials(self.folder / "study.journal", NAME)

    def ended(self) -> dict[int, TrialRecord]:
        """Return the trials that have ended, by number."""
        return {trial.number: trial for trial in self.trials() if trial.state != "RUNNING"}

    def saved_epochs(self) -> dict[int, tuple[int, float]]:
        """Return, by open trial, the epochs that a checkpoint holds of it and when the last of them ended."""
        saved, ended = dict[int, tuple[int, float]](), self.ended()
        folder = self.folder / "checkpoints"
        store = CheckpointStore(folder) if folder.exists() else None
        for file in folder.glob("*.npz"):
            checkpoint = store.load(file.stem) if store else None
            for number in checkpoint.trials if checkpoint else ():
                reports = [report for trials, report in checkpoint.reports if number in trials]
                if number not in ended and reports:
                    last = max(reports, key=lambda report: report.epoch)
                    saved[number] = max(saved.get(number, (0, 0.0)), (last.epoch, last.time))
        return saved

    def remaining_processes(self) -> list[str]:
        """Return the command lines of the processes that do not end after the driver has ended."""
        deadline = time.monotonic() + DEADLINE
        while running := [command for run in self.runs for command in members(run.session).values()]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return running

    def clear(self) -> None:
        """End the remaining processes of the sessions that were started here, and no other process."""
        for run in self.runs:
            kill(list(members(run.session)), run.session)
            run.process.poll()

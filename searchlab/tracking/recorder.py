"""The recorder: a tracker whose record is written by a process of its own, off the training path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import searchlab
from searchlab.errors import WorldFault
from searchlab.runs.events import Ending, NoRecord, Scalar, SweepRecord, by_fold

__all__ = ["NoRecord", "Recorder", "SweepRecord"]

QUIET = 180.0  # seconds without a word from the recording process until it is given up; it gives up by itself before
PATIENCE = 60.0  # seconds without success after the last word until the recording process gives the record up
DEATHS = 8  # recording processes that may die before the record is given up

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow repeats a lost "create run" blindly; the writer looks first
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # longer than a server waits for a locked SQLite file, which is 20
}


class Recorder:
    """Keeps the record of one sweep in MLflow; the calls of Tracker return at once and never raise for the store.

    Everything told is kept and told again to a new process when the recording one dies, which is safe because nothing
    is recorded twice. When the driver dies, the recording process writes what it has and ends by itself.
    """

    def __init__(self, uri: str, record: SweepRecord) -> None:
        record.home.mkdir(parents=True, exist_ok=True)
        self._record, self._log, self._changed = record, record.home / "mlflow.log", threading.Condition()
        self._lines: list[bytes] = []
        self._answers: dict[str, str] = {}
        self._heard, self._gone = clock.monotonic(), False
        self._last_word, self._over, self._ended = False, False, False
        self._process: subprocess.Popen[bytes] | None = None
        self._tell("hello", uri=uri, record=_plain(record), time=clock.time(), patience=PATIENCE)
        self._keeper = threading.Thread(target=self._keep, daemon=True, name="recorder")
        self._keeper.start()

    def start(self, trial: int, parameters: Mapping[str, Scalar], time: float) -> None:
        """A trial has begun with these parameters by path."""
        self._tell("start", trial=trial, parameters=dict(parameters), time=time)

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """An epoch, counted from 1, gave one score and one training loss per fold."""
        self._tell("log", trial=trial, epoch=epoch, time=time, **by_fold(scores, losses, others))

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended as COMPLETE, PRUNED, FAIL or INFEASIBLE."""
        self._tell("finish", trial=trial, **vars(ending))

    def note(self, text: str) -> None:
        """Nothing: it is of this machine and not of what was found."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file, or what is in a directory, for the sweep's run; it must stay there until the record is concluded."""
        self._tell("artifact", path=str(path.absolute()), folder=folder)

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Write everything and end the sweep's run as FINISHED, FAILED or KILLED; its id.

        Raises WorldFault when the record could not be completed.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        self._tell("conclude", state=state, metrics=numbers, tags=dict(tags), time=clock.time())
        try:
            return self._answer("concluded")
        finally:
            self._end()

    def close(self) -> None:
        """Write everything and end the recording process; the sweep's run stays open, to be gone on with."""
        self._tell("close")
        self._end()

    @property
    def run_id(self) -> str:
        """The id of the sweep's run; waits until it is known. Raises WorldFault when there is none."""
        return self._answer("run_id")

    @property
    def pid(self) -> int | None:
        """The recording process, once it has been started."""
        return self._process.pid if self._process else None

    def _tell(self, method: str, **arguments: Any) -> None:
        line = json.dumps([method, arguments]).encode() + b"\n"
        with self._changed:
            if not self._last_word:
                self._lines.append(line)
                self._last_word = method in ("conclude", "close")
                self._changed.notify_all()

    def _answer(self, key: str) -> str:
        self._wait(lambda: self._ended or bool(self._answers.keys() & {key, "fault"}))
        if key in self._answers:
            return self._answers[key]
        name, fault = self._record.name, self._answers.get("fault", "the recording process does not answer")
        raise WorldFault(
            f"The record of {name} in MLflow is not complete: {fault.rstrip('.')}. "
            f"The study holds every trial, and `searchlab resume {name}` completes the record."
        )

    def _wait(self, wanted: Callable[[], bool]) -> bool:
        """Whether it came true before the recording process had been quiet for too long."""
        with self._changed:
            self._heard = clock.monotonic()
            while not wanted() and (left := self._heard + QUIET - clock.monotonic()) > 0:
                self._changed.wait(left)
            return wanted()

    def _end(self) -> None:
        ended = self._wait(lambda: self._ended)
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if not ended and self._process is not None:
            self._process.kill()
        self._keeper.join()

    def _keep(self) -> None:
        """Run recording processes until one has ended well, has said why it cannot, or too many have died."""
        try:
            for death in range(DEATHS):
                status = self._serve()
                with self._changed:
                    if (status == 0 and self._last_word) or self._over or "fault" in self._answers:
                        break
                    self._heard = clock.monotonic()
                    self._changed.wait_for(lambda: self._over, min(0.1 * 2**death, 5.0))
            else:
                self._answers["fault"] = f"the recording process died {DEATHS} times ({self._log} may say why)"
        except OSError as fault:
            self._answers["fault"] = f"the recording process could not be started ({fault})"
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _serve(self) -> int:
        """Start a recording process and tell it everything, from the beginning, until it has ended; its exit status."""
        command = [sys.executable, "-m", "searchlab.tracking.writer"]
        with (
            self._log.open("ab") as log,
            subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._record.home,
                env=_environment(),
                process_group=0,  # an interrupt from the keyboard is the driver's business; its session stays, for nice
            ) as process,
        ):
            self._process, self._gone = process, False
            listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
            listener.start()
            self._feed(process)
            listener.join()
        return process.returncode

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        told = 0
        while True:
            with self._changed:
                while not self._gone and len(self._lines) <= told:
                    self._changed.wait()
                if self._gone:
                    return
                lines, told = self._lines[told:], len(self._lines)
            rest = memoryview(b"".join(lines))
            try:
                while rest:
                    rest = rest[process.stdin.write(rest) :]
            except BrokenPipeError:  # the listener will hear it
                pass

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            with self._changed:
                for line in lines:
                    self._answers |= json.loads(line)
                self._heard = clock.monotonic()
                self._changed.notify_all()
        with self._changed:
            self._gone = True
            self._changed.notify_all()


def _plain(record: SweepRecord) -> dict[str, Any]:
    paths = {"home": str(record.home.absolute()), "files": [str(file.absolute()) for file in record.files]}
    return {**vars(record), **paths, "params": dict(record.params), "tags": dict(record.tags)}


def _environment() -> dict[str, str]:
    """This process's environment, with searchlab importable also where it is not installed."""
    root = Path(searchlab.__file__).parents[1]
    paths = [os.environ.get("PYTHONPATH", "")]
    if root != Path(sysconfig.get_path("purelib")):
        paths.insert(0, str(root))
    return {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

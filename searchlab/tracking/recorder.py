"""The recorder: an event handler whose MLflow record is written by a process of its own, off the training path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import searchlab
from searchlab.errors import WorldFault
from searchlab.runs.events import Event, EventHandler, Message, NullHandler, PhaseStarted, to_json
from searchlab.tracking.sweep_record import SweepRecord

QUIET_SECONDS = 180.0  # without a line from the writer process before it is given up; the writer gives up sooner itself
FINAL_SECONDS = 60.0  # without success after the last command before the writer gives the record up
MAX_WRITER_DEATHS = 8  # writer processes that may die before the record is given up

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow repeats a lost "create run" blindly; the writer looks first
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # longer than a server waits for a locked SQLite file, which is 20
}


class RunRecorder(EventHandler, Protocol):
    """What the pipeline needs of a record: it handles events, takes files, and is concluded or closed."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Attach a file, or the content of a directory, to the sweep's run."""

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Write everything, end the sweep's run, and return the run's id."""

    def close(self) -> None:
        """Write everything and leave the sweep's run open, to be continued."""


class NullRecorder(NullHandler):
    """A recorder that keeps nothing: `tracking=None`."""

    run_id = ""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Ignore the file."""

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Return an empty run id: there is no run."""
        return self.run_id

    def close(self) -> None:
        """Do nothing."""


class Recorder:
    """Keeps the record of one sweep in MLflow; `handle` returns at once and never raises for the store.

    Every event is kept and sent again to a new writer process when one dies, which is safe because the writer records
    nothing twice. When the driver dies, the writer process writes what it has and ends by itself.
    """

    def __init__(self, uri: str, record: SweepRecord) -> None:
        record.home.mkdir(parents=True, exist_ok=True)
        self._record, self._log, self._changed = record, record.home / "mlflow.log", threading.Condition()
        self._lines: list[bytes] = []
        self._answers: dict[str, str] = {}
        self._last_line_at, self._writer_gone = time.monotonic(), False
        self._last_command_sent, self._over, self._ended = False, False, False
        self._process: subprocess.Popen[bytes] | None = None
        self._send("open", uri=uri, record=record.to_json(), time=time.time(), final_seconds=FINAL_SECONDS)
        self._keeper = threading.Thread(target=self._keep_writing, daemon=True, name="recorder")
        self._keeper.start()

    def handle(self, event: Event) -> None:
        """Record an event of a trial; messages and phases are not part of the record."""
        if not isinstance(event, Message | PhaseStarted):
            name, values = to_json(event)
            self._send(name, **values)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Attach a file, or the content of a directory, which must exist until the record is concluded."""
        self._send("log_artifact", path=str(path.absolute()), folder=folder)

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Write everything, end the sweep's run as FINISHED, FAILED or KILLED, and return its id.

        Raises WorldFault when the record could not be completed.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        self._send("conclude", state=state, metrics=numbers, tags=dict(tags), time=time.time())
        try:
            return self._answer("concluded")
        finally:
            self._end()

    def close(self) -> None:
        """Write everything and end the writer process; the sweep's run stays open, to be continued."""
        self._send("close")
        self._end()

    @property
    def run_id(self) -> str:
        """The id of the sweep's run; waits until it is known. Raises WorldFault when there is none."""
        return self._answer("run_id")

    @property
    def pid(self) -> int | None:
        """The process id of the writer, once it has been started."""
        return self._process.pid if self._process else None

    def _send(self, command: str, **arguments: Any) -> None:
        line = json.dumps([command, arguments]).encode() + b"\n"
        with self._changed:
            if not self._last_command_sent:
                self._lines.append(line)
                self._last_command_sent = command in ("conclude", "close")
                self._changed.notify_all()

    def _answer(self, key: str) -> str:
        self._wait(lambda: self._ended or bool(self._answers.keys() & {key, "fault"}))
        if key in self._answers:
            return self._answers[key]
        name, fault = self._record.name, self._answers.get("fault", "the process that writes it does not answer")
        raise WorldFault(
            f"The record of {name} in MLflow is not complete: {fault.rstrip('.')}. "
            f"The study holds every trial, and `searchlab resume {name}` completes the record."
        )

    def _wait(self, condition: Callable[[], bool]) -> bool:
        """Return whether the condition came true before the writer process had been quiet for too long."""
        with self._changed:
            self._last_line_at = time.monotonic()
            while not condition() and (left := self._last_line_at + QUIET_SECONDS - time.monotonic()) > 0:
                self._changed.wait(left)
            return condition()

    def _end(self) -> None:
        ended = self._wait(lambda: self._ended)
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if not ended and self._process is not None:
            self._process.kill()
        self._keeper.join()

    def _keep_writing(self) -> None:
        """Run writer processes until one has ended well, has reported why it cannot, or too many have died."""
        try:
            for death in range(MAX_WRITER_DEATHS):
                status = self._run_writer()
                with self._changed:
                    if (status == 0 and self._last_command_sent) or self._over or "fault" in self._answers:
                        break
                    self._last_line_at = time.monotonic()
                    self._changed.wait_for(lambda: self._over, min(0.1 * 2**death, 5.0))
            else:
                self._answers["fault"] = f"the process that writes it died {MAX_WRITER_DEATHS} times (see {self._log})"
        except OSError as fault:
            self._answers["fault"] = f"the process that writes it could not be started ({fault})"
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run_writer(self) -> int:
        """Start a writer process, send it every line until it has ended, and return its exit status."""
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
            self._process, self._writer_gone = process, False
            listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
            listener.start()
            self._feed(process)
            listener.join()
        return process.returncode

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        sent = 0
        while True:
            with self._changed:
                while not self._writer_gone and len(self._lines) <= sent:
                    self._changed.wait()
                if self._writer_gone:
                    return
                lines, sent = self._lines[sent:], len(self._lines)
            rest = memoryview(b"".join(lines))
            try:
                while rest:
                    rest = rest[process.stdin.write(rest) :]
            except BrokenPipeError:  # the listener notices that the process has ended
                pass

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            with self._changed:
                for line in lines:
                    self._answers |= json.loads(line)
                self._last_line_at = time.monotonic()
                self._changed.notify_all()
        with self._changed:
            self._writer_gone = True
            self._changed.notify_all()


def _environment() -> dict[str, str]:
    """Return this process's environment, with searchlab importable also where it is not installed."""
    root = Path(searchlab.__file__).parents[1]
    paths = [os.environ.get("PYTHONPATH", "")]
    if root != Path(sysconfig.get_path("purelib")):
        paths.insert(0, str(root))
    return {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

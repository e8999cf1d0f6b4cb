"""The recorder: an event handler whose MLflow record is written by a process of its own, off the training path."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from searchlab.errors import WorldFault
from searchlab.runs.events import Event, Message, PhaseStarted, to_json
from searchlab.runs.urls import web_credentials, without_password
from searchlab.tracking.early_writer import EarlyWriter
from searchlab.tracking.patience import Patience
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.tracking.writer_process import LOCAL_STORE, LOG, WRITER_COMMAND, environment, open_log

ANSWER_SECONDS = 600.0  # to wait for the id of the sweep's run, while the search goes on
FINAL_SECONDS = 15.0  # without success after the last command before the writer gives the record up
POLL_SECONDS = 0.1  # between two looks at the time while a run waits
JOIN_SECONDS = 5.0  # for the end of a writer process that was killed
MAX_WRITER_DEATHS = 8  # writer processes that may die before the record is given up
MAX_FINAL_DEATHS = 2  # of them after the last command, when a person waits: each start imports MLflow


class Recorder:
    """Keeps the record of one sweep in MLflow; `handle` returns at once and never raises for the store.

    Every event is kept and sent again to a new writer process when one dies, which is safe because the writer records
    nothing twice. When the driver dies, the writer process writes what it has and ends by itself.

    Args:
        uri: URL of the store.
        record: What the record starts with.
        tell: Called from another thread with a sentence when the store goes away or comes back; default: nothing.
        early: The first process that writes, where it was started before; default: it is started now.
    """

    def __init__(
        self,
        uri: str,
        record: SweepRecord,
        tell: Callable[[str], None] = lambda text: None,
        early: EarlyWriter | None = None,
    ) -> None:
        record.home.mkdir(parents=True, exist_ok=True)
        self._record, self._log, self._changed = record, record.home / LOG, threading.Condition()
        self._uri, self._place, self._tell = uri, without_password(uri), tell
        self._lines: list[bytes] = []
        self._answers: dict[str, Any] = {}
        self._patience: Patience | None = None  # from the last command on
        self._writer_gone, self._over, self._ended, self._final_deaths = False, False, False, 0
        self._early = early.take() if early else None
        self._process = self._early
        address = self._place if web_credentials(uri) != ("", "") else uri  # that of a database is needed whole
        self._send("open", uri=address, record=record.to_json(), time=time.time(), final_seconds=FINAL_SECONDS)
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

    def log_model(self, path: Path, register: str | None = None) -> None:
        """Log the artifact in a folder, which must exist until the record is concluded, as a model; register it."""
        self._send("log_model", path=str(path.absolute()), register=register)

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
    def registered(self) -> str | None:
        """Name and alias of the registered model, as "digits@champion"; None where none was registered."""
        return self._answers.get("registered")

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
            if self._patience is None:
                self._lines.append(line)
                if command in ("conclude", "close"):
                    stopped = command == "close" or arguments["state"] == "KILLED"
                    self._patience = Patience(
                        time.monotonic(), stopped=stopped, local=self._uri.startswith(LOCAL_STORE)
                    )
                self._changed.notify_all()

    def _answer(self, key: str) -> str:
        self._wait(lambda: self._ended or bool(self._answers.keys() & {key, "fault"}))
        if key in self._answers:
            return str(self._answers[key])
        raise WorldFault(
            f"The record of {self._record.name} in MLflow at {self._place} is not complete: {self._reason()}. "
            f"The study holds every trial, and `searchlab resume {self._record.name}` completes the record."
        )

    def _reason(self) -> str:
        """Return why the record is not complete."""
        reason = self._answers.get("fault") or self._answers.get("problem") or "it was not written in time"
        return str(reason).rstrip(".")

    def _wait(self, condition: Callable[[], bool]) -> bool:
        """Return whether the condition came true before the run has waited long enough for the writer process."""
        with self._changed:
            begun = time.monotonic()
            while not (held := condition()) and not self._has_waited_enough(begun):
                self._changed.wait(POLL_SECONDS)
            return held

    def _has_waited_enough(self, begun: float) -> bool:
        now, answers = time.monotonic(), self._answers
        if self._patience is None:
            return now - begun > ANSWER_SECONDS
        started = bool(answers.get("run_id") or answers.get("problem"))
        return self._patience.is_over(now, started=started, written=min(answers.get("written", 0), len(self._lines)))

    def _end(self) -> None:
        ended = self._wait(lambda: self._ended)
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if not ended and self._process is not None:
            self._process.kill()
        self._keeper.join(JOIN_SECONDS)

    def _keep_writing(self) -> None:
        """Run writer processes until one has written everything or has said why it cannot, or too many have died."""
        try:
            for death in range(MAX_WRITER_DEATHS):
                self._run_writer()
                with self._changed:
                    if self._has_end() or self._changed.wait_for(lambda: self._over, min(0.1 * 2**death, 5.0)):
                        break
                    self._final_deaths += self._patience is not None
                if self._final_deaths >= MAX_FINAL_DEATHS:
                    break
        except OSError as fault:
            self._answers["fault"] = f"the process that writes it could not be started ({fault})"
        with self._changed:
            if not self._has_end():
                self._answers["fault"] = f"the process that writes it dies again and again (see {self._log})"
            self._ended = True
            self._changed.notify_all()

    def _has_end(self) -> bool:
        """Return whether nothing is left to do for a writer; its exit status says nothing, as on a full disk."""
        return self._over or bool(self._answers.keys() & {"concluded", "closed", "fault"})

    def _run_writer(self) -> None:
        """Start a writer process, and send it every line until it has ended."""
        early, self._early = self._early, None
        with early or self._start_writer() as process:
            self._process, self._writer_gone = process, False
            listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
            listener.start()
            self._feed(process)
            listener.join()

    def _start_writer(self) -> subprocess.Popen[bytes]:
        with open_log(self._log) as log:
            return subprocess.Popen(
                WRITER_COMMAND,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._record.home,
                env=environment(self._uri),
                process_group=0,  # an interrupt from the keyboard is the driver's business; its session stays, for nice
            )

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        stdin = cast(IO[bytes], process.stdin)
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
                    rest = rest[stdin.write(rest) :]
            except BrokenPipeError:  # the listener notices that the process has ended
                pass

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        stdout, rest = cast(IO[bytes], process.stdout), b""
        try:
            while chunk := stdout.read(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    with suppress(ValueError):  # not an answer of the writer
                        self._take(json.loads(line))
        finally:
            with self._changed:
                self._writer_gone = True
                self._changed.notify_all()

    def _take(self, answer: Mapping[str, Any]) -> None:
        """Keep an answer of the writer, and tell where the store has gone away or come back."""
        with self._changed:
            told = self._answers.get("problem")
            self._answers |= answer
            self._changed.notify_all()
            is_final = self._patience is not None
        name, place = self._record.name, f"MLflow at {self._place}"
        if (problem := answer.get("problem")) and problem != told:
            self._tell(f"{place} does not take the record of {name} now ({problem}); the search goes on")
        elif "problem" in answer and told:
            self._tell(f"{place} takes the record of {name} again")
        elif "fault" in answer and answer["fault"] != told and not is_final:  # at the end, the run itself tells
            self._tell(f"{place} cannot keep the record of {name} ({self._reason()}); the search goes on")

"""The process that writes a record: JSON lines of commands and events come in, MLflow runs go out.

Started by `recorder.Recorder`; imports MLflow, so that neither the driver nor the workers have to.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchlab.runs.events import from_json
from searchlab.runs.file_lock import FileLock
from searchlab.runs.secrets import mask_all
from searchlab.tracking.inbox import FINAL_COMMANDS, WRITE_INTERVAL, Command, Inbox
from searchlab.tracking.log_stream import LogStream
from searchlab.tracking.probe import ServerAway, probe
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.tracking.writer_process import IMPORT_FIRST, LOG, open_log

if TYPE_CHECKING:
    from searchlab.tracking.mlflow import MlflowRecord

MAX_WRITE_INTERVAL = 10.0  # seconds between two writes, however long one takes
RUNNING_INTERVAL = 5.0  # seconds between two writes of the curves of trials that still run
WRITE_SHARE = 0.05  # of the time may go into writing: a call costs a server 7 ms and more, whatever it holds
LOCK_SECONDS = 60.0  # to wait for another writer of the same sweep
OUTAGE_SECONDS = 10.0  # of failing writes before a person is told, once the store has been reached
MAX_RETRY_PAUSE = 5.0  # seconds
PROBE_SECONDS = 5.0  # for the first answer of a server: a person is told soon whether it is there
FINAL_PROBE_SECONDS = 10.0  # for one after the last command
MAX_PROBE_SECONDS = 30.0  # for a later one before it

T = TypeVar("T")
log = logging.getLogger("searchlab.record")


class Pauses:
    """The growing pauses between attempts, which are over some time after the last command."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox, self._pause, self._since = inbox, WRITE_INTERVAL, 0.0

    def are_over(self) -> bool:
        """Return whether attempts after the last command have failed for long enough."""
        if self._inbox.retry_seconds is None:
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since > self._inbox.retry_seconds

    def wait(self) -> None:
        """Wait until the next attempt."""
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, MAX_RETRY_PAUSE)


class Writer:
    """Writes what the inbox brings until the final command, and retries while the store is unavailable."""

    def __init__(self, inbox: Inbox, answer: Callable[..., None]) -> None:
        self.inbox, self.answer = inbox, answer
        self._written = 0  # trials and files
        self._is_away = False  # as far as the driver knows
        self._wrote_running = time.monotonic()

    def run(self) -> None:
        """Write the record of one sweep, under its lock: a sweep has one writer at a time."""
        (_, opening), *commands = self._first_commands()
        sweep = SweepRecord.from_json(opening["record"])
        _enter(sweep.home)
        self._await_server(opening["uri"])
        MlflowRecord = _import_record()

        with FileLock(sweep.home / f"tracking-{sweep.name}.lock", timeout=LOCK_SECONDS):
            record = self.retry(
                lambda: MlflowRecord(opening["uri"], sweep, opening["time"], self._count), tell_after=0.0
            )
            self.answer(run_id=record.run_id)
            while self._write(record, commands):
                commands = self.inbox.take(RUNNING_INTERVAL if record.has_unwritten else None)

    def retry(self, act: Callable[[], T], tell_after: float = OUTAGE_SECONDS) -> T:
        """Return the result of `act`, retried with growing pauses while the store is unavailable.

        Before the final command it is retried without end, after it for as long as the inbox says. A fault that will
        not pass is raised at once. Own code instead of tenacity: how long it may take changes while it waits.
        """
        from searchlab.tracking.faults import is_permanent, reason_of

        pauses, begun = Pauses(self.inbox), time.monotonic()
        while True:
            try:
                result = act()
                break
            except Exception as fault:
                if is_permanent(fault) or pauses.are_over():
                    raise
                log.warning("the store does not take the record now, trying again: %s", fault)
                if time.monotonic() - begun >= tell_after:
                    self._tell(reason_of(fault))
            pauses.wait()
        self._tell(None)
        return result

    def _await_server(self, uri: str) -> None:
        """Wait until a server answers, and tell within seconds where it does not; MLflow is not imported before."""
        pauses, seconds = Pauses(self.inbox), PROBE_SECONDS
        while True:
            try:
                self._tell(probe(uri, seconds if self.inbox.retry_seconds is None else FINAL_PROBE_SECONDS))
                return
            except ServerAway as fault:
                if pauses.are_over():
                    raise
                log.warning("the server does not answer: %s", fault)
                self._tell(str(fault))
            pauses.wait()
            seconds = min(2 * seconds, MAX_PROBE_SECONDS)

    def _tell(self, problem: str | None) -> None:
        """Tell the driver when the store goes away and when it is back, once each."""
        if bool(problem) != self._is_away:
            self._is_away = bool(problem)
            self.answer(problem=problem)

    def _count(self) -> None:
        """Tell the driver that another trial or file is written, so that it waits for the rest."""
        self._written += 1
        self.answer(written=self._written)

    def _is_due(self, commands: list[Command]) -> bool:
        """Return whether the curves of trials that still run are to be written: now and then, and at the end."""
        is_last = self.inbox.ended() or any(name in FINAL_COMMANDS for name, _ in commands)
        if not is_last and time.monotonic() - self._wrote_running < RUNNING_INTERVAL:
            return False
        self._wrote_running = time.monotonic()
        return True

    def _first_commands(self) -> list[Command]:
        commands = self.inbox.take()
        if not commands:
            raise EOFError("nothing to record")
        return commands

    def _write(self, record: MlflowRecord, commands: list[Command]) -> bool:
        """Carry out these commands; return False after the final one."""
        for name, arguments in commands:
            if event := from_json(name, arguments):
                record.handle(event)
            elif name == "log_artifact":
                record.log_artifact(Path(arguments["path"]), arguments["folder"])
            elif name == "log_model":
                record.log_model(Path(arguments["path"]), arguments["register"])
        begun = time.monotonic()
        self.retry(partial(record.flush, running=self._is_due(commands)))
        self.inbox.interval = min(max(WRITE_INTERVAL, (time.monotonic() - begun) / WRITE_SHARE), MAX_WRITE_INTERVAL)
        last, arguments = commands[-1] if commands else ("close" if self.inbox.ended() else "", {})
        if record.registered:
            self.answer(registered=record.registered)
        if last == "conclude":
            self.retry(lambda: record.conclude(**arguments))
            self.answer(**({"fault": "; ".join(record.faults)} if record.faults else {"concluded": record.run_id}))
        if last == "close":
            self.answer(closed=True)
        return last not in FINAL_COMMANDS


def _enter(home: Path) -> None:
    """Go to the home folder, and log there: a process that was started early knows neither before."""
    os.chdir(home)
    with open_log(home / LOG) as log_file:
        os.dup2(log_file.fileno(), 2)


def _import_record() -> type[MlflowRecord]:
    """Import MLflow and return the record; without garbage collections meanwhile it takes a fifth less."""
    gc.disable()
    try:
        from searchlab.tracking.mlflow import MlflowRecord
    finally:
        gc.freeze()
        gc.enable()
    return MlflowRecord


def main() -> int:
    """Serve the process that started this one, over its standard input and output; errors go to a log."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get among the answers
    sys.stdout = sys.stderr = LogStream()
    os.nice(19)  # training comes first: what is written late is written all the same
    logging.basicConfig(format="%(asctime)s %(message)s")

    def answer(**values: Any) -> None:
        with contextlib.suppress(OSError):  # the driver was killed; what it sent is written all the same
            os.write(answers, json.dumps(mask_all(values)).encode() + b"\n")

    try:
        inbox = Inbox()
        if IMPORT_FIRST in sys.argv[1:]:
            with contextlib.suppress(Exception):  # it is raised again where the record is opened, and logged there
                _import_record()
        Writer(inbox, answer).run()
    except EOFError:
        return 0
    except Exception as fault:
        log.exception("the record could not be written")
        answer(fault=_sentence(fault))
    else:
        return 0
    return 1


def _sentence(fault: Exception) -> str:
    """Return what to tell of a fault, also where MLflow is not or cannot be imported."""
    if isinstance(fault, ServerAway):
        return str(fault)
    try:
        from searchlab.tracking.faults import reason_of
    except ImportError:
        return str(fault) or type(fault).__name__
    return reason_of(fault)


if __name__ == "__main__":
    os._exit(main())  # threads of a library that wait for a server do not keep the process

"""The process that writes a record: JSON lines of commands and events come in, MLflow runs go out.

Started by `recorder.Recorder`; imports MLflow, so that neither the driver nor the workers have to.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from searchlab.runs.events import from_json
from searchlab.runs.file_lock import FileLock
from searchlab.tracking.sweep_record import SweepRecord

if TYPE_CHECKING:
    from searchlab.tracking.mlflow import MlflowRecord

WRITE_INTERVAL = 1.0  # seconds between two writes, for a dashboard that follows and batches that are worth a call
MAX_WRITE_INTERVAL = 10.0  # seconds between two writes, however long one takes
WRITE_SHARE = 0.05  # of the time may go into writing: a call costs a server 7 ms and more, whatever it holds
ORPHAN_SECONDS = 20.0  # of failing writes after the driver has died: a resumed sweep waits for this process
KILLED_SECONDS = 5.0  # of failing writes after a run was stopped: the next run completes the record, and a person waits
LOCK_SECONDS = 60.0  # to wait for another writer of the same sweep
MAX_RETRY_PAUSE = 5.0  # seconds
FINAL_COMMANDS = ("conclude", "close")

Command: TypeAlias = tuple[str, dict[str, Any]]  # an event or a command by name, and its arguments
T = TypeVar("T")
log = logging.getLogger("searchlab.record")


class Inbox:
    """The lines that arrive on standard input, read by a thread of its own so that the sender never waits."""

    def __init__(self) -> None:
        self.retry_seconds: float | None = None  # of failing writes after the last command; None while more may come
        self.interval = WRITE_INTERVAL  # seconds from one `take` to the next
        self._changed = threading.Condition()
        self._commands: list[Command] = []
        self._taken, self._sender_gone = 0.0, False
        self._final_seconds = 0.0
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> list[Command]:
        """Return what has arrived, one interval after the last call at the earliest, at once after a final command."""
        with self._changed:
            self._changed.wait_for(lambda: self._commands or self.retry_seconds is not None)
            left = self._taken + self.interval - time.monotonic()
            self._changed.wait_for(lambda: self.retry_seconds is not None, left)
            commands, self._commands, self._taken = self._commands, [], time.monotonic()
            return commands

    def ended(self) -> bool:
        """Return whether the sender is gone and everything it sent has been taken."""
        with self._changed:
            return self._sender_gone and not self._commands

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(0, 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            self._add([json.loads(line) for line in lines])
        with self._changed:  # a rest without a line end was cut off when its sender was killed
            self.retry_seconds, self._sender_gone = self.retry_seconds or ORPHAN_SECONDS, True
            self._changed.notify_all()

    def _add(self, commands: list[Command]) -> None:
        with self._changed:
            self._commands += commands
            for name, arguments in commands:
                self._final_seconds = arguments.get("final_seconds", self._final_seconds)
                if name in FINAL_COMMANDS:
                    finished = name == "conclude" and arguments["state"] != "KILLED"
                    self.retry_seconds = self._final_seconds if finished else KILLED_SECONDS
            self._changed.notify_all()


class Writer:
    """Writes what the inbox brings until the final command, and retries while the store is unavailable."""

    def __init__(self, inbox: Inbox, answer: Callable[..., None]) -> None:
        self.inbox, self.answer = inbox, answer

    def run(self) -> None:
        """Write the record of one sweep, under its lock: a sweep has one writer at a time."""
        (_, opening), *commands = self._first_commands()
        sweep = SweepRecord.from_json(opening["record"])
        from searchlab.tracking.mlflow import MlflowRecord

        with FileLock(sweep.home / f"tracking-{sweep.name}.lock", timeout=LOCK_SECONDS):
            record = self.retry(lambda: MlflowRecord(opening["uri"], sweep, opening["time"]))
            self.answer(run_id=record.run_id)
            while self._write(record, commands):
                commands = self.inbox.take()

    def retry(self, act: Callable[[], T]) -> T:
        """Return the result of `act`, retried with growing pauses while the store is unavailable.

        Before the final command it is retried without end, after it for as long as the inbox says. A fault that will
        not pass is raised at once. Own code instead of tenacity: how long it may take changes while it waits.
        """
        from searchlab.tracking.store import is_permanent

        pause, since = WRITE_INTERVAL, 0.0
        while True:
            try:
                return act()
            except Exception as fault:
                if is_permanent(fault):
                    raise
                if self.inbox.retry_seconds is not None:
                    since = since or time.monotonic()
                    if time.monotonic() - since > self.inbox.retry_seconds:
                        raise
                log.warning("the store does not take the record now, trying again: %s", fault)
            time.sleep(pause)
            pause = min(2 * pause, MAX_RETRY_PAUSE)

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
        begun = time.monotonic()
        self.retry(record.flush)
        self.inbox.interval = min(max(WRITE_INTERVAL, (time.monotonic() - begun) / WRITE_SHARE), MAX_WRITE_INTERVAL)
        self.answer(written=len(commands))
        last, arguments = commands[-1] if commands else ("close" if self.inbox.ended() else "", {})
        if last == "conclude":
            self.retry(lambda: record.conclude(**arguments))
            self.answer(**({"fault": "; ".join(record.faults)} if record.faults else {"concluded": record.run_id}))
        return last not in FINAL_COMMANDS


def main() -> int:
    """Serve the process that started this one, over its standard input and output; errors go to a log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    os.nice(19)  # training comes first: what is written late is written all the same
    logging.basicConfig(format="%(asctime)s %(message)s")

    def answer(**values: Any) -> None:
        with contextlib.suppress(OSError):  # the driver was killed; what it sent is written all the same
            print(json.dumps(values), file=answers, flush=True)

    try:
        Writer(Inbox(), answer).run()
    except EOFError:
        return 0
    except Exception as fault:
        log.exception("the record could not be written")
        answer(fault=str(fault) or type(fault).__name__)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())

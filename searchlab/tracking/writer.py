"""The recording process: JSON lines of what happened in, MLflow's record out. Started by `process.Recorder`."""

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
from typing import TYPE_CHECKING, Any, TypeVar

from searchlab.runs.events import SweepRecord, replay

if TYPE_CHECKING:
    from searchlab.tracking.mlflow import Record

PERIOD = 1.0  # seconds between two writes, for a dashboard that lives and batches that are worth it
SHARE = 0.05  # of the time may go into writing: a call costs a server 7 ms and more, however little it brings
LONGEST = 10.0  # seconds between two writes all the same
ORPHANED = 20.0  # seconds without success until the record is given up: a resumed sweep waits for this process
BRIEF = 5.0  # the same when the sweep goes on another day, whose run completes the record, and somebody waits
LOCK_PATIENCE = 60.0
LAST_WORDS = ("conclude", "close")

Result = TypeVar("Result")
log = logging.getLogger("searchlab.record")


class Inbox:
    """The lines that arrive on standard input, read by a thread of their own so that the sender never waits."""

    def __init__(self) -> None:
        self.grace: float | None = None  # seconds to insist while the store is away; None while more may come
        self._changed = threading.Condition()
        self._events: list[tuple[str, dict[str, Any]]] = []
        self.period = PERIOD  # seconds from one time that events are taken to the next
        self._taken, self._gone = 0.0, False
        self._patience = 0.0  # to insist for at the end of the sweep
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """What has arrived, a period after the last time at the earliest, or at once after the last word."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self.grace is not None)
            self._changed.wait_for(lambda: self.grace is not None, self._taken + self.period - time.monotonic())
            events, self._events, self._taken = self._events, [], time.monotonic()
            return events

    def ended(self) -> bool:
        """Whether the sender is gone and everything it sent has been taken."""
        with self._changed:
            return self._gone and not self._events

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(0, 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            self._add([json.loads(line) for line in lines])
        with self._changed:  # what is left of a line was cut off when its sender was killed
            self.grace, self._gone = self.grace or ORPHANED, True
            self._changed.notify_all()

    def _add(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        with self._changed:
            self._events += events
            for method, arguments in events:
                self._patience = arguments.get("patience", self._patience)
                if method in LAST_WORDS:
                    ended = method == "conclude" and arguments["state"] != "KILLED"
                    self.grace = self._patience if ended else BRIEF
            self._changed.notify_all()


class Writer:
    """Takes events from the inbox to the record until the last word, insisting while the store is away."""

    def __init__(self, inbox: Inbox, say: Callable[..., None]) -> None:
        self.inbox, self.say = inbox, say

    def run(self) -> None:
        """Write the record of one sweep, under its lock: there is one writer of a sweep at a time."""
        (_, hello), *events = self._first_events()
        sweep = _sweep_of(hello["record"])
        from searchlab.tracking.mlflow import Record
        from searchlab.tracking.store import locked

        with locked(sweep.home / f"tracking-{sweep.name}.lock", LOCK_PATIENCE):
            record = self.insist(lambda: Record(hello["uri"], sweep, hello["time"]))
            self.say(run_id=record.run_id)
            while self._write(record, events):
                events = self.inbox.take()

    def insist(self, act: Callable[[], Result]) -> Result:
        """The result of `act`, tried again with growing pauses while the store is away; bounded after the last word."""
        from searchlab.tracking.store import permanent

        pause, since = PERIOD, 0.0
        while True:
            try:
                return act()
            except Exception as fault:
                if permanent(fault):
                    raise
                if self.inbox.grace is not None:
                    since = since or time.monotonic()
                    if time.monotonic() - since > self.inbox.grace:
                        raise
                log.warning("the store does not take the record now, trying again: %s", fault)
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def _first_events(self) -> list[tuple[str, dict[str, Any]]]:
        events = self.inbox.take()
        if not events:
            raise EOFError("nothing to record")
        return events

    def _write(self, record: Record, events: list[tuple[str, dict[str, Any]]]) -> bool:
        """Write these events; False after the last of all."""
        for method, arguments in events:
            if method == "artifact":
                record.artifact(Path(arguments["path"]), arguments["folder"])
            elif method not in LAST_WORDS:
                replay([(method, arguments)], record)
        begun = time.monotonic()
        self.insist(record.flush)
        self.inbox.period = min(max(PERIOD, (time.monotonic() - begun) / SHARE), LONGEST)
        self.say(written=len(events))
        last, arguments = events[-1] if events else ("close" if self.inbox.ended() else "", {})
        if last == "conclude":
            self.insist(lambda: record.conclude(**arguments))
            self.say(**({"fault": "; ".join(record.faults)} if record.faults else {"concluded": record.run_id}))
        return last not in LAST_WORDS


def main() -> int:
    """Serve the process that started this one, over its standard input and output; its errors go to a log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    os.nice(19)  # training comes first: what is written late is written all the same
    logging.basicConfig(format="%(asctime)s %(message)s")

    def say(**answer: Any) -> None:
        with contextlib.suppress(OSError):  # the sweep was killed; what it told is written all the same
            print(json.dumps(answer), file=answers, flush=True)

    try:
        Writer(Inbox(), say).run()
    except EOFError:
        return 0
    except Exception as fault:
        log.exception("the record could not be written")
        say(fault=str(fault) or type(fault).__name__)
    else:
        return 0
    return 1


def _sweep_of(record: dict[str, Any]) -> SweepRecord:
    paths = {"home": Path(record["home"]), "files": tuple(Path(file) for file in record["files"])}
    return SweepRecord(**{**record, **paths})


if __name__ == "__main__":
    sys.exit(main())

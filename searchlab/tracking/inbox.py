"""The commands that arrive at the process that writes a record."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, TypeAlias

WRITE_INTERVAL = 1.0  # seconds between two writes, for a dashboard that follows and batches that are worth a call
ORPHAN_SECONDS = 20.0  # of failing writes after the driver has died: a resumed sweep waits for this process
KILLED_SECONDS = 5.0  # of failing writes after a run was stopped: the next run completes the record, and a person waits
FINAL_COMMANDS = ("conclude", "close")

Command: TypeAlias = tuple[str, dict[str, Any]]  # an event or a command by name, and its arguments


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

    def take(self, timeout: float | None = None) -> list[Command]:
        """Return what has arrived, one interval after the last call at the earliest, at once after a final command.

        Args:
            timeout: Seconds after which nothing is returned where nothing arrives; default: wait on.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._commands or self.retry_seconds is not None, timeout)
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

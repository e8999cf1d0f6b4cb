"""Locks on files that the operating system releases when their owner dies."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple, TextIO


class FileLock:
    """A lock on a file that the system lets go of when its holder dies, however it dies."""

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        """Take the lock, waiting up to `wait` seconds; raises BlockingIOError when another process keeps it."""
        deadline = time.monotonic() + wait
        self._file: TextIO = path.open("a+")
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    self._file.close()
                    raise
                time.sleep(0.05)
        self._file.truncate(0)
        self._file.write(f"{os.getpid()} {socket.gethostname()}")
        self._file.flush()

    def release(self) -> None:
        """Let go of it."""
        self._file.close()


class LockHolder(NamedTuple):
    """Who holds a lock: the process by its id, and the host that it runs on, "" where an older version wrote none.

    The id is 0 for a moment after the lock was taken.
    """

    pid: int
    host: str


def lock_holder(path: Path) -> LockHolder | None:
    """Who holds the lock on this file; None when it is free."""
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, host = file.read().partition(" ")
            return LockHolder(int(pid or 0), host)
    return None


def lock_holder_pid(path: Path) -> int | None:
    """The process that holds the lock on this file; None when it is free."""
    held = lock_holder(path)
    return held.pid if held else None

"""Locks on files, which the operating system releases when the process that holds them ends in any way."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import NamedTuple, TextIO

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, stop_never, wait_fixed

POLL_INTERVAL = 0.05  # seconds between two attempts to take a lock


class FileLock:
    """An exclusive lock on a file, whose content names the process that holds it; a context manager too.

    Args:
        path: The file, which is created if need be; its folder must exist.
        timeout: Seconds to wait while another process holds the lock; None waits for ever. Default: does not wait.

    Raises:
        BlockingIOError: When another process still holds the lock after `timeout` seconds.

    Example:
        >>> from searchlab.runs.file_lock import FileLock, lock_holder_pid
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder, FileLock(Path(folder) / "run.lock"):
        ...     lock_holder_pid(Path(folder) / "run.lock") == os.getpid()
        True
    """

    def __init__(self, path: Path, timeout: float | None = 0.0) -> None:
        self._file: TextIO = path.open("a+")
        attempts = Retrying(
            retry=retry_if_exception_type(BlockingIOError),
            wait=wait_fixed(POLL_INTERVAL),
            stop=stop_never if timeout is None else stop_after_delay(timeout),
            reraise=True,
        )
        try:
            attempts(fcntl.flock, self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise BlockingIOError(f"another process has held {path.name} for {timeout:g} seconds") from error
            raise
        self._file.truncate(0)
        self._file.write(f"{os.getpid()} {socket.gethostname()}")
        self._file.flush()

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


class LockHolder(NamedTuple):
    """The process that holds a lock.

    Attributes:
        pid: Its process id; 0 for a moment after it took the lock.
        host: The name of its host; "" where the file does not name it.
    """

    pid: int
    host: str


def lock_holder(path: Path) -> LockHolder | None:
    """Return the process that holds the lock on this file; None when nobody does."""
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
    """Return the id of the process that holds the lock on this file; None when nobody does."""
    holder = lock_holder(path)
    return holder.pid if holder else None

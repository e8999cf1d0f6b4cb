"""The lock of a sweep: one process at a time runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from searchlab.errors import UserMistake
from searchlab.runs.file_lock import FileLock, lock_holder_pid
from searchlab.runs.workspace import SweepFolder


@contextmanager
def sweep_locked(folder: SweepFolder) -> Iterator[None]:
    """Hold the sweep's lock for the length of the block; raise UserMistake when another process runs the sweep."""
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder.lock, timeout=1.0)
    except BlockingIOError as error:
        raise UserMistake(
            f"{folder.name!r} is being run by process {lock_holder_pid(folder.lock)}; only one process at a time can."
        ) from error
    try:
        yield
    finally:
        lock.release()

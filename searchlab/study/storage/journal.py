"""A study in a journal file: one line for each operation, written by one owner and read by any process."""

from __future__ import annotations

import errno
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from searchlab.errors import WorldFault
from searchlab.study.storage.journal_format import complete_lines, decode, encode
from searchlab.study.storage.own_lines import OwnLines

SYNC_INTERVAL = 1.0  # seconds between two waits for the disk, at least


class ReadOnlyJournal(BaseJournalBackend):
    """A journal for reading. It ignores a last line without a line end, which is being written or was cut by a kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line_count, self._offset = 0, 0  # lines and bytes read so far

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations from this line on, counted from 0; raise WorldFault when a line is damaged."""
        with self._path.open("rb") as file:
            if log_number_from < self._line_count:
                self._line_count, self._offset = 0, 0
            file.seek(self._offset)
            for line in complete_lines(file):
                self._line_count, self._offset = self._line_count + 1, self._offset + len(line)
                if self._line_count > log_number_from:
                    yield self._decoded(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Raise PermissionError."""
        raise PermissionError(f"the study {self._path} is open for reading only")

    def _decoded(self, line: bytes) -> dict[str, Any]:
        try:
            return decode(line)
        except ValueError as error:
            raise WorldFault(
                f"line {self._line_count} of the study {self._path} is damaged; restore a copy of the file, or delete "
                "that line and all after it, which keeps the trials that had ended before."
            ) from error


class OwnedJournal(ReadOnlyJournal):
    """The journal of its one owner, which reads the file once: every later line is its own.

    A file lock beside the journal, which no kill outlives, keeps other owners away. Each line is written at once and
    so survives the death of every process. Only a power cut can lose lines: the journal waits for the disk when a
    trial ends, but at most once in SYNC_INTERVAL seconds, and when it is closed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._close_file = weakref.finalize(self, os.close, self._file)
            self._size, line_count = _cut_incomplete_line(path)
        except OSError as error:
            raise self._fault(error) from error
        self._own_lines = OwnLines(line_count)
        self._last_sync, self._needs_sync = float("-inf"), False

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the operations from this line on, counted from 0, from memory where they are this process's own."""
        if log_number_from < self._own_lines.first:
            return super().read_logs(log_number_from)
        return self._own_lines.read(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations; raise WorldFault, and leave the file as it was, when that fails."""
        if not self._close_file.alive:
            raise ValueError(f"the study {self._path} is closed: another process may own it now")
        lines = [encode(log) for log in logs]
        content = "".join(f"{line}\n" for line in lines).encode()
        try:
            if os.write(self._file, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._needs_sync |= any("state" in log for log in logs)
            self._sync(time.monotonic() - SYNC_INTERVAL)
        except OSError as error:
            os.ftruncate(self._file, self._size)  # an incomplete line would damage all that follow
            raise self._fault(error) from error
        self._size += len(content)
        self._own_lines.add(lines)

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def close(self) -> None:
        """Wait for the disk, and accept no more operations. The call is idempotent."""
        if not self._close_file.alive:
            return
        try:
            self._sync(float("inf"))
        except OSError as error:
            raise self._fault(error) from error
        finally:
            self._close_file()

    def _sync(self, latest: float) -> None:
        """Wait until the lines are on the disk, if a trial ended and the last wait was before this monotonic time."""
        if self._needs_sync and self._last_sync < latest:
            os.fsync(self._file)
            self._last_sync, self._needs_sync = time.monotonic(), False

    def _fault(self, error: OSError) -> WorldFault:
        return WorldFault(
            f"the study {self._path} cannot be written ({error.strerror}); every trial that had ended is kept."
        )


def _cut_incomplete_line(journal: Path) -> tuple[int, int]:
    """Delete a last line without a line end, left by a kill or a full disk; return the remaining bytes and lines."""
    content = journal.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        os.truncate(journal, complete)
    return complete, content.count(b"\n")

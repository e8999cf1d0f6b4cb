"""Where a study is stored: an embedded journal with one owner, or a database."""

from __future__ import annotations

import errno
import json
import os
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study

from searchlab.errors import WorldFault

SYNC = 1.0  # seconds: how often at most the journal waits for the disk


def own(storage: Path | str, waiting: Callable[[str], None] | None = None, study: str | None = None) -> BaseStorage:
    """The storage for its owner, who mends what a kill left half written; raises WorldFault when it cannot be.

    `waiting` hears when a database does not answer and is waited for, and when it does again. `study` is the name of
    the one that is owned there; raises UserMistake when another process keeps it.
    """
    if isinstance(storage, Path):
        return JournalStorage(_Owned(storage))
    from searchlab.study.storage import database

    return database.own(storage, waiting, study)


def look(storage: Path | str) -> BaseStorage:
    """The journal at this path or the database at this URL, as it is, for reading; another may own it."""
    if isinstance(storage, Path):
        return JournalStorage(_Seen(storage))
    from searchlab.study.storage import database

    return database.look(storage)


def sign(storage: BaseStorage, study: Study) -> None:
    """Write into a study that shares its database with others who owns it now; a journal has a lock beside it."""
    if isinstance(storage, RDBStorage):
        from searchlab.study.storage import database

        database.sign(storage, study)


def release(storage: BaseStorage) -> None:
    """Let go of a storage: all of it is on the disk, and a journal takes no more. May be said twice."""
    backend = storage._backend if isinstance(storage, JournalStorage) else None
    if isinstance(backend, _Owned):
        backend.close()
    if isinstance(storage, RDBStorage):
        from searchlab.study.storage import database

        database.release(storage)


class _Seen(BaseJournalBackend):
    """A journal that is only read. A last line without its end is being written, or was when a kill came."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read, self._offset = 0, 0  # lines and bytes that are behind us

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            if log_number_from < self._read:
                self._read, self._offset = 0, 0
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read, self._offset = self._read + 1, self._offset + len(line)
                if self._read > log_number_from:
                    yield self._parsed(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError(f"the study {self._path} is open for reading only")

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            log: dict[str, Any] = json.loads(line.decode())
        except ValueError as error:
            raise WorldFault(
                f"line {self._read} of the study {self._path} is damaged; put back a copy of the file, or cut it "
                "before that line, which keeps the trials that had ended by then."
            ) from error
        return log


class _Owned(_Seen):
    """The journal of its one owner, who reads the file once: what is new in it after that, the owner wrote.

    The study's own lock is held for as long as the journal is open and outlives no kill. Every line is written at
    once, so that it survives the death of every process. Only a power cut could lose some: the journal waits for the
    disk when a trial ends, and where that is within SYNC seconds of the wait before, at a later write or when let go.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._shut = weakref.finalize(self, os.close, self._file)
            self._size, self._first = _cut_torn_line(path)
        except OSError as error:
            raise self._fault(error) from error
        self._news: list[str] = []  # lines that are not read yet; `_first` counts those before them
        self._synced, self._unsynced = float("-inf"), False

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        if log_number_from < self._first:
            return super().read_logs(log_number_from)
        self._news = self._news[log_number_from - self._first :]
        self._first = log_number_from
        return map(json.loads, self._news)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if not self._shut.alive:
            raise ValueError(f"the study {self._path} was let go of: another may own it now")
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        content = "".join(f"{line}\n" for line in lines).encode()
        try:
            if os.write(self._file, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._unsynced |= any("state" in log for log in logs)
            self._sync(time.monotonic() - SYNC)
        except OSError as error:
            os.ftruncate(self._file, self._size)  # half a line would spoil all that follow
            raise self._fault(error) from error
        self._size += len(content)
        self._news += lines

    def close(self) -> None:
        """Wait for the disk, and take no more."""
        if not self._shut.alive:
            return
        try:
            self._sync(float("inf"))
        except OSError as error:
            raise self._fault(error) from error
        finally:
            self._shut()

    def _sync(self, before: float) -> None:
        """Wait until all is on the disk, if a trial ended and the latest wait was before this monotonic time."""
        if self._unsynced and self._synced < before:
            os.fsync(self._file)
            self._synced, self._unsynced = time.monotonic(), False

    def _fault(self, error: OSError) -> WorldFault:
        return WorldFault(
            f"the study {self._path} cannot be written ({error.strerror}); every trial that had ended is kept."
        )


def _cut_torn_line(journal: Path) -> tuple[int, int]:
    """Drop a last line that a kill or a full disk left without its end; returns the bytes and the lines there are."""
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)
    return whole, content.count(b"\n")

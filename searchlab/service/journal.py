"""Where a study is stored: an embedded journal with one owner, or a database."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from searchlab.errors import WorldFault


def own(storage: Path | str) -> BaseStorage:
    """The storage for its owner, who may mend what a kill left half written."""
    if isinstance(storage, Path):
        _cut_torn_line(storage)
    return look(storage)


def look(storage: Path | str) -> BaseStorage:
    """The journal at this path or the database at this URL, as it is."""
    return RDBStorage(storage) if isinstance(storage, str) else JournalStorage(_Journal(storage))


class _Journal(JournalFileBackend):
    """Optuna's journal file, for one owner: no lock at each write, and synced to the disk when a trial ends.

    The study's own lock is held for as long as the journal is open and outlives no kill. A write that is not synced
    survives the death of every process; only a power cut could lose it, and with it nothing that had ended.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=JournalFileOpenLock(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        size = self._path.stat().st_size
        try:
            with self._path.open("ab", buffering=0) as file:
                written = file.write(lines)
                if written < len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if any("state" in log for log in logs):
                    os.fsync(file.fileno())
        except OSError as error:
            os.truncate(self._path, size)  # half a line would spoil all that follow
            raise WorldFault(
                f"the study {self._path} cannot be written ({error.strerror}); every trial that had ended is kept."
            ) from error


def _cut_torn_line(journal: Path) -> None:
    """Drop a last line that a kill or a full disk left without its end: Optuna would refuse the whole journal."""
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)

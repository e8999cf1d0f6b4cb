"""Stopping a sweep from another process, as Ctrl-C in its own terminal does, until every group is saved."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor.snapshot import Snapshot
from searchlab.monitor.watch import SweepObserver
from searchlab.runs.file_lock import LockHolder, lock_holder
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import SweepFolder

POLL_SECONDS = 0.1  # between two reads of the lock
IDENTIFY_TIMEOUT = 3.0  # seconds within which a process that has taken the lock has also written its id into it


@dataclass(frozen=True)
class StopResult:
    """The state of a sweep after it was stopped, and whether a process was running it."""

    snapshot: Snapshot
    was_running: bool


def stop_sweep(folder: SweepFolder, timeout: float = 300.0, storage: Path | str | None = None) -> StopResult:
    """Signal the process that runs the sweep to stop, and wait until it has saved every group and ended.

    A run is signaled once, however often this is called: a second signal would stop it at once, without saving.

    Args:
        folder: Folder of the sweep.
        timeout: Seconds to wait for the process.
        storage: Where the study is, if not where the sweep's manifest says.

    Raises:
        UserMistake: When there is no sweep in the folder, or another host runs it.
        WorldFault: When the process cannot be identified, or takes longer than `timeout`.
    """
    began = time.monotonic()
    if lock_holder(folder.lock) is None:
        SweepManifest.load(folder)  # raises UserMistake
    run = None  # the run that is signaled: another one may begin as soon as the lock is free
    while (holder := lock_holder(folder.lock)) is not None and run in (None, _run_id(folder)):
        passed = time.monotonic() - began
        if run is None and _is_driver(holder, folder):
            run = _run_id(folder)
        if run is None and passed > IDENTIFY_TIMEOUT:
            raise WorldFault(
                f"{folder.lock} is held by process {holder.pid}, which does not look like a run of {folder.name!r}; "
                "no process was signaled."
            )
        if run is not None:
            _signal_once(folder, run, holder.pid)
        if passed > timeout:
            raise WorldFault(_timeout_message(folder, holder.pid, timeout))
        time.sleep(POLL_SECONDS)
    snapshot = SweepObserver(folder, storage).snapshot()
    return StopResult(snapshot or Snapshot(folder.name, "interrupted"), run is not None)  # it may not have begun


def _run_id(folder: SweepFolder) -> int:
    """Return what distinguishes the runs of a sweep: when its lock was taken, in nanoseconds."""
    return folder.lock.stat().st_mtime_ns


def _is_driver(holder: LockHolder, folder: SweepFolder) -> bool:
    """Return whether this is a Python process of the same user on this host that has the sweep's lock open.

    A lock that was just taken may still name its previous holder. Raises UserMistake when it names another host.
    """
    if holder.host not in ("", socket.gethostname()):
        raise UserMistake(
            f"{folder.name!r} is run by process {holder.pid} on host {holder.host}, which this host cannot signal; "
            f"run `searchlab stop {folder.name}` there."
        )
    if holder.pid <= 0:
        return False
    with suppress(OSError):  # the process has ended, or belongs to another user
        process, lock = Path(f"/proc/{holder.pid}"), folder.lock.stat()
        program = os.fsdecode((process / "cmdline").read_bytes()).partition("\0")[0]
        if process.stat().st_uid == os.getuid() and "python" in Path(program).name:
            return any(os.path.samestat(file.stat(), lock) for file in (process / "fd").iterdir())
    return False


def _signal_once(folder: SweepFolder, run: int, pid: int) -> None:
    """Send this run the signal that it handles, unless it was sent before or the process does not handle one yet."""
    number = _handled_signal(pid)
    if number is None or (folder.read("stop") or {}).get("run") == run:
        return
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, number)
        folder.write("stop", {"run": run})


def _handled_signal(pid: int) -> signal.Signals | None:
    """Return the signal that stops a process, None while it handles none.

    SIGINT may be ignored, as in the background of a script, or blocked, as by Ray in its jobs. Then it is SIGTERM, as
    soon as the process has a handler for it; a search handles both signals alike.
    """
    masks: dict[str, int] = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, mask = line.partition(":")
            if name in ("SigBlk", "SigIgn", "SigCgt"):
                masks[name] = int(mask, 16)
    not_received = masks.get("SigBlk", 0) | masks.get("SigIgn", 0)
    if not not_received >> (signal.SIGINT - 1) & 1:
        return signal.SIGINT
    caught = masks.get("SigCgt", 0) & ~not_received
    return signal.SIGTERM if caught >> (signal.SIGTERM - 1) & 1 else None


def _timeout_message(folder: SweepFolder, pid: int, timeout: float) -> str:
    name = folder.name
    return (
        f"process {pid} is still saving {name!r} after {timeout:g} seconds; `searchlab stop {name}` continues to wait, "
        f"and `kill {pid}` ends it at once, which loses the unfinished epochs."
    )

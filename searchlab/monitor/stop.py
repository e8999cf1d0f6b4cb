"""Has whoever drives a sweep stop as Ctrl-C does, and waits until every group is saved."""

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
from searchlab.runs.config import RunConfig
from searchlab.runs.file_lock import LockHolder, lock_holder
from searchlab.runs.workspace import SweepFolder

POLL = 0.1  # seconds between two looks at the lock
DOUBT = 3.0  # seconds after which whoever has taken the lock has long written into it who it is


@dataclass(frozen=True)
class StopResult:
    """How a sweep stands after it was to be stopped, and whether anybody drove it."""

    snapshot: Snapshot
    driven: bool


def stop_sweep(folder: SweepFolder, timeout: float = 300.0, storage: Path | str | None = None) -> StopResult:
    """Tell the process that drives the sweep to stop, and wait until it has saved every group and let go of it.

    It is told once, however often this is called: told twice, it would stop at once. Raises UserMistake when no sweep
    has this name or another host drives it, and WorldFault when its driver cannot be made out or takes longer.
    """
    begun = time.monotonic()
    if lock_holder(folder.lock) is None:
        RunConfig.of(folder)  # raises
    run = None  # of the sweep, the one that is told: another may take it up as soon as it is free
    while (held := lock_holder(folder.lock)) is not None and run in (None, _run_of(folder)):
        passed = time.monotonic() - begun
        if run is None and _drives(held, folder):
            run = _run_of(folder)
        if run is None and passed > DOUBT:
            raise WorldFault(
                f"{folder.lock} is held by process {held.pid}, which does not look like what drives {folder.name!r}; "
                "nothing was told to stop."
            )
        if run is not None:
            _tell_once(folder, run, held.pid)
        if passed > timeout:
            raise WorldFault(_still_at_it(folder, held.pid, timeout))
        time.sleep(POLL)
    seen = SweepObserver(folder, storage).look() or Snapshot(
        folder.name, "interrupted"
    )  # where it was stopped before it began
    return StopResult(seen, run is not None)


def _run_of(folder: SweepFolder) -> int:
    """What tells the runs of a sweep apart: when its lock was taken, in nanoseconds."""
    return folder.lock.stat().st_mtime_ns


def _drives(held: LockHolder, folder: SweepFolder) -> bool:
    """Whether this is a process of ours on this host that runs Python and has the sweep's lock open.

    A lock that was just taken may still name whoever had it before. Raises UserMistake when it is of another host.
    """
    if held.host not in ("", socket.gethostname()):
        raise UserMistake(
            f"{folder.name!r} is driven by process {held.pid} on host {held.host}, which cannot be told from here; "
            f"run `searchlab stop {folder.name}` there."
        )
    if held.pid <= 0:
        return False
    with suppress(OSError):  # it has ended, or is not ours
        process, lock = Path(f"/proc/{held.pid}"), folder.lock.stat()
        program = os.fsdecode((process / "cmdline").read_bytes()).partition("\0")[0]
        if process.stat().st_uid == os.getuid() and "python" in Path(program).name:
            return any(os.path.samestat(file.stat(), lock) for file in (process / "fd").iterdir())
    return False


def _tell_once(folder: SweepFolder, run: int, pid: int) -> None:
    """Send this run the signal that it listens to, unless it was told before or does not listen yet."""
    number = _heard(pid)
    if number is None or (folder.read("stop") or {}).get("run") == run:
        return
    with suppress(ProcessLookupError):  # just ended
        os.kill(pid, number)
        folder.write("stop", {"run": run})


def _heard(pid: int) -> signal.Signals | None:
    """The signal that a process listens to.

    Ctrl-C's may be ignored, as in the background of a script, or blocked, as it is by Ray for its jobs: then SIGTERM,
    which a search takes for the same, as soon as one handles it.
    """
    masks: dict[str, int] = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, mask = line.partition(":")
            if name in ("SigBlk", "SigIgn", "SigCgt"):
                masks[name] = int(mask, 16)
    deaf = masks.get("SigBlk", 0) | masks.get("SigIgn", 0)
    if not deaf >> (signal.SIGINT - 1) & 1:
        return signal.SIGINT
    caught = masks.get("SigCgt", 0) & ~deaf
    return signal.SIGTERM if caught >> (signal.SIGTERM - 1) & 1 else None


def _still_at_it(folder: SweepFolder, pid: int, timeout: float) -> str:
    name = folder.name
    return (
        f"process {pid} is still saving {name!r} after {timeout:g} seconds; `searchlab stop {name}` waits on, and "
        f"`kill {pid}` ends it at once, which costs the epochs at work."
    )

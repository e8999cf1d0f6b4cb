"""Who can be killed: the processes of a session, told apart by their command lines."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

# a bag of kinds, drawn from until it is empty: trials die more often than whole machines
BAG = ("driver", "trial", "study", "raylet", "recorder", "node", "trial", "session")
ENDING = {"driver", "study", "raylet", "node", "session"}  # a run may not outlive these


def members(session: int) -> dict[int, str]:
    """Every living process of this session, whatever its group: its command line by its id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def of_kind(kind: str, session: int) -> list[int]:
    """The ids of the processes of one kind; `session` is also the id of the driver, which leads it."""
    living = members(session)
    if kind == "session":
        return list(living)
    if kind == "node":
        return [pid for pid in living if kind_of(pid, living[pid], session) not in ("driver", "recorder")]
    return [pid for pid, command in living.items() if kind_of(pid, command, session) == kind]


def kind_of(pid: int, command: str, session: int) -> str:
    """What a process of the session is; "node" for those of Ray that are nothing in particular."""
    program = command.split(" ")[0]
    if pid == session:
        return "driver"
    if "searchlab.tracking.writer" in command:
        return "recorder"
    if program.endswith("/raylet"):
        return "raylet"
    if program.startswith("ray::Desk"):
        return "study"
    return "trial" if program.startswith("ray::") and "Trainable" in program else "node"


def drawn(chance: random.Random) -> Iterator[str]:
    """Kinds without end, no two alike in a row."""
    before = ""
    while True:
        bag = list(BAG)
        chance.shuffle(bag)
        while bag:
            at = next((at for at, kind in enumerate(bag) if kind != before), 0)
            before = bag.pop(at)
            yield before


def kill(pids: list[int], session: int) -> list[int]:
    """SIGKILL to those of these that are still of this session; who was hit."""
    hit = []
    living = members(session)
    for pid in pids:
        if pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit.append(pid)
    return hit

"""The processes of a session that can be killed, told apart by their command lines."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path

# each kind is drawn as often as it is listed before all are drawn again: workers crash more often than machines
KINDS = ("driver", "worker", "study", "raylet", "gcs", "agent", "recorder", "node", "worker", "session", "group")
UNLIKE_RAY = ("driver", "recorder", "exit message")  # the other processes are those of Ray, a node
ACTOR = re.compile(r"ray::.*-(study|worker)(\.\w+)?$")  # its class, named after the sweep, and the method that it runs
ENDS_RUN = {"driver", "study", "raylet", "gcs", "agent", "node", "session", "group"}  # a run may end with one of these


def members(session: int) -> dict[int, str]:
    """Return the command line of every running process of this session by its id, in any process group."""
    commands = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                commands[int(entry.name)] = command
    return commands


def of_kind(kind: str, session: int) -> list[int]:
    """Return the ids of the processes of one kind; `session` is also the id of the driver, which leads it."""
    commands = members(session)
    if kind == "group":  # the driver's process group: the driver alone, since Ray and the recorder have their own
        return [pid for pid in commands if os.getpgid(pid) == session]
    if kind == "session":
        return list(commands)
    if kind == "node":
        return [pid for pid in commands if kind_of(pid, commands[pid], session) not in UNLIKE_RAY]
    return [pid for pid, command in commands.items() if kind_of(pid, command, session) == kind]


def kind_of(pid: int, command: str, session: int) -> str:
    """Return the kind of a process of the session; "node" for the other processes of Ray."""
    program = command.split(" ")[0]
    if pid == session:
        return "driver"
    if program == "/bin/sh":
        return "exit message"
    if "searchlab.tracking.writer" in command:
        return "recorder"
    if program.endswith(("/raylet", "/gcs_server")):
        return "gcs" if program.endswith("/gcs_server") else "raylet"
    if program.startswith(("ray::DashboardAgent", "ray::RuntimeEnvAgent")):
        return "agent"
    actor = ACTOR.match(program)
    return actor[1] if actor else "node"


def draw_kinds(rng: random.Random) -> Iterator[str]:
    """Yield kinds without end, never the same one twice in a row."""
    previous = ""
    while True:
        remaining = list(KINDS)
        rng.shuffle(remaining)
        while remaining:
            position = next((position for position, kind in enumerate(remaining) if kind != previous), 0)
            previous = remaining.pop(position)
            yield previous


def kill(pids: list[int], session: int, number: int = signal.SIGKILL) -> list[int]:
    """Send a signal to those of these processes that still belong to this session, and return their ids."""
    killed, running = [], members(session)
    for pid in pids:
        if pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                killed.append(pid)
    return killed

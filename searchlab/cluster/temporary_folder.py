"""The folder in which a Ray of this machine keeps its sockets, whose paths the operating system limits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from searchlab.errors import UserMistake

MAX_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
SOCKET = "ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"  # the longest, below the temporary folder
VARIABLES = ("RAY_TMPDIR", "TMPDIR")  # in Ray's order
DEFAULT = "/tmp"  # noqa: S108, the folder that Ray itself takes


def validate_temporary_folder() -> None:
    """Raise UserMistake when the temporary folder is too long for Ray's sockets, or is none."""
    variable = next((name for name in VARIABLES if name in os.environ), None)
    if variable is None:
        return
    folder = os.environ[variable]
    most = MAX_SOCKET_BYTES - len(SOCKET.format(pid=os.getpid())) - 1
    if len(os.fsencode(os.path.abspath(folder))) > most:
        raise UserMistake(
            f"{variable} is {folder}, and Ray's sockets need a temporary folder whose path has at most {most} bytes: "
            f"set RAY_TMPDIR={DEFAULT}, or train in this process with --engine local."
        )
    if not Path(folder).is_dir():
        raise UserMistake(f"{variable} is {folder or 'empty'}, which is no folder; set RAY_TMPDIR={DEFAULT}.")

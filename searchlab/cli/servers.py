"""Servers that a command runs until Ctrl-C: the processes, their log, and the browser that shows them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from searchlab.errors import WorldFault

POLL_SECONDS = 0.2  # between two questions whether a server answers
STOP_SECONDS = 10.0  # for a server to end before it is killed
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def require_free_port(port: int) -> None:
    """Raise WorldFault where another process listens on the port."""
    if not is_free(port):
        raise WorldFault(f"port {port} is taken; choose another one, such as --port {port + 1}.")


def is_free(port: int) -> bool:
    """Return whether a server can listen on the port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def serve(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    health: str,
    when_ready: Callable[[], None],
) -> None:
    """Run servers in a folder until the first of them ends, or until a signal to this process, which ends all.

    Args:
        commands: The command of each server; the first one decides when the others end too.
        environment: Environment variables of the servers.
        folder: Their current folder.
        log: File for what they print.
        health: URL that the first server answers when it is ready.
        when_ready: Called once it does.

    Raises:
        WorldFault: Where the first server ends by itself with an exit code other than 0.
    """
    signals: list[int] = []
    with _running(commands, environment, folder, log) as servers:

        def stop(number: int, frame: FrameType | None) -> None:
            signals.append(number)
            _signal_all(servers, signal.SIGTERM)

        for number in SIGNALS:  # set explicitly: a background process ignores SIGINT by default
            signal.signal(number, stop)
        while servers[0].poll() is None and not signals and not _answers(health):
            time.sleep(POLL_SECONDS)
        if servers[0].poll() is None and not signals:
            when_ready()
        code = servers[0].wait()
    if code and not signals:
        raise WorldFault(f"the server ended with exit code {code}, see {log}; the store is unchanged.")


def open_browser(link: str) -> bool:
    """Open a link in the browser of the desktop; return False where there is none, as on a server."""
    has_desktop = sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return bool(has_desktop or os.environ.get("BROWSER")) and webbrowser.open(link)


@contextlib.contextmanager
def _running(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start each command in a session of its own, and end all processes of these with the block."""
    servers: list[subprocess.Popen[bytes]] = []
    try:
        with open(log, "ab") as file:
            for command in commands:
                servers.append(
                    subprocess.Popen(
                        command, env=environment, cwd=folder, stdout=file, stderr=file, start_new_session=True
                    )
                )
        yield servers
    finally:
        _signal_all(servers, signal.SIGTERM)
        for server in servers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_SECONDS)
        _signal_all(servers, signal.SIGKILL)


def _signal_all(servers: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for server in servers:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2.0) as response:  # noqa: S310, an own URL
        return bool(response.status == 200)
    return False

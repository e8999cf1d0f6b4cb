"""A PostgreSQL server for tests, from Debian's packages, which can be killed and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tests.waiting import DEADLINE, wait_for

USER, PASSWORD = "study", "a secret/%word"  # needs %20, %2F and %25 in a URL
FAST_SETTINGS = ("fsync=off", "shared_buffers=16MB", "max_connections=30", "unix_socket_directories=")


def unavailable_reason() -> str | None:
    """Return why no server can be started here; None if one can."""
    if _program_folder() == Path():
        return "PostgreSQL is not installed in /usr/lib/postgresql"
    if os.geteuid() == 0 and not (shutil.which("setpriv") and _is_user("postgres")):
        return "PostgreSQL does not run as root, and there is no setpriv or no user postgres"
    return None


class Postgres:
    """A server in a folder of its own for the length of a `with` block; it ends with this process."""

    def __init__(self, host: str = "127.0.0.1", port: int | None = None, settings: Sequence[str] = ()) -> None:
        self.host, self.port, self._settings = host, port or _free_port(host), (*FAST_SETTINGS, *settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._starter = ThreadPoolExecutor(1)  # the server ends with the thread that started it, so this one stays

    def __enter__(self) -> Postgres:
        # not in pytest's own folder, which only root can read
        self._folder = Path(tempfile.mkdtemp(prefix="searchlab-postgres-"))
        try:
            self._create_cluster()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._starter.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """Return the URL of a database of USER's, with the password."""
        return f"postgresql+psycopg://{USER}:{quote(password, safe='')}@{self.host}:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Create an empty database, and return its URL."""
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        options = ["-h", self.host, "-p", str(self.port), "-U", USER, database]
        subprocess.run([_program_folder() / "createdb", *options], check=True, env=environment)
        return self.url(database)

    def start(self) -> None:
        """Start the server where it does not run, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        settings = [word for setting in (f"listen_addresses={self.host}", *self._settings) for word in ("-c", setting)]
        command = self._as_user("postgres", "-D", str(self._data), "-p", str(self.port), *settings)
        with (self._folder / "log").open("ab") as log:
            start = partial(subprocess.Popen, command, cwd=self._folder, stdout=log, stderr=log)
            self._process = self._starter.submit(start).result()
        check = [_program_folder() / "pg_isready", "-q", "-h", self.host, "-p", str(self.port)]
        deadline = time.monotonic() + DEADLINE
        while subprocess.run(check, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: with SIGQUIT at once, like `pg_ctl stop -m immediate`, with SIGINT in order."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE)
            self._process = None

    def kill(self) -> None:
        """Kill every process of the server with SIGKILL."""
        if self._process is None:
            return
        pid = self._process.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        self.stop(signal.SIGKILL)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        wait_for(lambda: not any(_is_alive(child) for child in children))  # they hold the server's shared memory

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _create_cluster(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, password_file):
                shutil.chown(path, "postgres", "postgres")
        options = ["-U", USER, f"--pwfile={password_file}", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]
        command = self._as_user("initdb", "-D", str(self._data), *options, "--no-sync")
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        """Return a command that does not run as root, and gets SIGQUIT when this process ends."""
        command = ["setpriv", "--pdeathsig=QUIT"] if shutil.which("setpriv") else []
        if os.geteuid() == 0:
            command += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [*command, str(_program_folder() / program), *arguments]


def _program_folder() -> Path:
    """Return the folder of the newest installed version's programs; an empty path where there is none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda folder: int(folder.parent.name), default=Path())


def _is_user(name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in Path("/etc/passwd").read_text().splitlines())


def _is_alive(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port

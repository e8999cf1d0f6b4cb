"""A PostgreSQL server of a test's own, of Debian's packages, which can be killed and started again."""

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
from functools import partial
from pathlib import Path
from urllib.parse import quote

USER, PASSWORD = "study", "a secret/%word"  # what has to be written as %20, %2F and %25 in a URL
HASTE = ("fsync=off", "shared_buffers=16MB", "max_connections=30", "unix_socket_directories=")
PATIENCE = 60.0  # seconds for it to start or end


def unavailable_reason() -> str | None:
    """Why no server can be started here; None if one can."""
    if not _programs():
        return "PostgreSQL is not installed in /usr/lib/postgresql"
    if os.geteuid() == 0 and not (shutil.which("setpriv") and _is_user("postgres")):
        return "PostgreSQL does not run as root, and there is no setpriv or no user postgres"
    return None


class Postgres:
    """A server in a folder of its own, on one address, for the length of a `with` block; it dies with this process.

    `within` goes before each of its commands: ("ip", "netns", "exec", "h1") runs it in that network namespace.
    """

    def __init__(self, host: str = "127.0.0.1", port: int | None = None, within: Sequence[str] = ()) -> None:
        self.host, self.port, self._within = host, port or _free_port(host), list(within)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._parent = ThreadPoolExecutor(1)  # the server dies with the thread that started it, and this one stays

    def __enter__(self) -> Postgres:
        # not in pytest's own folder, which is root's alone
        self._folder = Path(tempfile.mkdtemp(prefix="searchlab-postgres-"))
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._parent.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """The address of a database of its own user's, with the password."""
        return f"postgresql+psycopg://{USER}:{quote(password, safe='')}@{self.host}:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; its address."""
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        where = ["-h", self.host, "-p", str(self.port), "-U", USER, database]
        subprocess.run([*self._within, _programs() / "createdb", *where], check=True, env=environment)
        return self.url(database)

    def start(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        settings = [word for setting in (f"listen_addresses={self.host}", *HASTE) for word in ("-c", setting)]
        command = ["postgres", "-D", str(self._data), "-p", str(self.port), *settings]
        with (self._folder / "log").open("ab") as log:
            begin = partial(subprocess.Popen, self._as_user(*command), cwd=self._folder, stdout=log, stderr=log)
            self._process = self._parent.submit(begin).result()
        ready = [*self._within, _programs() / "pg_isready", "-q", "-h", self.host, "-p", str(self.port)]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: SIGQUIT at once, as `pg_ctl stop -m immediate` does, SIGINT in order."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, "postgres", "postgres")
        options = ["-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        command = self._as_user("initdb", "-D", str(self._data), *options)
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        """The command, to be run by somebody who is not root; it gets SIGQUIT when this process dies."""
        command = [*self._within, *(["setpriv", "--pdeathsig=QUIT"] if shutil.which("setpriv") else [])]
        if os.geteuid() == 0:
            command += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [*command, str(_programs() / program), *arguments]


def _programs() -> Path:
    """The folder of the newest installed version's programs; an empty path where there is none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda folder: int(folder.parent.name), default=Path())


def _is_user(name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in Path("/etc/passwd").read_text().splitlines())


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port

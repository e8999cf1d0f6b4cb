"""Hosts on one machine: each has its own network, file system, processes and name, like a container.

A switch, itself a network namespace, holds the bridges, so that this machine's own network stays untouched and no
packet leaves the machine. A host's root is an overlay over this machine's: what it writes is visible to it alone.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import DEADLINE

SHARED_MOUNTS = ("/proc", "/sys", "/dev")
KEPT_FOLDERS = (Path(__file__).parents[2], Path(sys.prefix).resolve())  # the code, where it is in a folder of `tmpfs`


def unavailable_reason() -> str | None:
    """Return why no hosts can be started here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "unshare", "nsenter", "setpriv"):
        if not shutil.which(tool):
            return f"there is no `{tool}` here"
    name = f"slp{os.getpid()}"
    script = f"mkdir -p /run/{name} && mount -t tmpfs t /run/{name}"
    try_and_clear = (
        f"ip netns add {name} && ip netns exec {name} unshare --mount --pid --uts --fork sh -c {shlex.quote(script)};"
        f" code=$?; ip netns del {name} 2>/dev/null; rmdir /run/{name} 2>/dev/null; exit $code"
    )
    attempt = subprocess.run(["sh", "-c", try_and_clear], capture_output=True, text=True)
    return f"namespaces are not allowed here ({attempt.stderr.strip()})" if attempt.returncode else None


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command on this machine."""
    return subprocess.run(command, check=check, capture_output=True, text=True)


@dataclass
class Switch:
    """The bridges of all networks, and the links from the hosts to them."""

    prefix: str
    networks: tuple[str, ...]
    hosts: int = 0

    @property
    def name(self) -> str:
        """The name of its network namespace."""
        return f"{self.prefix}sw"

    def start(self) -> None:
        """Create the namespace and a bridge for each network; a host's default route ends at a bridge."""
        run("ip", "netns", "add", self.name)
        for number in range(len(self.networks)):
            self._ip("link", "add", f"br{number}", "type", "bridge")
            self._ip("addr", "add", f"10.77.{number}.1/24", "dev", f"br{number}")
            self._ip("link", "set", f"br{number}", "up")

    def stop(self) -> None:
        """Delete the namespace and all that is in it."""
        run("ip", "netns", "del", self.name, check=False)

    def connect(self, host: str, networks: Sequence[str], outside: Collection[str]) -> dict[str, str]:
        """Link a host's namespace to these networks; a default route is in one of `outside`. Return its addresses."""
        self.hosts += 1
        addresses = {}
        run("ip", "netns", "add", host)
        run("ip", "-n", host, "link", "set", "lo", "up")
        for network in networks:
            number = self.networks.index(network)
            device, port, address = f"e{number}", f"h{self.hosts}n{number}", f"10.77.{number}.{self.hosts + 1}"
            self._ip("link", "add", port, "type", "veth", "peer", "name", device, "netns", host)
            self._ip("link", "set", port, "master", f"br{number}", "up")
            run("ip", "-n", host, "addr", "add", f"{address}/24", "dev", device)
            run("ip", "-n", host, "link", "set", device, "up")
            if network in outside:
                run("ip", "-n", host, "route", "add", "default", "via", f"10.77.{number}.1")
            addresses[network] = address
        return addresses

    def set_link(self, address: str, *, up: bool) -> None:
        """Set the link of the host with this address up or down."""
        network, host = address.split(".")[2:]
        self._ip("link", "set", f"h{int(host) - 1}n{network}", "up" if up else "down")

    def _ip(self, *arguments: str) -> None:
        run("ip", "-n", self.name, *arguments)


@dataclass
class Host:
    """A host; when its first process ends, all its processes end, as in a container."""

    name: str
    namespace: str
    addresses: Mapping[str, str]
    folder: Path  # for its files and its log
    environment: Mapping[str, str]
    user: str = "0:0"
    groups: Sequence[str] = ()  # further groups of the user
    tmpfs: Sequence[str] = ()  # folders that start empty and can be written, also where the root cannot
    read_only: bool = False
    binds: Sequence[tuple[Path, str]] = ()  # paths of this machine, and where the host sees them
    capabilities: bool = True
    pid: int | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """The log of its output."""
        return self.folder / "log"

    def start(self, command: Sequence[str], names: Mapping[str, str]) -> None:
        """Create its root, and run the command as its first process; `names` maps host names to addresses."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "filesystem").mkdir(exist_ok=True)
        (self.folder / "hosts").write_text(
            "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items())
        )
        (self.folder / "init").write_text(self._script(command))
        unshare = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=SIGKILL"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *unshare, "sh", str(self.folder / "init")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.environment), start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + DEADLINE
        while not (child := self._child()) or not Path(f"/proc/{child}/root/.ready").exists():
            assert self._process.poll() is None, f"{self.name}: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{self.name} does not start"
            time.sleep(0.05)
        self.pid = child

    def signal(self, number: int) -> None:
        """Signal its first process; SIGKILL ends all its processes at once."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> int | None:
        """Return its exit code; None when it has not ended by then."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def command_line(self, command: Sequence[str], **changes: str) -> list[str]:
        """Return the command line that runs a command on this host, as the host's user and with its environment."""
        assert self.pid is not None, f"{self.name} is not running"
        variables = [f"{key}={value}" for key, value in {**self.environment, **changes}.items()]
        return [
            "nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--root", "--wdns=/",
            *self._as_user(), "env", "-i", *variables, *command,
        ]  # fmt: skip

    def run(self, *command: str, seconds: float = DEADLINE, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this host to its end."""
        return subprocess.run(self.command_line(command, **changes), capture_output=True, text=True, timeout=seconds)

    def pids(self, text: str) -> list[int]:
        """Return the ids, on this machine, of the host's processes whose command line contains this text."""
        namespace, pids = os.readlink(f"/proc/{self.pid}/ns/pid"), []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if text in command and os.readlink(process / "ns" / "pid") == namespace:
                    pids.append(int(process.name))
        return pids

    def processes(self) -> list[str]:
        """Return the command lines of its processes."""
        return self.run("ps", "-eo", "args", "-ww").stdout.splitlines()

    def clear(self) -> None:
        """End the host, and delete its namespace."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
        run("ip", "netns", "del", self.namespace, check=False)
        shutil.rmtree(self.folder / "filesystem", ignore_errors=True)

    def _child(self) -> int | None:
        """Return the id of the first process, which `unshare` has forked."""
        assert self._process is not None
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0])
        return None

    def _as_user(self) -> list[str]:
        uid, _, gid = self.user.partition(":")
        drop = [] if self.capabilities else ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        groups = [f"--groups={','.join(self.groups)}"] if self.groups else ["--clear-groups"]
        return ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", *groups, *drop]

    def _script(self, command: Sequence[str]) -> str:
        """Return the script that creates the root and then becomes the command."""
        filesystem = self.folder / "filesystem"
        root = filesystem / "root"
        lines = [
            "set -e",
            f"mount -t tmpfs -o mode=755 filesystem {filesystem}",
            f"mkdir -p {filesystem}/up {filesystem}/work {root}",
            f"mount -t overlay overlay -o lowerdir=/,upperdir={filesystem}/up,workdir={filesystem}/work {root}",
            *(f"mount --rbind {path} {root}{path}" for path in SHARED_MOUNTS),
            f"mount -t proc proc {root}/proc",
            f"mkdir -p {root}/run/postgresql {root}/tmp && chmod 1777 {root}/run/postgresql {root}/tmp",
            *(f"chmod a+rx {shlex.quote(f'{root}{folder}')}" for folder in _parent_folders()),
            f"hostname {self.name}",
            f"cat {self.folder}/hosts > {root}/etc/hosts",
            f"rm -f {root}/etc/resolv.conf && echo 'nameserver 127.0.0.1' > {root}/etc/resolv.conf",  # fails at once
        ]
        for source, target in self.binds:
            path = f"{root}{target}"
            create = f"mkdir -p {path}" if source.is_dir() else f"mkdir -p {Path(path).parent} && touch {path}"
            lines += [create, f"mount --bind {source} {path}"]
        for path in self.tmpfs:
            lines += [f"mkdir -p {root}{path}", f"mount -t tmpfs -o mode=1777 tmpfs {root}{path}"]
            for folder in (kept for kept in KEPT_FOLDERS if kept.is_relative_to(path)):
                lines += [f"mkdir -p {root}{folder}", f"mount --rbind {folder} {root}{folder}"]
        lines += [f"touch {root}/.ready"]
        if self.read_only:
            lines += [f"mount -o remount,ro {root}"]
        enter = shlex.join(["chroot", str(root), *self._as_user(), *command])
        return "\n".join([*lines, f"exec {enter}", ""])


def _parent_folders() -> list[Path]:
    """Return the folders above this project and its Python; every user must be able to enter them."""
    paths = (Path(__file__), Path(sys.executable), Path(sys.executable).resolve())
    return sorted({folder for path in paths for folder in path.parents if folder != Path("/")})

"""The stack: what docker-compose.yml says, started command by command, each on a host of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.compose import Service, services
from tests.cluster.hosts import Host, Switch
from tests.conftest import ROOT

ORDER = ("postgres", "mlflow", "mlflow-auth", "ray-head", "ray-worker")
STORE = "store-1", ["moto_server", "-H", "0.0.0.0", "-p", "9000"]  # it speaks S3
READY = 180.0  # seconds for a service to be healthy
ENTRYPOINT = ("sh", str(ROOT / "tests" / "cluster" / "postgres-entrypoint.sh"))
MACHINE = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "LANG")  # of this machine, whatever the stack says


@dataclass
class Stack:
    """The hosts of all services and of a client, which reaches what is published and nothing else."""

    folder: Path
    environment: Mapping[str, str]
    cpus: Mapping[str, int] = field(default_factory=dict)  # the core that a host is bound to, by its name
    hosts: dict[str, Host] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)  # when a host was last started anew, by its name

    def __post_init__(self) -> None:
        self.services = services(self.environment)
        self._switch = Switch(f"sl{os.getpid()}", ("data", "cluster", "desk"))
        self._stopping = threading.Event()
        self._down: set[str] = set()  # told to stop: not to be restarted
        self._threads: list[threading.Thread] = []

    def up(self, workers: int = 2) -> None:
        """Start everything in order, each when what it depends on is healthy."""
        self._switch.start()
        if "AWS_ENDPOINT_URL" in self.environment:
            self.store(*STORE)
        wanted = [name for name in ORDER if name in self.services]
        for name in wanted:
            for number in range(1, 1 + (workers if name == "ray-worker" else 1)):
                self.add(name, number)
        self.client("client")

    def add(self, service: str, number: int = 1) -> Host:
        """One more container of this service, healthy; it is started anew whenever it ends by itself."""
        given = self.services[service]
        name = f"{service}-{number}"
        host = self._plugged(name, given)
        self.hosts[name] = host
        self._start(host, given)
        keeper = threading.Thread(target=self._keep, args=(host, given), daemon=True)
        keeper.start()
        self._threads.append(keeper)
        self.healthy(name)
        return host

    def client(self, name: str) -> Host:
        """A machine of a user's: it knows the head and the record, and neither the database nor its network."""
        known = {"ray-head": self.hosts["ray-head-1"].addresses["cluster"], "mlflow": self._record()}
        return self._beside(name, ["sleep", "infinity"], known)

    def store(self, name: str, command: Sequence[str]) -> Host:
        """A machine beside the cluster that keeps something for it; who starts later knows it by its name."""
        return self._beside(name, command, {})

    def _beside(self, name: str, command: Sequence[str], known: Mapping[str, str]) -> Host:
        namespace = f"{self._switch.prefix}{name}"
        addresses = self._switch.plug(namespace, ["cluster"], "cluster")
        home = self.folder / name / "home"
        home.mkdir(parents=True)
        environment = {"HOME": str(home), **self._own()}
        host = Host(name, namespace, addresses, self.folder / name, environment, binds=[(home, str(home))])
        host.start(command, {**known, name: addresses["cluster"]})
        self.hosts[name] = host
        return host

    def healthy(self, name: str, seconds: float = READY) -> float:
        """Wait until the healthcheck of a host's service passes; how long it took."""
        began, check = time.monotonic(), self.services[name.rpartition("-")[0]].health
        while True:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                if self.hosts[name].run(*check, seconds=15).returncode == 0:
                    return time.monotonic() - began
            log = self.hosts[name].log.read_text(errors="replace")[-3000:]
            assert time.monotonic() - began < seconds, f"{name} is not healthy: {log}"
            time.sleep(0.3)

    def kill(self, name: str) -> None:
        """SIGKILL to all of a host at once; its restart policy starts it anew."""
        self.hosts[name].signal(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Stop a host as `docker compose restart` does, and wait until it is healthy again."""
        before = self.ended.get(name, 0.0)
        self.hosts[name].signal(signal.Signals[self.services[name.rpartition("-")[0]].stop_signal])
        self.again(name, before)

    def again(self, name: str, before: float, seconds: float = 120.0) -> float:
        """Wait until a host has been started anew since `before`, and is healthy; how long that took."""
        began = time.monotonic()
        while self.ended.get(name, 0.0) <= before:
            assert time.monotonic() - began < seconds, f"{name} has not ended"
            time.sleep(0.1)
        self.healthy(name)
        return time.monotonic() - began

    def unplug(self, name: str, *, out: bool = True) -> None:
        """Pull a host's cable to the others, or put it back."""
        self._switch.pull(self.hosts[name].addresses["cluster"], out=out)

    def logs(self) -> dict[str, str]:
        """All that every host has said, and every log that Ray and searchlab have written on it, by place."""
        found = {}
        for name, host in self.hosts.items():
            found[name] = host.log.read_text(errors="replace")
            root = Path(f"/proc/{host.pid}/root")
            with contextlib.suppress(OSError):
                for path in root.glob("tmp/ray/session_2*/logs/**/*"):
                    if path.is_file() and not path.is_symlink():
                        found[f"{name}:{path.name}"] = path.read_text(errors="replace")
        return found

    def down(self) -> None:
        """End everything that was started here, and nothing else."""
        self._stopping.set()
        for host in self.hosts.values():
            host.clear()
        for thread in self._threads:
            thread.join(10.0)
        self._switch.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self) -> str:
        name = next(name for name in self.hosts if name.startswith("mlflow"))
        return self.hosts[name].addresses["cluster"]

    def _plugged(self, name: str, given: Service) -> Host:
        namespace = f"{self._switch.prefix}{name}"
        addresses = self._switch.plug(namespace, list(given.networks), "cluster")
        return Host(
            name, namespace, addresses, self.folder / name, {**self._own(), "HOME": "/tmp", **given.environment},
            _ids(given.user), [self._bind(source, target, given.user) for source, target in given.volumes],
            capabilities=False,
        )  # fmt: skip

    def _start(self, host: Host, given: Service) -> None:
        known = {
            other.name.rpartition("-")[0]: next(other.addresses[n] for n in other.addresses if n in host.addresses)
            for other in self.hosts.values()
            if set(other.addresses) & set(host.addresses)
        }
        aliases = {
            a: known[s] for s in known if s in self.services for n in self.services[s].networks.values() for a in n
        }
        bound = ["taskset", "-c", str(self.cpus[host.name])] if host.name in self.cpus else []
        command = [*bound, *(ENTRYPOINT if given.name == "postgres" else ()), *given.command]
        host.start(command, {**known, **aliases, host.name: next(iter(reversed(host.addresses.values())))})

    def _keep(self, host: Host, given: Service) -> None:
        """The restart policy `unless-stopped`."""
        while not self._stopping.is_set():
            if host.wait(0.2) is not None and not self._stopping.is_set():
                time.sleep(1.0)
                with contextlib.suppress(AssertionError):
                    self._start(host, given)
                self.ended[host.name] = time.time()

    def _bind(self, source: str, target: str, user: str) -> tuple[Path, str]:
        """A named volume as a folder of the stack's that belongs to its user, or a path of the project."""
        if source.startswith((".", "/")):
            return (ROOT / source).resolve(), target
        folder = self.folder / "volumes" / source
        if not folder.exists():
            folder.mkdir(parents=True)
            uid, _, gid = _ids(user).partition(":")
            os.chown(folder, int(uid), int(gid))
        return folder, target

    def _own(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, **{name: os.environ[name] for name in MACHINE if name in os.environ}}


def _ids(user: str) -> str:
    if user[0].isdigit():
        return user
    import pwd

    found = pwd.getpwnam(user)
    return f"{found.pw_uid}:{found.pw_gid}"


@contextlib.contextmanager
def stack(environment: Mapping[str, str], workers: int = 2, cpus: Mapping[str, int] | None = None) -> Iterator[Stack]:
    """A stack for the length of the block."""
    folder = Path(tempfile.mkdtemp(prefix="searchlab-stack-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = Stack(folder, environment, cpus or {})
    try:
        made.up(workers)
        yield made
    finally:
        made.down()

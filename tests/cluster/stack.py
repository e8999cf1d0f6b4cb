"""The stack: the services of docker-compose.yml, each started on a host of its own."""

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
from typing import Any

from tests.cluster.compose import Service, outside_networks, services
from tests.cluster.hosts import Host, Switch
from tests.cluster.reader import Reader
from tests.conftest import ROOT
from tests.waiting import DEADLINE

START_ORDER = ("postgres", "mlflow", "mlflow-auth", "ray-head", "ray-worker")
STORE = "store-1", ["moto_server", "-H", "0.0.0.0", "-p", "9000"]  # noqa: S104, an S3 service for other hosts
ENTRYPOINT = ("sh", str(ROOT / "tests" / "cluster" / "postgres-entrypoint.sh"))
MACHINE_VARIABLES = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "LANG",
    "PYTHONPATH",
)  # set on every host as on this machine


@dataclass
class Stack:
    """The hosts of all services, and a client that reaches only the published services."""

    folder: Path
    environment: Mapping[str, str]
    cpus: Mapping[str, int] = field(default_factory=dict)  # the core that a host is bound to, by host
    hosts: dict[str, Host] = field(default_factory=dict)
    restart_times: dict[str, float] = field(default_factory=dict)  # when a host was last restarted, by host

    def __post_init__(self) -> None:
        self.services = services(self.environment)
        networks = tuple(dict.fromkeys(name for service in self.services.values() for name in service.networks))
        self._outside = outside_networks(self.environment)
        self._switch = Switch(f"sl{os.getpid()}", networks)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._readers: dict[tuple[str, str], Reader] = {}

    def up(self, workers: int = 2) -> None:
        """Start all services in order, each when those that it depends on are healthy."""
        self._switch.start()
        if "AWS_ENDPOINT_URL" in self.environment:
            self.start_store(*STORE)
        for name in [name for name in START_ORDER if name in self.services]:
            for number in range(1, 1 + (workers if name == "ray-worker" else 1)):
                self.add(name, number)
        self.start_client("client")

    def add(self, service: str, number: int = 1) -> Host:
        """Start one more container of this service, and wait until it is healthy; it restarts whenever it ends."""
        options = self.services[service]
        name = f"{service}-{number}"
        host = self._create_host(name, options)
        self.hosts[name] = host
        self._start(host, options)
        thread = threading.Thread(target=self._restart_when_ended, args=(host, options), daemon=True)
        thread.start()
        self._threads.append(thread)
        self.wait_until_healthy(name)
        return host

    def start_client(self, name: str) -> Host:
        """Start a user's machine: it knows the head and MLflow, and neither the database nor its network."""
        services = {name: host for name, host in self.hosts.items() if "published" in host.addresses}
        addresses = {_dns_name(name): host.addresses["published"] for name, host in services.items()}
        return self._start_machine(name, ["sleep", "infinity"], "published", addresses)

    def start_store(self, name: str, command: Sequence[str]) -> Host:
        """Start a machine in the cluster's network for an S3 service; hosts that start later know its name."""
        return self._start_machine(name, command, "cluster", {})

    def _start_machine(
        self, name: str, command: Sequence[str], network: str, known_addresses: Mapping[str, str]
    ) -> Host:
        namespace = f"{self._switch.prefix}{name}"
        addresses = self._switch.connect(namespace, [network], self._outside)
        home = self.folder / name / "home"
        home.mkdir(parents=True)
        environment = {"HOME": str(home), **self._machine_environment()}
        host = Host(name, namespace, addresses, self.folder / name, environment, binds=[(home, str(home))])
        host.start(command, {**known_addresses, name: addresses[network]})
        self.hosts[name] = host
        return host

    def wait_until_healthy(self, name: str, seconds: float = DEADLINE) -> float:
        """Wait until the health check of a host's service passes, and return how many seconds that took."""
        started, check = time.monotonic(), self.services[name.rpartition("-")[0]].health
        while True:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                if self.hosts[name].run(*check, seconds=15).returncode == 0:
                    return time.monotonic() - started
            log = self.hosts[name].log.read_text(errors="replace")[-3000:]
            assert time.monotonic() - started < seconds, f"{name} is not healthy: {log}"
            time.sleep(0.3)

    def kill(self, name: str) -> None:
        """Kill all processes of a host at once; its restart policy restarts it."""
        self.hosts[name].signal(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Stop a host as `docker compose restart` does, and wait until it is healthy again."""
        before = self.restart_times.get(name, 0.0)
        self.hosts[name].signal(signal.Signals[self.services[name.rpartition("-")[0]].stop_signal])
        self.wait_for_restart(name, before)

    def wait_for_restart(self, name: str, before: float, seconds: float = DEADLINE) -> float:
        """Wait until a host has been restarted since `before` and is healthy; return how many seconds that took."""
        started = time.monotonic()
        while self.restart_times.get(name, 0.0) <= before:
            assert time.monotonic() - started < seconds, f"{name} has not ended"
            time.sleep(0.1)
        self.wait_until_healthy(name)
        return time.monotonic() - started

    def set_link(self, name: str, *, up: bool) -> None:
        """Set a host's link to the other nodes of the cluster up or down."""
        self._switch.set_link(self.hosts[name].addresses["cluster"], up=up)

    def ask(self, name: str, program: str, question: Any, **environment: str) -> Any:
        """Return what a program on a host answers; it stays there for the next question, see `Reader`."""
        new = Reader(self.hosts[name], program, environment)
        return self._readers.setdefault((name, program), new).ask(question)

    def logs(self) -> dict[str, str]:
        """Return the output of every host, and the logs of Ray and searchlab on it, by host and file."""
        texts = {}
        for name, host in self.hosts.items():
            texts[name] = host.log.read_text(errors="replace")
            root = Path(f"/proc/{host.pid}/root")
            with contextlib.suppress(OSError):
                for path in root.glob("tmp/ray/session_2*/logs/**/*"):
                    if path.is_file() and not path.is_symlink():
                        texts[f"{name}:{path.name}"] = path.read_text(errors="replace")
        return texts

    def down(self) -> None:
        """End every host that was started here, and nothing else."""
        self._stopping.set()
        for reader in self._readers.values():
            reader.close()
        for host in self.hosts.values():
            host.clear()
        for thread in self._threads:
            thread.join(10.0)
        self._switch.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create_host(self, name: str, service: Service) -> Host:
        namespace = f"{self._switch.prefix}{name}"
        addresses = self._switch.connect(namespace, list(service.networks), self._outside)
        return Host(
            name, namespace, addresses, self.folder / name,
            {**self._machine_environment(), **service.environment},
            _ids(service.user), service.groups, service.tmpfs, service.read_only,
            [self._bind(source, target, service.user) for source, target in service.volumes],
            capabilities=False,
        )  # fmt: skip

    def _start(self, host: Host, service: Service) -> None:
        addresses = {  # by service, in a network that both hosts are in
            other.name.rpartition("-")[0]: next(other.addresses[n] for n in other.addresses if n in host.addresses)
            for other in self.hosts.values()
            if set(other.addresses) & set(host.addresses)
        }
        alias_addresses = {  # an alias is known in its own network alone
            alias: other.addresses[network]
            for other in self.hosts.values()
            if (service_name := other.name.rpartition("-")[0]) in self.services
            for network, aliases in self.services[service_name].networks.items()
            if network in host.addresses
            for alias in aliases
        }
        taskset = ["taskset", "-c", str(self.cpus[host.name])] if host.name in self.cpus else []
        command = [*taskset, *(ENTRYPOINT if service.name == "postgres" else ()), *service.command]
        own_address = host.addresses.get("cluster") or next(iter(host.addresses.values()))
        host.start(command, {**addresses, **alias_addresses, host.name: own_address})

    def _restart_when_ended(self, host: Host, service: Service) -> None:
        """Apply the restart policy `unless-stopped`."""
        while not self._stopping.is_set():
            if host.wait(0.2) is not None and not self._stopping.is_set():
                time.sleep(1.0)
                with contextlib.suppress(AssertionError):
                    self._start(host, service)
                self.restart_times[host.name] = time.time()

    def _bind(self, source: str, target: str, user: str) -> tuple[Path, str]:
        """Return the folder of a volume, which is owned by `user`, or a path of the project, with its target."""
        if source.startswith((".", "/")):
            return (ROOT / source).resolve(), target
        folder = self.folder / "volumes" / source
        if not folder.exists():
            folder.mkdir(parents=True)
            uid, _, gid = _ids(user).partition(":")
            os.chown(folder, int(uid), int(gid))
        return folder, target

    def _machine_environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, **{name: os.environ[name] for name in MACHINE_VARIABLES if name in os.environ}}


def _dns_name(host: str) -> str:
    """Return the name by which a client knows the host of a service: that of the service, without a variant."""
    return host.rpartition("-")[0].removesuffix("-auth")


def _ids(user: str) -> str:
    """Return "uid:gid" of a user, who may be given by name."""
    if user[0].isdigit():
        return user
    import pwd

    entry = pwd.getpwnam(user)
    return f"{entry.pw_uid}:{entry.pw_gid}"


@contextlib.contextmanager
def stack(environment: Mapping[str, str], workers: int = 2, cpus: Mapping[str, int] | None = None) -> Iterator[Stack]:
    """Run a stack within the block."""
    folder = Path(tempfile.mkdtemp(prefix="searchlab-stack-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = Stack(folder, environment, cpus or {})
    try:
        running.up(workers)
        yield running
    finally:
        running.down()

"""The speedup by another worker host: the same search on one and on two hosts of one core each.

python -m bench.cluster [--workers 1 2] [--trials 200] [--hidden 128 1024] [--fuse 4]

The hosts are those of docker-compose.yml, started as tests/cluster starts them, so this needs root and PostgreSQL.
Head, database and MLflow share the cores with the workers: on a machine with two cores, no worker has one to itself.
The CPU seconds of each kind of host are printed beside the ratios: they show what a trial costs beyond its training.
Wider networks make longer trials; all else is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from searchlab.cli.cluster import environment
from tests.cluster.hosts import unavailable_reason
from tests.cluster.stack import Stack, stack
from tests.cluster.users import User

SEARCH_TIMEOUT = 1200.0  # seconds


@dataclass(frozen=True)
class Measurement:
    """A measured search with a number of workers; times are in seconds."""

    workers: int
    hidden: int
    trials: int
    search_seconds: float
    training_seconds: float  # of all trials together
    total_seconds: float  # from the submission to the end
    cpu_seconds: Mapping[str, float]  # of each kind of host, from the submission to the end

    @property
    def training_share(self) -> float:
        """The share of the workers' time that is training."""
        return self.training_seconds / (self.workers * self.search_seconds)


def main() -> None:
    """Print throughput and overhead by number of workers, and the ratios to the smallest number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--fuse", default="4")
    arguments = parser.parse_args()
    if reason := unavailable_reason():
        sys.exit(f"no hosts can be started here: {reason}")
    cores = sorted(os.sched_getaffinity(0))
    cpus = {f"ray-worker-{number}": cores[(number - 1) % len(cores)] for number in range(1, 1 + max(arguments.workers))}
    with stack(cluster_environment(), workers=0, cpus=cpus) as cluster:
        user, measurements = user_of(cluster), list[Measurement]()
        for workers in arguments.workers:
            add_workers(cluster, workers)
            measure(user, workers, 8, 16, arguments.fuse)  # warm-up: imports, the project and the data
            for hidden in arguments.hidden:
                measurements.append(measure(user, workers, arguments.trials, hidden, arguments.fuse))
    print_tables(measurements, len(cores))


def add_workers(cluster: Stack, workers: int) -> None:
    """Start worker hosts until there are this many."""
    existing = sum(name.startswith("ray-worker") for name in cluster.hosts)
    for number in range(existing + 1, workers + 1):
        cluster.add("ray-worker", number)


def measure(user: User, workers: int, trials: int, hidden: int, fuse: str) -> Measurement:
    """Submit the sweep `steady`, and return the times of its search."""
    name, width = f"steady-{workers}-{trials}-{hidden}", f"model.hidden={hidden}"
    with CpuMeter(user.stack) as meter:
        user.submit(name, "--trials", str(trials), "--set", width, "--fuse", fuse, spec="steady.py")
        submitted, result_file = time.monotonic(), user.folder(name) / "result.json"
        while not result_file.exists():  # `searchlab watch` would cost the head some seconds
            time.sleep(0.1)
            assert time.monotonic() - submitted < SEARCH_TIMEOUT, user.driver_log(name)
        total_seconds = time.monotonic() - submitted
    result = json.loads(result_file.read_text())
    records = user.trials(name)
    assert len(records) == trials
    training_seconds = sum(trial.seconds for trial in records)
    search_seconds = result["seconds"]["search"]
    return Measurement(workers, hidden, trials, search_seconds, training_seconds, total_seconds, meter.cpu_seconds)


class CpuMeter:
    """A context manager that measures the CPU seconds of all hosts of each service within its block."""

    def __init__(self, cluster: Stack) -> None:
        self._services = {  # by PID namespace
            os.readlink(f"/proc/{host.pid}/ns/pid"): host.name.rpartition("-")[0] for host in cluster.hosts.values()
        }
        self._first: dict[tuple[str, str, str], float] = {}  # CPU seconds by service, process and its start
        self._last: dict[tuple[str, str, str], float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> CpuMeter:
        self._read(new=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """The CPU seconds of each service."""
        seconds = dict.fromkeys(self._services.values(), 0.0)
        for process, last in self._last.items():
            seconds[process[0]] += last - self._first[process]
        return seconds

    def _run(self) -> None:
        while not self._stopping.wait(0.2):  # the CPU time of a process after the last reading is not counted
            self._read(new=True)

    def _read(self, *, new: bool) -> None:
        """Read the CPU time of every process; with `new`, a process that appears has started within the block."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                service = self._services.get(os.readlink(process / "ns" / "pid"))
                if service is not None:
                    fields = (process / "stat").read_text().rpartition(")")[2].split()
                    key = service, process.name, fields[19]
                    self._last[key] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
                    self._first.setdefault(key, 0.0 if new else self._last[key])


def cluster_environment() -> dict[str, str]:
    """Return the variables that `searchlab cluster init` writes, for this run alone."""
    lines = [line for line in environment("auth", data_group=0).splitlines() if line and not line.startswith("#")]
    return {
        **dict(line.split("=", 1) for line in lines),
        "SEARCHLAB_OBJECT_STORE": str(100 * 2**20),
        "SEARCHLAB_DATA_DIR": "./tests",
    }


def user_of(cluster: Stack) -> User:
    """Return a user who has the cluster's token and MLflow's password."""
    environment = cluster.environment
    return User(
        cluster,
        {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": environment["RAY_AUTH_TOKEN"],
            "RAY_ADDRESS": "http://ray-head:8265",
            "MLFLOW_TRACKING_URI": "http://mlflow:5000",
            "MLFLOW_TRACKING_USERNAME": "searchlab",
            "MLFLOW_TRACKING_PASSWORD": environment["MLFLOW_AUTH_ADMIN_PASSWORD"],
        },
    )


def print_tables(measurements: list[Measurement], cores: int) -> None:
    """Print a table for each network."""
    for hidden in dict.fromkeys(measurement.hidden for measurement in measurements):
        rows = [measurement for measurement in measurements if measurement.hidden == hidden]
        baseline = rows[0]
        services = sorted(baseline.cpu_seconds)
        print(f"\n{baseline.trials} trials x 5 folds of 64-{hidden}-10, 20 epochs; hosts of one core on {cores} cores")
        print("workers  search s  trials/s  training  submitted to end s  throughput  CPU seconds of", *services)
        for row in rows:
            cpu_seconds = "  ".join(f"{row.cpu_seconds.get(service, 0.0):.1f}" for service in services)
            print(
                f"{row.workers:7d} {row.search_seconds:9.1f} {row.trials / row.search_seconds:9.2f} "
                f"{row.training_share:9.0%} {row.total_seconds:19.1f} "
                f"{baseline.search_seconds / row.search_seconds:5.2f} times  {cpu_seconds}"
            )


if __name__ == "__main__":
    main()

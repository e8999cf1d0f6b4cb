"""What another worker's host brings: the same 200 trials on one and on two hosts of one core each.

python -m bench.cluster [--workers 1 2] [--trials 200] [--hidden 128 1024] [--fuse 4]

The hosts are those of docker-compose.yml, started as tests/cluster starts them, so this needs root and PostgreSQL.
Head, database and record share the cores with the workers: on a machine with two, no worker has one to itself. What
each took of the processors is told beside the ratios: it is what a trial costs beyond its training. Trials that take
longer are those of wider networks; all else is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.hosts import unavailable_reason
from tests.cluster.stack import Stack, stack
from tests.cluster.users import User

PATIENCE = 1200.0  # seconds for a search


@dataclass(frozen=True)
class Measured:
    """A search by so many workers: its seconds, those its trials trained for, and those from its sending to its end."""

    workers: int
    hidden: int
    trials: int
    search: float
    trained: float
    whole: float
    used: Mapping[str, float]  # seconds of a processor that each kind of host took meanwhile

    @property
    def busy(self) -> float:
        """The share of the workers' time that went into training."""
        return self.trained / (self.workers * self.search)


def main() -> None:
    """Print throughput and overhead by number of workers, and the ratios to the fewest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--fuse", default="4")
    asked = parser.parse_args()
    if reason := unavailable_reason():
        sys.exit(f"no hosts can be made here: {reason}")
    cores = sorted(os.sched_getaffinity(0))
    cpus = {f"ray-worker-{number}": cores[(number - 1) % len(cores)] for number in range(1, 1 + max(asked.workers))}
    with stack(environment(), workers=0, cpus=cpus) as cluster:
        user, found = user_of(cluster), list[Measured]()
        for count in asked.workers:
            while sum(name.startswith("ray-worker") for name in cluster.hosts) < count:
                cluster.add("ray-worker", 1 + sum(name.startswith("ray-worker") for name in cluster.hosts))
            measure(user, count, 8, 16, asked.fuse)  # what is done once: imports, the project, the data
            found += [measure(user, count, asked.trials, hidden, asked.fuse) for hidden in asked.hidden]
    tell(found, len(cores))


def measure(user: User, workers: int, trials: int, hidden: int, fuse: str) -> Measured:
    """Send the steady sweep and take its times from what it leaves."""
    name, width = f"steady-{workers}-{trials}-{hidden}", f"model.hidden={hidden}"
    with Meter(user.stack) as meter:
        user.submit(name, "--trials", str(trials), "--set", width, "--fuse", fuse, spec="steady.py")
        begun, found = time.monotonic(), user.folder(name) / "result.json"
        while not found.exists():  # nobody watches: that would cost the head some seconds
            time.sleep(0.1)
            assert time.monotonic() - begun < PATIENCE, user.driver_log(name)
        whole = time.monotonic() - begun
    result = json.loads(found.read_text())
    ended = user.trials(name)
    assert len(ended) == trials
    trained = sum(trial.seconds for trial in ended)
    return Measured(workers, hidden, trials, result["seconds"]["search"], trained, whole, meter.used)


class Meter:
    """Seconds of a processor that all hosts of each service take within the block, by service."""

    def __init__(self, cluster: Stack) -> None:
        self._spaces = {os.readlink(f"/proc/{h.pid}/ns/pid"): h.name.rpartition("-")[0] for h in cluster.hosts.values()}
        self._first: dict[tuple[str, str, str], float] = {}  # by service, process and when it began
        self._last: dict[tuple[str, str, str], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Meter:
        self._look(new=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def used(self) -> dict[str, float]:
        """What each service took."""
        found = dict.fromkeys(self._spaces.values(), 0.0)
        for process, last in self._last.items():
            found[process[0]] += last - self._first[process]
        return found

    def _watch(self) -> None:
        while not self._over.wait(0.2):  # what a process took in its last moments is not seen
            self._look(new=True)

    def _look(self, *, new: bool) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                kind = self._spaces.get(os.readlink(process / "ns" / "pid"))
                if kind is not None:
                    fields = (process / "stat").read_text().rpartition(")")[2].split()
                    key = kind, process.name, fields[19]
                    self._last[key] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
                    self._first.setdefault(key, 0.0 if new else self._last[key])


def environment() -> dict[str, str]:
    """What `searchlab cluster init` would write, for this run alone."""
    names = ("RAY_AUTH_TOKEN", "POSTGRES_PASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
    return {
        **{name: secrets.token_urlsafe(32) for name in names},
        "COMPOSE_PROFILES": "auth",
        "SEARCHLAB_OBJECT_STORE": str(100 * 2**20),
        "SEARCHLAB_DATA_DIR": "./tests",
    }


def user_of(cluster: Stack) -> User:
    """Somebody with the token and the record's password."""
    given = cluster.environment
    return User(
        cluster,
        {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": given["RAY_AUTH_TOKEN"],
            "RAY_ADDRESS": "http://ray-head:8265",
            "MLFLOW_TRACKING_URI": "http://mlflow:5000",
            "MLFLOW_TRACKING_USERNAME": "searchlab",
            "MLFLOW_TRACKING_PASSWORD": given["MLFLOW_AUTH_ADMIN_PASSWORD"],
        },
    )


def tell(found: list[Measured], cores: int) -> None:
    """Print the tables, one for each width."""
    for hidden in dict.fromkeys(one.hidden for one in found):
        alike = [one for one in found if one.hidden == hidden]
        first = alike[0]
        kinds = sorted(first.used)
        print(f"\n{first.trials} trials x 5 folds of 64-{hidden}-10, 20 epochs; hosts of one core on {cores} cores")
        print("workers  search s  trials/s  training  sent to end s  throughput  processor seconds of", *kinds)
        for one in alike:
            took = "  ".join(f"{one.used.get(kind, 0.0):.1f}" for kind in kinds)
            print(
                f"{one.workers:7d} {one.search:9.1f} {one.trials / one.search:9.2f} {one.busy:9.0%} {one.whole:14.1f} "
                f"{first.search / one.search:5.2f} times  {took}"
            )


if __name__ == "__main__":
    main()

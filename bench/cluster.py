"""What another worker's host brings: the same 200 trials on one and on two hosts of one core each.

python -m bench.cluster [--workers 1 2] [--trials 200] [--fuse 4]

The hosts are those of docker-compose.yml, started as tests/cluster starts them, so this needs root and PostgreSQL.
Head, database and record share the cores with the workers: on a machine with two, no worker has one to itself.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from dataclasses import dataclass

from tests.cluster.hosts import why_not
from tests.cluster.stack import Stack, stack
from tests.cluster.users import User


@dataclass(frozen=True)
class Measured:
    """A search by so many workers: its seconds, those its trials trained for, and those from sending to its end."""

    workers: int
    trials: int
    search: float
    trained: float
    whole: float

    @property
    def busy(self) -> float:
        """The share of the workers' time that went into training."""
        return self.trained / (self.workers * self.search)


def main() -> None:
    """Print throughput and overhead by number of workers, and the ratios to the fewest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--fuse", default="4")
    asked = parser.parse_args()
    if reason := why_not():
        sys.exit(f"no hosts can be made here: {reason}")
    cores = sorted(os.sched_getaffinity(0))
    cpus = {f"ray-worker-{number}": cores[(number - 1) % len(cores)] for number in range(1, 1 + max(asked.workers))}
    with stack(environment(), workers=0, cpus=cpus) as cluster:
        user, found = user_of(cluster), list[Measured]()
        for count in asked.workers:
            while sum(name.startswith("ray-worker") for name in cluster.hosts) < count:
                cluster.add("ray-worker", 1 + sum(name.startswith("ray-worker") for name in cluster.hosts))
            measure(user, count, 8, asked.fuse)  # what is done once: imports, the project, the data
            found.append(measure(user, count, asked.trials, asked.fuse))
    tell(found, len(cores))


def measure(user: User, workers: int, trials: int, fuse: str) -> Measured:
    """Send the steady sweep and take its times from what it leaves."""
    name = f"steady-{workers}-{trials}"
    user.submit(name, "--trials", str(trials), "--fuse", fuse, spec="steady.py")
    whole = user.finished(name, 1200.0)
    result = json.loads((user.folder(name) / "result.json").read_text())
    ended = user.trials(name)
    assert len(ended) == trials
    return Measured(workers, trials, result["seconds"]["search"], sum(trial.seconds for trial in ended), whole)


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
    """Print the table."""
    first = found[0]
    print(f"{first.trials} trials x 5 folds of a 64-128-10 network, 20 epochs; hosts of one core each on {cores} cores")
    print("workers  search s  trials/s  training share  sent to end s  as fast as with " + str(first.workers))
    for one in found:
        ratio = first.search / one.search
        print(
            f"{one.workers:7d} {one.search:9.1f} {one.trials / one.search:9.2f} {one.busy:14.0%} {one.whole:14.1f} "
            f"{ratio:9.2f} times"
        )


if __name__ == "__main__":
    main()

"""One stack for all cluster tests, which are skipped with a reason where this machine allows no such hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.hosts import unavailable_reason
from tests.cluster.stack import stack
from tests.cluster.users import User

CLIENT_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
STORE_ENVIRONMENT = {
    "AWS_ENDPOINT_URL": "http://store:9000",
    "AWS_ACCESS_KEY_ID": "AKIASEARCHLABTEST",
    "AWS_SECRET_ACCESS_KEY": "thesecretofthestore",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="package")
def secrets(tmp_path_factory):
    """The variables that `searchlab cluster init` wrote."""
    folder = tmp_path_factory.mktemp("init")
    subprocess.run([sys.executable, "-m", "searchlab.cli", "cluster", "init", "--folder", str(folder)], check=True)
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="package")
def cluster(secrets):
    """The stack of docker-compose.yml, with two workers."""
    reason = unavailable_reason() or _postgres_missing_reason()
    if reason:
        pytest.skip(reason)
    settings = {"COMPOSE_PROFILES": "auth,optuna"}
    settings |= {"SEARCHLAB_OBJECT_STORE": str(100 * 2**20), "SEARCHLAB_DATA_DIR": "./tests"}
    with stack({**secrets, **settings, **STORE_ENVIRONMENT}) as running:
        yield running


@pytest.fixture(scope="package")
def user(cluster, secrets):
    """A user at a client's host, whose environment is that of .env with the names of the hosts."""
    credentials = {name: secrets[name] for name in CLIENT_VARIABLES}
    addresses = {"RAY_ADDRESS": "http://ray-head:8265", "MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    return User(cluster, credentials | addresses)


@pytest.fixture
def print_line(capsys):
    """A function that prints a line despite pytest's capture, such as how long a recovery took."""

    def print_uncaptured(line: str) -> None:
        with capsys.disabled():
            print(f"\n    {line}", flush=True)

    return print_uncaptured


def _postgres_missing_reason() -> str | None:
    installed = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return None if installed else "there is no PostgreSQL here (apt install postgresql)"

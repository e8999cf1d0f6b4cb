"""Without the token or the password, nothing can be read or changed; no secret is stored or printed."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

GET = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1]), timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 5432), timeout=3)
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""
JOIN = """
import ray, sys
try:
    ray.init(sys.argv[1], log_to_driver=False)
    print("joined", ray.cluster_resources())
except BaseException as error:
    print("rejected", type(error).__name__)
"""


def status(host, url, **environment):
    """Return the status of an HTTP request without credentials."""
    finished = host.run("python", "-c", GET, url, **environment)
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout)


@pytest.mark.parametrize("token", [None, "x" * 43], ids=["none", "wrong"])
def test_no_command_works_without_the_token(user, token):
    changes = {"RAY_AUTH_MODE": "token" if token else "disabled", "RAY_AUTH_TOKEN": token or ""}
    for arguments in (["submit", "search_spaces/slow.py"], ["list"], ["stop", "submitted"]):
        finished = user.run(*arguments, **changes)
        assert finished.returncode == 1
        assert "needs a token" in finished.stderr
        assert len(finished.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("path", ["/api/jobs/", "/nodes?view=summary", "/api/v0/actors", "/logical/actors"])
def test_the_dashboard_rejects_requests_without_the_token(cluster, path):
    assert status(cluster.hosts["client"], f"http://ray-head:8265{path}") == 401


@pytest.mark.parametrize("address", ["ray://ray-head:10001", "ray-head:6379"])
def test_no_process_joins_without_the_token(cluster, address):
    finished = cluster.hosts["client"].run("python", "-c", JOIN, address, RAY_AUTH_MODE="disabled")
    assert "joined" not in finished.stdout


def test_mlflow_rejects_requests_without_the_password(cluster):
    url = "http://mlflow:5000/api/2.0/mlflow/experiments/search"
    assert status(cluster.hosts["client"], f"{url}?max_results=1") == 401
    assert status(cluster.hosts["client"], "http://mlflow:5000/health") == 200


def test_clients_and_workers_cannot_reach_the_database(cluster):
    """By its name and by its address, from a client and from a worker."""
    address = cluster.hosts["postgres-1"].addresses["data"]
    for host in ("client", "ray-worker-1"):
        for target in ("postgres", address):
            assert "connected" not in cluster.hosts[host].run("python", "-c", CONNECT, target).stdout
    assert "connected" in cluster.hosts["ray-head-1"].run("python", "-c", CONNECT, "postgres").stdout


def test_no_secret_is_in_a_log_a_tag_a_file_or_a_command_line(cluster, secrets, user):
    names = [name for name in secrets if re.search("PASSWORD|TOKEN|SECRET", name)]
    assert len(names) >= 7
    hidden_values = [*(secrets[name] for name in names), cluster.environment["AWS_SECRET_ACCESS_KEY"]]
    user.bucket_keys()  # creates the bucket
    name = user.submit("secrets", "--trials", "4", "--checkpoints", "s3://checkpoints/sweeps")
    texts = {f"ps of {host.name}": "\n".join(host.processes()) for host in cluster.hosts.values()}
    user.wait_until_finished(name)
    texts |= cluster.logs()
    home = cluster.folder / "volumes" / "home"
    for path in home.rglob("*"):
        if path.is_file():
            texts[str(path.relative_to(home))] = path.read_bytes().decode(errors="replace")
    texts["MLflow"] = json.dumps(user.runs(name))
    assert any(source.endswith(".log") for source in texts), "there are logs"
    assert any("job-driver-secrets" in source for source in texts), "the log of the driver is among them"
    assert {"sweeps/secrets/sweep.json", "sweeps/secrets/report.html"} <= set(texts)
    assert [
        (source, index)
        for source, text in texts.items()
        for index, secret in enumerate(hidden_values)
        if secret in text
    ] == []


def test_a_worker_has_no_password(cluster, secrets):
    environment = cluster.hosts["ray-worker-1"].run("cat", "/proc/1/environ").stdout
    assert secrets["RAY_AUTH_TOKEN"] in environment
    assert not [name for name in secrets if "POSTGRES" in name and secrets[name] in environment]
    assert secrets["MLFLOW_AUTH_ADMIN_PASSWORD"] not in environment

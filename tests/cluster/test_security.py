"""Who has no token gets nothing done, who has no password sees nothing, and no secret is written down or told."""

from __future__ import annotations

import json

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
    print("refused", type(error).__name__)
"""


def status(host, url, **environment):
    """What an HTTP server answers to a request without credentials."""
    answer = host.run("python", "-c", GET, url, **environment)
    assert answer.returncode == 0, answer.stderr
    return int(answer.stdout)


@pytest.mark.parametrize("token", [None, "x" * 43], ids=["none", "another"])
def test_without_the_token_no_job_is_taken(user, token):
    changes = {"RAY_AUTH_MODE": "token" if token else "disabled", "RAY_AUTH_TOKEN": token or ""}
    for words in (["submit", "search_spaces/slow.py"], ["list"], ["stop", "sent"]):
        answer = user.run(*words, **changes)
        assert answer.returncode == 1
        assert "asks for a token" in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("path", ["/api/jobs/", "/nodes?view=summary", "/api/v0/actors", "/logical/actors"])
def test_without_the_token_the_dashboard_tells_nothing(cluster, path):
    assert status(cluster.hosts["client"], f"http://ray-head:8265{path}") == 401


@pytest.mark.parametrize("address", ["ray://ray-head:10001", "ray-head:6379"])
def test_without_the_token_nobody_joins(cluster, address):
    answer = cluster.hosts["client"].run("python", "-c", JOIN, address, seconds=120, RAY_AUTH_MODE="disabled")
    assert "joined" not in answer.stdout


def test_without_the_password_the_record_is_closed(cluster):
    url = "http://mlflow:5000/api/2.0/mlflow/experiments/search"
    assert status(cluster.hosts["client"], f"{url}?max_results=1") == 401
    assert status(cluster.hosts["client"], "http://mlflow:5000/health") == 200


def test_the_database_is_out_of_reach(cluster):
    """By its name and by its address, from a client and from a worker."""
    address = cluster.hosts["postgres-1"].addresses["data"]
    for host in ("client", "ray-worker-1"):
        for place in ("postgres", address):
            assert "connected" not in cluster.hosts[host].run("python", "-c", CONNECT, place).stdout
    assert "connected" in cluster.hosts["ray-head-1"].run("python", "-c", CONNECT, "postgres").stdout


def test_no_secret_is_told_in_a_log_a_tag_a_file_or_a_command_line(cluster, secrets, user):
    names = ("RAY_AUTH_TOKEN", "POSTGRES_PASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
    hidden = [*(secrets[name] for name in names), cluster.environment["AWS_SECRET_ACCESS_KEY"]]
    user.bucket()  # is made
    name = user.submit("secretive", "--trials", "4", "--checkpoints", "s3://kept/sweeps")
    told = {f"ps of {host.name}": "\n".join(host.processes()) for host in cluster.hosts.values()}
    user.finished(name)
    told |= cluster.logs()
    home = cluster.folder / "volumes" / "home"
    for path in home.rglob("*"):
        if path.is_file():
            told[str(path.relative_to(home))] = path.read_bytes().decode(errors="replace")
    told["record"] = json.dumps(user.runs(name))
    assert any(place.endswith(".log") for place in told), "there are logs"
    assert any("job-driver-secretive" in place for place in told), "the driver's among them"
    assert {"sweeps/secretive/sweep.json", "sweeps/secretive/report.html"} <= set(told)
    assert [(place, at) for place, text in told.items() for at, secret in enumerate(hidden) if secret in text] == []


def test_a_worker_holds_no_password(cluster, secrets):
    held = cluster.hosts["ray-worker-1"].run("cat", "/proc/1/environ").stdout
    assert secrets["RAY_AUTH_TOKEN"] in held
    assert secrets["POSTGRES_PASSWORD"] not in held
    assert secrets["MLFLOW_AUTH_ADMIN_PASSWORD"] not in held

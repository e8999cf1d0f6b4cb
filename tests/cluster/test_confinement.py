"""What a container can write, reach, and read of the database: no more than its service needs."""

from __future__ import annotations

import json
import time

import pytest

from tests.waiting import DEADLINE

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

WRITE = """
import sys
for path in sys.argv[1:]:
    try:
        open(f"{path}/written", "w").close()
        print("written", path)
    except OSError as error:
        print(type(error).__name__, error.strerror, path)
"""
ROUTE = """
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 80))
    print("a way out")
except OSError as error:
    print(error.strerror)
"""
LOGIN = """
import psycopg, sys
try:
    psycopg.connect(sys.argv[1].replace("+psycopg", ""), connect_timeout=10).execute("SELECT 1")
    print("connected")
except psycopg.Error as error:
    print(error)
"""
REQUEST = """
import sys, urllib.error, urllib.request

try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[2], method=sys.argv[1])).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""
SERVICES = ("postgres", "mlflow-auth", "ray-head", "ray-worker")
FOLDERS = {
    "postgres": ["/run/postgresql", "/var/lib/postgresql/data"],
    "mlflow-auth": ["/var/lib/mlflow"],
    "ray-head": ["/var/lib/searchlab"],
    "ray-worker": ["/var/lib/searchlab"],
}


def threads_of(host):
    """Return how many threads all processes of a host have."""
    return sum(map(int, host.run("ps", "-eo", "nlwp", "--no-headers").stdout.split()))


@pytest.mark.parametrize("name", SERVICES)
def test_only_volumes_and_temporary_folders_can_be_written(name, cluster):
    """Also where the user of the container owns a folder of the image."""
    host = cluster.hosts[f"{name}-1"]
    lines = host.run("python3", "-c", WRITE, "/tmp", *FOLDERS[name], "/var/tmp", "/dev/shm").stdout.splitlines()
    assert lines[: 1 + len(FOLDERS[name])] == [f"written {path}" for path in ["/tmp", *FOLDERS[name]]]
    assert [line for line in lines if "/var/tmp" in line] == ["OSError Read-only file system /var/tmp"]


def test_workers_and_the_database_have_no_way_out_and_published_services_have(cluster):
    found = {name: cluster.hosts[f"{name}-1"].run("python3", "-c", ROUTE).stdout.strip() for name in SERVICES}
    assert {name for name, answer in found.items() if answer == "a way out"} == {"ray-head", "mlflow-auth"}


@pytest.fixture(scope="module")
def most_threads(cluster, user):
    """The largest number of threads of each service while the sweep `threads` runs to its end."""
    user.submit("threads", "--trials", "4")
    most = dict.fromkeys(SERVICES, 0)
    deadline = time.monotonic() + DEADLINE
    while len(user.ended("threads")) < 4:
        assert time.monotonic() < deadline
        for name in SERVICES:
            most[name] = max(most[name], threads_of(cluster.hosts[f"{name}-1"]))
    user.wait_until_finished("threads")
    return most


def test_services_use_less_than_half_of_their_processes(cluster, most_threads):
    limits = {name: cluster.services[name].pids_limit for name in SERVICES}
    assert all(0 < most_threads[name] < limits[name] / 2 for name in SERVICES), most_threads


def test_mlflow_cannot_read_studies_and_the_head_cannot_read_the_record(cluster):
    """Each with the address and the password that its container has."""
    mlflow, head = cluster.hosts["mlflow-auth-1"], cluster.hosts["ray-head-1"]
    addresses = {
        "mlflow": (mlflow, mlflow.environment["MLFLOW_BACKEND_STORE_URI"]),
        "optuna": (head, head.environment["SEARCHLAB_STORAGE"]),
    }
    for own, (host, address) in addresses.items():
        (other,) = set(addresses) - {own}
        assert host.run("python", "-c", LOGIN, address).stdout.strip() == "connected"
        refused = host.run("python", "-c", LOGIN, address.removesuffix(own) + other).stdout
        assert "permission denied" in refused


@pytest.mark.usefixtures("most_threads")
def test_the_dashboard_shows_studies_and_changes_none(cluster, user):
    """The study is that of the sweep `threads`."""
    host = cluster.add("optuna-dashboard")
    studies = "http://127.0.0.1:8080/api/studies"
    shown = json.loads(host.run("python", "-c", REQUEST, "GET", studies).stdout)["study_summaries"]
    (number,) = [study["study_id"] for study in shown if study["study_name"] == "threads"]
    assert host.run("python", "-c", REQUEST, "DELETE", f"{studies}/{number}").stdout.strip() == "500"
    assert {trial.state for trial in user.trials("threads")} == {"COMPLETE"}
    client = cluster.hosts["ray-worker-1"].run("python", "-c", REQUEST, "GET", "http://optuna-dashboard:8080/")
    assert client.returncode != 0, "a worker does not reach the dashboard"

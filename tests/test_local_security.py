"""A local Ray is open to its owner alone: its addresses, its token, and the secrets that its workers inherit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from ray._private import services

from searchlab.cluster import token
from searchlab.cluster.connection import _needed_variables, connected
from searchlab.cluster.local_ray import loopback_allowed, quiet_ray
from searchlab.cluster.token import secure_token_file, token_variables
from searchlab.environment import WORKER_VARIABLES, secret_variables
from tests.chaos.processes import members
from tests.jobs import make_job
from tests.sweeps import spiral_sweep

SECRETS = {
    "MY_PASSWORD": "a",
    "DB_PASSWD": "a",
    "client_secret": "a",
    "HF_TOKEN": "a",
    "MYTOKEN": "a",
    "GOOGLE_APPLICATION_CREDENTIALS": "a",
    "AWS_SECRET_ACCESS_KEY": "a",
    "API_KEY": "a",
    "OPENAI_APIKEY": "a",
    "PGPASSWORD": "a",
    "RAY_AUTH_TOKEN": "a",
    "MLFLOW_TRACKING_URI": "https://user:word@host",
    "DATABASE_URL": "postgresql+psycopg://user:word@host/x",
}
OTHERS = {
    "PATH": "/bin",
    "PWD": "/",
    "TOKENIZERS_PARALLELISM": "false",
    "KEYBOARD": "us",
    "MONKEY": "1",
    "URL": "https://host:80/a@b",
    "OMP_NUM_THREADS": "1",
}


def test_what_looks_like_a_secret_is_withheld_from_workers():
    assert secret_variables(SECRETS | OTHERS) == set(SECRETS)


def test_what_is_needed_or_declared_is_not_withheld():
    environment = SECRETS | OTHERS | {WORKER_VARIABLES: "HF_TOKEN, API_KEY"}
    kept = {"AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN", "HF_TOKEN", "API_KEY"}
    assert secret_variables(environment, ("RAY_", "AWS_")) == set(SECRETS) - kept


@pytest.mark.parametrize(
    ("storage", "checkpoints", "needed"),
    [
        (Path("j"), Path("c"), {"RAY_"}),
        (Path("j"), "s3://bucket/a", {"RAY_", "AWS_"}),
        ("postgresql+psycopg://u@h/d", Path("c"), {"RAY_", "PG"}),
    ],
)
def test_only_a_store_or_a_database_that_is_used_needs_its_variables(storage, checkpoints, needed):
    assert set(_needed_variables(make_job(spiral_sweep(), "s", storage, checkpoints, trials=6))) == needed


def test_processes_of_ray_do_not_inherit_what_is_withheld():
    with quiet_ray({"MY_PASSWORD"}):
        process = services.ConsolePopen(
            [sys.executable, "-c", "import os; print('MY_PASSWORD' in os.environ, 'OTHER' in os.environ)"],
            env=os.environ | {"MY_PASSWORD": "a", "OTHER": "b"},
            stdout=subprocess.PIPE,
        )
        assert process.communicate()[0].split() == [b"False", b"True"]


@pytest.fixture
def user_home(tmp_path, monkeypatch):
    """The home of a user who has no token yet."""
    for name in token.TOKEN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def test_a_new_token_is_readable_by_its_owner_only(user_home):
    assert token_variables() == {}
    path = user_home / ".ray" / "auth_token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch("[0-9a-f]{64}", path.read_text())
    assert [file.name for file in path.parent.iterdir()] == ["auth_token"]


def test_the_file_of_a_token_that_others_can_read_is_closed_and_kept(user_home):
    path = user_home / "auth_token"
    path.write_text("mine")
    path.chmod(0o644)
    secure_token_file(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("mine", 0o600)


def test_a_home_that_cannot_be_written_leads_to_a_token_of_this_process(user_home):
    (user_home / ".ray").write_text("a file")
    first = token_variables()
    assert list(first) == ["RAY_AUTH_TOKEN"]
    assert token_variables() == first, "Ray reads it once"


def test_a_token_of_the_environment_is_used(user_home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x" * 43)
    assert token_variables() == {}
    assert not (user_home / ".ray").exists()


def test_ray_replaces_the_loopback_address_unless_it_is_allowed():
    with loopback_allowed():
        assert services.resolve_ip_for_localhost("127.0.0.1") == "127.0.0.1"
    assert "_node_ip_address = services.resolve_ip_for_localhost(" in Path(ray._private.worker.__file__).read_text()


def listening_sockets():
    """Return the local address of every listening TCP socket by its inode."""
    found = {}
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(file).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found[fields[9]] = fields[1].rpartition(":")[0]
    return found


def socket_inodes(pid):
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


@pytest.mark.slow
def test_no_process_of_a_local_ray_listens_beyond_loopback_or_knows_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "word")
    job = make_job(spiral_sweep(), "s", tmp_path / "j", tmp_path / "c", trials=6, workers=1)
    before = set(members(os.getsid(0)))
    with connected(job):
        assert ray.get(ray.remote(lambda: os.environ.get("MY_PASSWORD")).remote()) is None
        pids, sockets = {*members(os.getsid(0))} - before | {os.getpid()}, listening_sockets()
        addresses = {sockets[inode] for pid in pids for inode in socket_inodes(pid) if inode in sockets}
    assert len(pids) > 4
    assert addresses
    assert addresses <= LOOPBACK

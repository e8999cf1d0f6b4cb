"""The cluster's files: what docker-compose.yml promises about secrets, networks and limits, and what init writes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from searchlab.cli import execute

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SECRETS = {"RAY_AUTH_TOKEN", "POSTGRES_PASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"}
WORKERS = ("ray-worker", "ray-worker-gpu")
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def defaults(text, given=None):
    """Compose's interpolation, as far as the file uses it."""
    return VARIABLE.sub(lambda found: (given or {}).get(found[1]) or (found[3] if found[2] == ":-" else ""), str(text))


def literal_secrets(environment):
    """Names of variables that hold a secret which is written down instead of asked for."""
    asked = re.compile(r"\$\{\w+:\?[^}]+\}")
    named = re.compile("PASSWORD|TOKEN|SECRET|ACCESS_KEY")
    wrong = {name for name, value in environment.items() if named.search(name) and value and not asked.fullmatch(value)}
    urls = {name: re.search(r"://[^:/@]+:(.+)@", str(value)) for name, value in environment.items()}
    return wrong | {name for name, found in urls.items() if found and not asked.fullmatch(found[1])}


def valid(path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_compose_file_keeps_to_the_specification(tmp_path):
    assert valid(ROOT / "docker-compose.yml")
    (tmp_path / "wrong.yml").write_text(yaml.safe_dump({"services": {"a": {**SERVICES["postgres"], "retries": 3}}}))
    assert not valid(tmp_path / "wrong.yml")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_limited_and_confined(name):
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["user"] in ("10001:10001", "postgres")
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["stop_grace_period"]
    assert isinstance(service["command"], list)
    tag = service["image"].partition(":")[2]
    assert "build" in service or re.search(r"\d+\.\d+", tag), f"{service['image']} is not pinned"


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_is_in_no_command_and_not_in_the_file(name):
    service = SERVICES[name]
    spoken = json.dumps([service["command"], service["healthcheck"]])
    assert not SECRETS & {found[0] for found in VARIABLE.findall(spoken)}
    assert not literal_secrets(service["environment"])


def test_a_literal_secret_is_found():
    assert literal_secrets({"A_PASSWORD": "hunter2"}) == {"A_PASSWORD"}
    assert literal_secrets({"URL": "postgresql://me:hunter2@host/db"}) == {"URL"}
    assert literal_secrets({"RAY_AUTH_TOKEN": "${RAY_AUTH_TOKEN:-weak}"}) == {"RAY_AUTH_TOKEN"}
    assert not literal_secrets({"URL": "http://mlflow:5000", "AWS_SECRET_ACCESS_KEY": None})


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_knows_the_token_alone(name):
    secrets = {secret: f"<{secret}>" for secret in SECRETS}
    told = json.dumps({key: defaults(value, secrets) for key, value in SERVICES[name]["environment"].items()})
    assert {secret for secret, value in secrets.items() if value in told} == {"RAY_AUTH_TOKEN"}
    assert "env_file" not in SERVICES[name]
    assert "data" not in SERVICES[name]["networks"]


def test_ports_are_published_on_loopback_by_services_that_can():
    published = [name for name in SERVICES if "ports" in SERVICES[name]]
    bound = {defaults(port) for name in published for port in SERVICES[name]["ports"]}
    assert bound == {f"127.0.0.1:{port}:{port}" for port in (5000, 8080, 8265, 10001)}
    inside = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    assert inside == {"data"}
    assert all(set(SERVICES[name]["networks"]) - inside for name in published)
    assert set(SERVICES["postgres"]["networks"]) == inside


def test_either_mlflow_is_called_mlflow_and_only_one_of_them_starts():
    closed, open_ = SERVICES["mlflow-auth"], SERVICES["mlflow"]
    assert [closed["profiles"], open_["profiles"]] == [["auth"], ["open"]]
    assert all(network["aliases"] == ["mlflow"] for network in closed["networks"].values())
    assert closed["command"] == [*open_["command"], "--app-name=basic-auth"]
    needs = SERVICES["ray-head"]["depends_on"]
    assert {name for name, need in needs.items() if need.get("required") is False} == {"mlflow-auth", "mlflow"}


def test_shared_memory_holds_the_object_store():
    for name in ("ray-head", *WORKERS):
        store = next(word for word in SERVICES[name]["command"] if word.startswith("--object-store-memory="))
        assert (
            int(defaults(store).partition("=")[2]) < int(defaults(SERVICES[name]["shm_size"]).removesuffix("m")) << 20
        )


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A folder where `cluster init` was called by someone who hides nothing by default."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def variables(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_init_writes_all_that_compose_asks_for(written, capfd):
    asked = {found[0] for found in VARIABLE.findall((ROOT / "docker-compose.yml").read_text()) if found[1] == ":?"}
    assert asked == SECRETS
    assert execute(["cluster", "init", "--json"]) == 0
    told, given = capfd.readouterr(), variables(written / ".env")
    assert asked <= set(given)
    assert given["COMPOSE_PROFILES"] == "auth"
    assert all(re.fullmatch(r"[\w-]{24,}", given[name]) for name in SECRETS)
    assert len({given[name] for name in SECRETS}) == len(SECRETS)
    assert not [name for name in SECRETS if given[name] in told.out + told.err]
    assert json.loads(told.out.splitlines()[-1])["file"] == ".env"
    sourced = subprocess.run(
        ["sh", "-c", "set -a; . ./.env; env"], cwd=written, text=True, capture_output=True, check=True
    )
    assert {f"{name}={value}" for name, value in given.items()} <= set(sourced.stdout.splitlines())


def test_nobody_else_can_read_the_secrets_at_any_moment(written, monkeypatch):
    modes, opened = [], os.fdopen
    monkeypatch.setattr(
        os, "fdopen", lambda fd, *rest: (modes.append(os.fstat(fd).st_mode & 0o777), opened(fd, *rest))[1]
    )
    assert [execute(["cluster", "init"]), execute(["cluster", "init", "--force"])] == [0, 0]
    assert [*modes, (written / ".env").stat().st_mode & 0o777] == [0o600] * 3


def test_init_keeps_what_is_there_unless_forced(written, capfd):
    execute(["cluster", "init"])
    first = (written / ".env").read_text()
    assert execute(["cluster", "init"]) == 2
    assert capfd.readouterr().err.count("--force") == 1
    assert (written / ".env").read_text() == first
    assert execute(["cluster", "init", "--force", "--open"]) == 0
    assert variables(written / ".env")["COMPOSE_PROFILES"] == "open"
    assert not set(re.findall(r"[\w-]{32,}", first)) & set(re.findall(r"[\w-]{32,}", (written / ".env").read_text()))
    assert execute(["cluster", "init", "--folder", "nowhere"]) == 2


def test_the_data_folder_is_the_containers_too(written):
    (written / "docker-compose.yml").touch()
    execute(["cluster", "init"])
    assert (written / "data").stat().st_mode & 0o7777 == 0o1777

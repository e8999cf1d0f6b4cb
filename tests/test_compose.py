"""Files of the cluster: secrets, networks and limits in docker-compose.yml, and what `cluster init` writes."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from searchlab.cli import execute

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
ROLE_PASSWORDS = {"POSTGRES_MLFLOW_PASSWORD", "POSTGRES_OPTUNA_PASSWORD", "POSTGRES_DASHBOARD_PASSWORD"}
SECRETS = {
    "RAY_AUTH_TOKEN",
    "POSTGRES_PASSWORD",
    *ROLE_PASSWORDS,
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
}
WORKERS = ("ray-worker", "ray-worker-gpu")
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def interpolate(text, variables=None):
    """Return the text with its variables replaced by these values, or else by their defaults, as compose does it."""
    values = variables or {}
    return VARIABLE.sub(lambda match: values.get(match[1]) or (match[3] if match[2] == ":-" else ""), str(text))


def literal_secrets(environment):
    """Return the names of variables whose secret is in the file, instead of a required variable of the user."""
    required = re.compile(r"\$\{\w+:\?[^}]+\}")
    secret = re.compile("PASSWORD|TOKEN|SECRET|ACCESS_KEY")
    passwords = {name: value for name, value in environment.items() if secret.search(name) and value}
    urls = {name: re.search(r"://[^:/@]+:(.+)@", str(value)) for name, value in environment.items()}
    passwords |= {name: match[1] for name, match in urls.items() if match}
    return {name for name, password in passwords.items() if not required.fullmatch(password)}


def is_valid(path):
    """Return whether the file follows the compose specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_compose_file_follows_the_specification(tmp_path):
    assert is_valid(ROOT / "docker-compose.yml")
    (tmp_path / "wrong.yml").write_text(yaml.safe_dump({"services": {"a": {**SERVICES["postgres"], "retries": 3}}}))
    assert not is_valid(tmp_path / "wrong.yml")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_limits_and_no_privileges(name):
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["user"] in ("10001:10001", "postgres")
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["stop_grace_period"]
    assert service["read_only"] is True
    assert "/tmp" in {mount.partition(":")[0] for mount in service["tmpfs"]}
    assert name == "postgres" or service["environment"]["HOME"] == "/tmp"
    assert 0 < service["pids_limit"] <= 8192
    assert isinstance(service["command"], list)
    tag = service["image"].partition(":")[2]
    assert "build" in service or re.search(r"\d+\.\d+", tag), f"{service['image']} is not pinned"


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_a_command_or_in_the_file(name):
    service = SERVICES[name]
    commands = json.dumps([service["command"], service["healthcheck"]])
    assert not SECRETS & {name for name, _, _ in VARIABLE.findall(commands)}
    assert not literal_secrets(service["environment"])


def test_a_literal_secret_is_found():
    assert literal_secrets({"A_PASSWORD": "hunter2"}) == {"A_PASSWORD"}
    assert literal_secrets({"URL": "postgresql://me:hunter2@host/db"}) == {"URL"}
    assert literal_secrets({"RAY_AUTH_TOKEN": "${RAY_AUTH_TOKEN:-weak}"}) == {"RAY_AUTH_TOKEN"}
    assert not literal_secrets({"URL": "http://mlflow:5000", "AWS_SECRET_ACCESS_KEY": None})


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_gets_no_secret_but_the_token(name):
    secrets = {secret: f"<{secret}>" for secret in SECRETS}
    environment = json.dumps({key: interpolate(text, secrets) for key, text in SERVICES[name]["environment"].items()})
    assert {secret for secret, value in secrets.items() if value in environment} == {"RAY_AUTH_TOKEN"}
    assert "env_file" not in SERVICES[name]
    assert SERVICES[name]["networks"] == ["cluster"]
    assert "data" not in SERVICES[name]["networks"]


@pytest.mark.parametrize(
    ("name", "passwords"),
    [
        ("postgres", {"POSTGRES_PASSWORD", *ROLE_PASSWORDS}),
        ("mlflow-auth", {"POSTGRES_MLFLOW_PASSWORD"}),
        ("mlflow", {"POSTGRES_MLFLOW_PASSWORD"}),
        ("ray-head", {"POSTGRES_OPTUNA_PASSWORD"}),
        ("optuna-dashboard", {"POSTGRES_DASHBOARD_PASSWORD"}),
    ],
)
def test_a_service_gets_the_password_of_its_own_role_alone(name, passwords):
    service = SERVICES[name]
    named = {variable for variable, _, _ in VARIABLE.findall(json.dumps([service["environment"], service["command"]]))}
    assert {variable for variable in named if variable.startswith("POSTGRES_")} == passwords
    roles = re.findall(r"postgresql\+psycopg://(\w+)", json.dumps([service["environment"], service["command"]]))
    expected = {f"POSTGRES_{role.upper()}_PASSWORD" for role in roles}
    assert expected == (set() if name == "postgres" else passwords)


def test_ports_are_published_on_loopback_and_not_from_the_internal_network():
    publishing = [name for name in SERVICES if "ports" in SERVICES[name]]
    ports = {interpolate(port) for name in publishing for port in SERVICES[name]["ports"]}
    assert ports == {f"127.0.0.1:{port}:{port}" for port in (5000, 8080, 8265, 10001)}
    networks = COMPOSE["networks"]
    internal = {
        name for name in networks if networks[name] and interpolate(networks[name]["internal"]) in ("True", "true")
    }
    assert internal == {"data", "cluster"}
    assert all(set(SERVICES[name]["networks"]) - internal for name in publishing)
    assert SERVICES["postgres"]["networks"] == ["data"]


def test_only_one_mlflow_service_starts_and_its_host_name_is_mlflow():
    with_accounts, without_accounts = SERVICES["mlflow-auth"], SERVICES["mlflow"]
    assert [with_accounts["profiles"], without_accounts["profiles"]] == [["auth"], ["open"]]
    assert (
        with_accounts["networks"]
        == without_accounts["networks"]
        == {"data": {"aliases": ["mlflow"]}, "published": None}
    )
    assert with_accounts["command"] == [*without_accounts["command"], "--app-name=basic-auth"]
    dependencies = SERVICES["ray-head"]["depends_on"]
    optional = {name for name, dependency in dependencies.items() if dependency.get("required") is False}
    assert optional == {"mlflow-auth", "mlflow"}


@pytest.mark.parametrize("name", ["ray-head", *WORKERS])
def test_shared_memory_is_larger_than_the_object_store(name):
    service = SERVICES[name]
    option = next(argument for argument in service["command"] if argument.startswith("--object-store-memory="))
    store_bytes = int(interpolate(option).partition("=")[2])
    assert store_bytes < int(interpolate(service["shm_size"]).removesuffix("m")) << 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a umask of 0: new files are readable by everyone unless a mode is set."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def variables_in(path):
    """Return the variables that an .env file sets."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_init_writes_all_variables_that_compose_requires(folder, capfd):
    text = (ROOT / "docker-compose.yml").read_text()
    required = {name for name, operator, _ in VARIABLE.findall(text) if operator == ":?"}
    assert required == SECRETS
    assert execute(["cluster", "init", "--json"]) == 0
    printed, variables = capfd.readouterr(), variables_in(folder / ".env")
    assert required <= set(variables)
    assert variables["COMPOSE_PROFILES"] == "auth"
    assert all(re.fullmatch(r"[\w-]{24,}", variables[name]) for name in SECRETS)
    assert len({variables[name] for name in SECRETS}) == len(SECRETS)
    assert not [name for name in SECRETS if variables[name] in printed.out + printed.err]
    assert json.loads(printed.out.splitlines()[-1])["file"] == ".env"
    sourced = subprocess.run(
        ["sh", "-c", "set -a; . ./.env; env"], cwd=folder, text=True, capture_output=True, check=True
    )
    assert {f"{name}={value}" for name, value in variables.items()} <= set(sourced.stdout.splitlines())


def test_only_the_owner_can_ever_read_the_secrets(folder, monkeypatch):
    modes, opened = [], os.fdopen
    monkeypatch.setattr(
        os, "fdopen", lambda fd, *rest: (modes.append(os.fstat(fd).st_mode & 0o777), opened(fd, *rest))[1]
    )
    assert [execute(["cluster", "init"]), execute(["cluster", "init", "--force"])] == [0, 0]
    assert [*modes, (folder / ".env").stat().st_mode & 0o777] == [0o600] * 3


def test_init_overwrites_an_existing_file_only_with_force(folder, capfd):
    execute(["cluster", "init"])
    first = (folder / ".env").read_text()
    assert execute(["cluster", "init"]) == 2
    assert capfd.readouterr().err.count("--force") == 1
    assert (folder / ".env").read_text() == first
    assert execute(["cluster", "init", "--force", "--open"]) == 0
    assert variables_in(folder / ".env")["COMPOSE_PROFILES"] == "open"
    assert not set(re.findall(r"[\w-]{32,}", first)) & set(re.findall(r"[\w-]{32,}", (folder / ".env").read_text()))
    assert execute(["cluster", "init", "--folder", "nowhere"]) == 2


def test_containers_can_write_to_the_data_folder_and_others_cannot(folder):
    (folder / "docker-compose.yml").touch()
    execute(["cluster", "init"])
    status, group = (folder / "data").stat(), int(variables_in(folder / ".env")["SEARCHLAB_DATA_GROUP"])
    assert stat.S_IMODE(status.st_mode) == 0o2770
    assert status.st_gid == group
    assert all(SERVICES[name]["group_add"] == ["${SEARCHLAB_DATA_GROUP:-10001}"] for name in ("ray-head", *WORKERS))


def test_the_group_of_the_data_folder_is_the_users_own_where_the_user_is_not_root(folder, monkeypatch):
    (folder / "docker-compose.yml").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    execute(["cluster", "init"])
    assert variables_in(folder / ".env")["SEARCHLAB_DATA_GROUP"] == str(os.getgid())
    assert (folder / "data").stat().st_gid == os.getgid()

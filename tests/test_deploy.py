"""The images, and deploy/: Kubernetes and Ray's launcher start what docker-compose.yml does, by its paths and ports."""

import configparser
import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from searchlab.cli.cluster import environment
from tests.test_compose import COMPOSE, SECRETS, SERVICES, defaults

ROOT = Path(__file__).parents[1]
KUBERNETES = list(yaml.safe_load_all((ROOT / "deploy/kuberay.yaml").read_text()))
LAUNCHER = yaml.safe_load((ROOT / "deploy/cluster.yaml").read_text())
INI = ROOT / "deploy/mlflow/basic_auth.ini"


def documents(kind):
    return {document["metadata"]["name"]: document for document in KUBERNETES if document["kind"] == kind}


def pods():
    """Every pod of deploy/kuberay.yaml by the name of compose's service."""
    ray = documents("RayCluster")["searchlab"]["spec"]
    cpu, gpu = ray["workerGroupSpecs"]
    owners = {
        "postgres": documents("StatefulSet")["postgres"]["spec"],
        "mlflow-auth": documents("Deployment")["mlflow"]["spec"],
        "ray-head": ray["headGroupSpec"],
        "ray-worker": cpu,
        "ray-worker-gpu": gpu,
    }
    return {name: owner["template"]["spec"] for name, owner in owners.items()}


PODS = pods()


def given(name):
    """What a pod's container finds in its environment, and the keys of secrets among it."""
    container = PODS[name]["containers"][0]
    sources = [documents("ConfigMap")[each["configMapRef"]["name"]]["data"] for each in container.get("envFrom", [])]
    values = {key: value for source in sources for key, value in source.items()}
    secret = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}
    plain = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return values | plain, {name: reference["key"] for name, reference in secret.items()}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_what_compose_starts(name):
    pod, service = PODS[name], SERVICES[name]
    container = pod["containers"][0]
    assert container["image"] == service["image"]
    places = {volume["mountPath"] for volume in container["volumeMounts"]}
    assert places == {volume.split(":")[1] for volume in map(defaults, service["volumes"])}
    values, secret = given(name)
    asked = {key: value for key, value in service["environment"].items() if value is not None}
    assert set(asked) == (set(values) | set(secret)) - {"PGDATA"} - ({"POSTGRES_PASSWORD"} - set(asked))
    for key in set(asked) & set(values):
        assert values[key].replace("$(POSTGRES_PASSWORD)", "") == defaults(asked[key]), key


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_confined_and_limited(name):
    pod = PODS[name]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False  # else MLFLOW_PORT is set, which MLflow takes for its own option
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert "readinessProbe" in container


def test_secrets_of_kubernetes_are_those_that_init_writes():
    written = {line.partition("=")[0] for line in environment("auth").splitlines()}
    used = {name: set(given(name)[1].values()) for name in PODS}
    assert set().union(*used.values()) == SECRETS
    assert written >= SECRETS
    assert used["ray-worker"] == used["ray-worker-gpu"] == {"RAY_AUTH_TOKEN"}
    assert not re.search(r"kind: Secret\b", (ROOT / "deploy/kuberay.yaml").read_text())


def test_kubernetes_starts_mlflow_and_ray_as_compose_does():
    command = [defaults(word) for word in SERVICES["mlflow-auth"]["command"]]
    hosts = next(word for word in command if word.startswith("--allowed-hosts="))
    assert PODS["mlflow-auth"]["containers"][0]["command"] == [word.rstrip(",") for word in command]
    assert hosts.endswith(",")  # which names that are added are put after
    spec = documents("RayCluster")["searchlab"]["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    words = {defaults(word) for word in SERVICES["ray-head"]["command"]}
    assert {f"--{key}={value}" for key, value in spec["headGroupSpec"]["rayStartParams"].items()} <= words
    ports = {port["containerPort"] for port in PODS["ray-head"]["containers"][0]["ports"]}
    assert ports == {int(word.partition("=")[2]) for word in words if re.match("--.*port=", word)}
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert groups["gpu"]["minReplicas"] == 0
    assert all(group["minReplicas"] < group["maxReplicas"] for group in groups.values())


def test_files_inside_kubernetes_are_those_of_deploy():
    files = documents("ConfigMap")["searchlab-files"]["data"]
    copy, original = configparser.ConfigParser(), configparser.ConfigParser()
    copy.read_string(files["basic_auth.ini"])
    original.read(INI)
    assert copy == original
    assert files["optuna.sql"].strip() in (ROOT / "deploy/postgres/optuna.sql").read_text().splitlines()


def test_accounts_lie_on_the_volume_and_show_without_changing():
    ini = configparser.ConfigParser()
    ini.read(INI)
    assert ini["mlflow"]["database_uri"] == "sqlite:////var/lib/mlflow/basic_auth.db"
    assert ini["mlflow"]["default_permission"] == "READ"
    mounted = SERVICES["mlflow-auth"]["environment"]["MLFLOW_AUTH_CONFIG_PATH"]
    assert f"./deploy/mlflow/basic_auth.ini:{mounted}:ro" in SERVICES["mlflow-auth"]["volumes"]
    assert "mlflow:/var/lib/mlflow" in SERVICES["mlflow-auth"]["volumes"]


def test_the_launcher_is_one_that_ray_takes():
    """By Ray's own schema, without importing Ray; tokens and passwords come as files."""
    schema = json.loads(
        (Path(importlib.util.find_spec("ray").origin).parent / "autoscaler/ray-schema.json").read_text()
    )
    jsonschema.validate(LAUNCHER, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(LAUNCHER | {"workers": 2}, schema)
    head = LAUNCHER["head_start_ray_commands"][-1].split()
    shared = [
        defaults(word) for word in SERVICES["ray-head"]["command"][2:] if "host" not in word and word != "--block"
    ]
    assert not set(shared) - set(head)
    assert "--dashboard-host=127.0.0.1" in head
    spoken = json.dumps([LAUNCHER["setup_commands"], head, LAUNCHER["worker_start_ray_commands"]])
    assert "RAY_AUTH_MODE=token" in spoken
    assert not [name for name in SECRETS if name in spoken]
    assert {".env", "/data"} <= set(LAUNCHER["rsync_exclude"])  # data alone would leave out searchlab/data


def test_images_are_pinned_small_and_not_root():
    text = (ROOT / "Dockerfile").read_text()
    python = re.search(r"^ARG PYTHON=(\d+\.\d+\.\d+)$", text, re.MULTILINE)[1]
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)
    names = [name for _, name in stages]
    assert {base for base, _ in stages} - set(names) == {"python:${PYTHON}-slim-bookworm"}
    assert names[-1] == "cpu"
    builds = [service["build"] for service in SERVICES.values() if "build" in service]
    assert {build["target"] for build in builds} == {"cpu", "gpu"} <= set(names)
    assert {defaults(build["args"]["PYTHON"]) for build in builds} == {python}
    for part in re.split(r"^FROM ", text, flags=re.MULTILINE):
        if re.match(r"runtime AS (cpu|gpu)", part):
            assert part.rpartition("USER ")[2].startswith("10001:10001\n")
    made = re.search(r"mkdir -p (.*) \\", text)[1].split()
    mounts = [defaults(volume).split(":")[1] for name in ("ray-head", "mlflow") for volume in SERVICES[name]["volumes"]]
    folders = [place for place in mounts if "." not in Path(place).name]
    assert folders
    assert all(any(Path(folder).is_relative_to(place) for folder in made) for place in folders)
    assert set(COMPOSE["volumes"]) == {"postgres", "mlflow", "home"}


def test_secrets_and_data_stay_out_of_git_and_of_images():
    assert {".env", "/data/"} <= set((ROOT / ".gitignore").read_text().splitlines())
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert rules[-1] == ".env"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "searchlab",
    }

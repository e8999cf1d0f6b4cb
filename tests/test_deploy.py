"""The images, and deploy/: Kubernetes and Ray's launcher start the services of docker-compose.yml with its options."""

import configparser
import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from searchlab.cli.cluster import environment
from tests.test_compose import COMPOSE, ROLE_PASSWORDS, SECRETS, SERVICES, interpolate

ROOT = Path(__file__).parents[1]
KUBERNETES = list(yaml.safe_load_all((ROOT / "deploy/kuberay.yaml").read_text()))
LAUNCHER = yaml.safe_load((ROOT / "deploy/cluster.yaml").read_text())
INI = ROOT / "deploy/mlflow/basic_auth.ini"


def documents(kind):
    """Return the documents of this kind in deploy/kuberay.yaml, by name."""
    return {document["metadata"]["name"]: document for document in KUBERNETES if document["kind"] == kind}


def pods():
    """Return the specification of each pod of deploy/kuberay.yaml, by the name of its service in docker-compose.yml."""
    ray = documents("RayCluster")["searchlab"]["spec"]
    cpu, gpu = ray["workerGroupSpecs"]
    controllers = {
        "postgres": documents("StatefulSet")["postgres"]["spec"],
        "mlflow-auth": documents("Deployment")["mlflow"]["spec"],
        "ray-head": ray["headGroupSpec"],
        "ray-worker": cpu,
        "ray-worker-gpu": gpu,
    }
    return {name: controller["template"]["spec"] for name, controller in controllers.items()}


PODS = pods()
CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
LABELS = {
    "postgres": {"app": "postgres"},
    "mlflow-auth": {"app": "mlflow"},
    "ray-head": {"ray.io/cluster": "searchlab", "ray.io/node-type": "head"},
    "ray-worker": {"ray.io/cluster": "searchlab", "ray.io/node-type": "worker"},
    "ray-worker-gpu": {"ray.io/cluster": "searchlab", "ray.io/node-type": "worker"},
}


def environment_of(name):
    """Return the plain variables of a pod's container, and the keys of the secret in its other variables."""
    container = PODS[name]["containers"][0]
    maps = [documents("ConfigMap")[source["configMapRef"]["name"]]["data"] for source in container.get("envFrom", [])]
    values = {key: value for data in maps for key, value in data.items()}
    values |= {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    references = {v["name"]: v["valueFrom"]["secretKeyRef"] for v in container["env"] if "valueFrom" in v}
    return values, {name: reference["key"] for name, reference in references.items()}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_image_volumes_and_environment_of_its_service(name):
    pod, service = PODS[name], SERVICES[name]
    container = pod["containers"][0]
    assert container["image"] == service["image"]
    paths = {volume["mountPath"] for volume in container["volumeMounts"]}
    written = {mount.partition(":")[0] for mount in service["tmpfs"]}
    assert paths == {volume.split(":")[1] for volume in map(interpolate, service["volumes"])} | written
    values, secret_keys = environment_of(name)
    expected = {key: value for key, value in service["environment"].items() if value is not None}
    only_in_pods = {"PGDATA"} | ({"POSTGRES_MLFLOW_PASSWORD", "POSTGRES_OPTUNA_PASSWORD"} - set(expected))
    assert set(expected) == (set(values) | set(secret_keys)) - only_in_pods
    for key in set(expected) & set(values):
        assert re.sub(r"\$\(\w+\)", "", values[key]) == interpolate(expected[key]), key


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_limits_and_no_privileges(name):
    pod = PODS[name]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False  # it would set MLFLOW_PORT, an option of MLflow
    assert container["securityContext"] == CONFINED
    assert pod["automountServiceAccountToken"] is False
    assert any(volume["name"] == "tmp" and "emptyDir" in volume for volume in pod["volumes"])
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert "readinessProbe" in container


def test_kubernetes_uses_the_secrets_that_init_writes():
    written = {line.partition("=")[0] for line in environment("auth", data_group=0).splitlines()}
    used = {name: set(environment_of(name)[1].values()) for name in PODS}
    assert set().union(*used.values()) == SECRETS
    assert used["mlflow-auth"] & ROLE_PASSWORDS == {"POSTGRES_MLFLOW_PASSWORD"}
    assert used["ray-head"] & {"POSTGRES_PASSWORD", *ROLE_PASSWORDS} == {"POSTGRES_OPTUNA_PASSWORD"}
    assert written >= SECRETS
    assert used["ray-worker"] == used["ray-worker-gpu"] == {"RAY_AUTH_TOKEN"}
    assert not re.search(r"kind: Secret\b", (ROOT / "deploy/kuberay.yaml").read_text())


def test_kubernetes_starts_mlflow_and_ray_as_compose_does():
    command = [interpolate(argument) for argument in SERVICES["mlflow-auth"]["command"]]
    hosts = next(argument for argument in command if argument.startswith("--allowed-hosts="))
    assert PODS["mlflow-auth"]["containers"][0]["command"] == [argument.rstrip(",") for argument in command]
    assert hosts.endswith(","), "SEARCHLAB_ALLOWED_HOSTS is appended"
    spec = documents("RayCluster")["searchlab"]["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    options = {interpolate(argument) for argument in SERVICES["ray-head"]["command"]}
    assert {f"--{key}={value}" for key, value in spec["headGroupSpec"]["rayStartParams"].items()} <= options
    ports = {port["containerPort"] for port in PODS["ray-head"]["containers"][0]["ports"]}
    assert ports == {int(option.partition("=")[2]) for option in options if re.match("--.*port=", option)}
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert groups["gpu"]["minReplicas"] == 0
    assert all(group["minReplicas"] < group["maxReplicas"] for group in groups.values())


def test_files_in_the_config_map_are_those_in_deploy():
    files = documents("ConfigMap")["searchlab-files"]["data"]
    copy, original = configparser.ConfigParser(), configparser.ConfigParser()
    copy.read_string(files["basic_auth.ini"])
    original.read(INI)
    assert copy == original
    assert files["roles.sql"] == (ROOT / "deploy/postgres/roles.sql").read_text()


def allowed(direction):
    """Return which pods a network policy lets talk to which port: (from, to, port) of `ingress` or of `egress`."""
    found = set()
    for policy in (document["spec"] for document in KUBERNETES if document["kind"] == "NetworkPolicy"):
        own = [name for name in PODS if selects(policy["podSelector"], name)]
        for rule in policy[direction]:
            peers = rule["from" if direction == "ingress" else "to"]
            others = [name for name in PODS if any(selects(peer.get("podSelector"), name) for peer in peers)]
            pairs = [(a, b) if direction == "egress" else (b, a) for a in own for b in others]
            found |= {(a, b, port["port"]) for a, b in pairs for port in rule.get("ports", [{"port": "any"}])}
    return found


def selects(selector, name):
    """Return whether a selector of pods selects the pod of this service."""
    return selector is not None and selector["matchLabels"].items() <= LABELS[name].items()


def test_every_pod_has_a_policy_for_what_comes_in_and_goes_out():
    policies = [document["spec"] for document in KUBERNETES if document["kind"] == "NetworkPolicy"]
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies)
    covered = [sum(selects(policy["podSelector"], name) for policy in policies) for name in PODS]
    assert covered == [1] * len(PODS)


def test_pods_reach_what_services_reach_in_the_networks_of_compose():
    nodes = ("ray-head", "ray-worker", "ray-worker-gpu")
    expected = {("mlflow-auth", "postgres", 5432), ("ray-head", "postgres", 5432), ("ray-head", "mlflow-auth", 5000)}
    expected |= {(a, b, "any") for a in nodes for b in nodes}
    assert allowed("egress") == allowed("ingress") == expected
    networks = {name: set(SERVICES[name]["networks"]) for name in PODS}
    for source, target, _ in expected:
        assert networks[source] & networks[target], f"{source} does not reach {target} in docker-compose.yml"


def test_workers_and_the_database_have_no_way_out():
    outside = {}
    for document in (document for document in KUBERNETES if document["kind"] == "NetworkPolicy"):
        peers = [peer for rule in document["spec"]["egress"] for peer in rule["to"]]
        outside[document["metadata"]["name"]] = any("ipBlock" in peer for peer in peers)
    assert outside == {"postgres": False, "mlflow": False, "searchlab-head": True, "searchlab-worker": False}


def test_only_the_autoscaler_has_the_token_of_the_service_account():
    token = next(volume for volume in PODS["ray-head"]["volumes"] if "projected" in volume)
    assert "serviceAccountToken" in token["projected"]["sources"][0]
    scaler = documents("RayCluster")["searchlab"]["spec"]["autoscalerOptions"]
    assert scaler["securityContext"] == CONFINED
    assert token["name"] in {mount["name"] for mount in scaler["volumeMounts"]}
    mounts = [mount["name"] for pod in PODS.values() for each in pod["containers"] for mount in each["volumeMounts"]]
    assert token["name"] not in mounts


def test_accounts_are_stored_on_the_volume_and_can_read_all_sweeps():
    ini = configparser.ConfigParser()
    ini.read(INI)
    assert ini["mlflow"]["database_uri"] == "sqlite:////var/lib/mlflow/basic_auth.db"
    assert ini["mlflow"]["default_permission"] == "READ"
    mounted = SERVICES["mlflow-auth"]["environment"]["MLFLOW_AUTH_CONFIG_PATH"]
    assert f"./deploy/mlflow/basic_auth.ini:{mounted}:ro" in SERVICES["mlflow-auth"]["volumes"]
    assert "mlflow:/var/lib/mlflow" in SERVICES["mlflow-auth"]["volumes"]


def test_the_launcher_file_follows_rays_schema_and_has_no_secret():
    """The schema is read without importing Ray; tokens and passwords are copied as files."""
    schema = json.loads(
        (Path(importlib.util.find_spec("ray").origin).parent / "autoscaler/ray-schema.json").read_text()
    )
    jsonschema.validate(LAUNCHER, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(LAUNCHER | {"workers": 2}, schema)
    head = LAUNCHER["head_start_ray_commands"][-1].split()
    command = SERVICES["ray-head"]["command"]
    start = command[command.index("ray") :]
    options = [option for option in start if "host" not in option and option != "--block"]
    assert set(map(interpolate, options)) <= set(head)
    assert "--dashboard-host=127.0.0.1" in head
    commands = json.dumps([LAUNCHER["setup_commands"], head, LAUNCHER["worker_start_ray_commands"]])
    assert "RAY_AUTH_MODE=token" in commands
    assert not [name for name in SECRETS if name in commands]
    assert {".env", "/data"} <= set(LAUNCHER["rsync_exclude"])  # "data" would also exclude searchlab/data


def test_images_are_pinned_slim_and_do_not_run_as_root():
    text = (ROOT / "Dockerfile").read_text()
    python = re.search(r"^ARG PYTHON=(\d+\.\d+\.\d+)$", text, re.MULTILINE)[1]
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)
    names = [name for _, name in stages]
    assert {base for base, _ in stages} - set(names) == {"python:${PYTHON}-slim-bookworm"}
    assert names[-1] == "cpu"
    builds = [service["build"] for service in SERVICES.values() if "build" in service]
    assert {build["target"] for build in builds} == {"cpu", "gpu"} <= set(names)
    assert {interpolate(build["args"]["PYTHON"]) for build in builds} == {python}
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE):
        if re.match(r"runtime AS (cpu|gpu)", stage):
            assert stage.rpartition("USER ")[2].startswith("10001:10001\n")


def test_images_have_the_folders_that_volumes_are_mounted_on():
    text = (ROOT / "Dockerfile").read_text()
    created = re.search(r"mkdir -p (.*) \\", text)[1].split()
    volumes = [volume for name in ("ray-head", "mlflow") for volume in SERVICES[name]["volumes"]]
    paths = [Path(interpolate(volume).split(":")[1]) for volume in volumes]
    folders = [path for path in paths if "." not in path.name]
    assert folders
    assert all(any(Path(folder).is_relative_to(mounted) for folder in created) for mounted in folders)
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
        "deploy/requirements",
        "searchlab",
        "models",
    }

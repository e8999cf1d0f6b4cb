"""The services of docker-compose.yml, with their variables replaced by values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """A service: what its containers run, as whom, and what they can write to and reach."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    volumes: tuple[tuple[str, str], ...]  # a volume's name or a path on the host, and its path in the container
    networks: Mapping[str, tuple[str, ...]]  # with the aliases of the service in each
    user: str
    groups: tuple[str, ...]  # further groups of the user
    tmpfs: tuple[str, ...]
    read_only: bool
    pids_limit: int
    health: tuple[str, ...]
    stop_signal: str
    replicas: int


def services(environment: Mapping[str, str], path: Path = ROOT / "docker-compose.yml") -> dict[str, Service]:
    """Return the services that `docker compose up` starts with this environment, by name."""
    project: dict[str, Any] = yaml.safe_load(path.read_text())
    profiles = set(environment.get("COMPOSE_PROFILES", "").split(","))
    active = {
        name: _substitute(service, environment)
        for name, service in project["services"].items()
        if not service.get("profiles") or profiles & set(service["profiles"])
    }
    return {name: _service(name, service, environment) for name, service in active.items()}


def outside_networks(environment: Mapping[str, str], path: Path = ROOT / "docker-compose.yml") -> set[str]:
    """Return the names of the networks that are not internal: hosts on them have a way out."""
    networks = _substitute(yaml.safe_load(path.read_text())["networks"], environment)
    return {name for name, options in networks.items() if str((options or {}).get("internal")).lower() != "true"}


def _service(name: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> Service:
    volumes = [text.removesuffix(":ro").rsplit(":", 1) for text in options.get("volumes", [])]
    networks = options["networks"]
    networks = networks if isinstance(networks, dict) else dict.fromkeys(networks)
    variables = {  # a variable without a value is passed through
        key: environment.get(key) if value is None else value for key, value in options["environment"].items()
    }
    return Service(
        name=name,
        command=tuple(options["command"]),
        environment={key: str(value) for key, value in variables.items() if value is not None},
        volumes=tuple((source, target) for source, target in volumes),
        networks={network: tuple((details or {}).get("aliases", ())) for network, details in networks.items()},
        user=options["user"],
        groups=tuple(options.get("group_add", ())),
        tmpfs=tuple(entry.partition(":")[0] for entry in options.get("tmpfs", ())),
        read_only=options.get("read_only", False),
        pids_limit=options["pids_limit"],
        health=tuple(options["healthcheck"]["test"][1:]),
        stop_signal=options.get("stop_signal", "SIGTERM"),
        replicas=int(options.get("deploy", {}).get("replicas", 1)),
    )


def _substitute(value: Any, environment: Mapping[str, str]) -> Any:
    """Return the value with its variables replaced from the environment, as compose does it."""
    if isinstance(value, dict):
        return {key: _substitute(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_substitute(inner, environment) for inner in value]
    return VARIABLE.sub(lambda match: _variable(match, environment), value) if isinstance(value, str) else value


def _variable(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    name, operator, text = match.groups()  # text: a default, or the error message
    value = environment.get(name, "")
    if not value and operator == ":?":
        raise KeyError(f"{name} is not set: {text}")
    return value or (text if operator == ":-" else "")

"""The services of docker-compose.yml, with their variables replaced by values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """A service: the command, environment, user and networks of its containers."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    volumes: tuple[tuple[str, str], ...]  # a volume's name or a path on the host, and its path in the container
    networks: Mapping[str, tuple[str, ...]]  # with the aliases of the service in each
    user: str
    health: tuple[str, ...]
    stop_signal: str
    replicas: int


def services(environment: Mapping[str, str], path: Path = ROOT / "docker-compose.yml") -> dict[str, Service]:
    """Return the services that `docker compose up` starts with this environment, by name."""
    given: dict[str, Any] = yaml.safe_load(path.read_text())
    profiles = set(environment.get("COMPOSE_PROFILES", "").split(","))
    chosen = {
        name: _substitute(service, environment)
        for name, service in given["services"].items()
        if not service.get("profiles") or profiles & set(service["profiles"])
    }
    return {name: _service(name, service, environment) for name, service in chosen.items()}


def _service(name: str, given: Mapping[str, Any], environment: Mapping[str, str]) -> Service:
    pairs = [text.removesuffix(":ro").rsplit(":", 1) for text in given.get("volumes", [])]
    networks = given["networks"]
    aliases = networks if isinstance(networks, dict) else dict.fromkeys(networks)
    own = {key: environment.get(key) if value is None else value for key, value in given["environment"].items()}
    return Service(
        name=name,
        command=tuple(given["command"]),
        environment={key: str(value) for key, value in own.items() if value is not None},
        volumes=tuple((source, target) for source, target in pairs),
        networks={network: tuple((options or {}).get("aliases", ())) for network, options in aliases.items()},
        user=given["user"],
        health=tuple(given["healthcheck"]["test"][1:]),
        stop_signal=given.get("stop_signal", "SIGTERM"),
        replicas=int(given.get("deploy", {}).get("replicas", 1)),
    )


def _substitute(value: Any, environment: Mapping[str, str]) -> Any:
    """Return the value with its variables replaced from the environment, as compose does it."""
    if isinstance(value, dict):
        return {key: _substitute(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_substitute(inner, environment) for inner in value]
    return VARIABLE.sub(lambda found: _variable(found, environment), value) if isinstance(value, str) else value


def _variable(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, rule, word = found.groups()
    value = environment.get(name, "")
    if not value and rule == ":?":
        raise KeyError(f"{name} is not set: {word}")
    return value or (word if rule == ":-" else "")

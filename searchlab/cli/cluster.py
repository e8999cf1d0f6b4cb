"""`searchlab cluster init`: the file of secrets that docker-compose.yml reads and a client sources."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from searchlab.cli.output import Output, json_option
from searchlab.errors import UserMistake, WorldFault

USER = "searchlab"  # of PostgreSQL, and the administrator of MLflow's accounts
HEADER = "# Written by `searchlab cluster init`: docker compose reads it by itself, Kubernetes as --from-env-file."
CLIENT = "# What a client needs: set -a; . ./.env; set +a"


@click.group("cluster")
def cluster_command() -> None:
    """Set up a cluster of Ray, MLflow and PostgreSQL (docs/cluster.md)."""


@cluster_command.command("init")
@click.option("--folder", default=".", show_default=True, help="Where docker-compose.yml lies.")
@click.option("--open", "without_accounts", is_flag=True, help="MLflow without accounts: whoever reaches it may write.")
@click.option("--force", is_flag=True, help="Write new secrets over those of an earlier init.")
@json_option
def init_command(folder: str, without_accounts: bool, force: bool, as_json: bool) -> None:
    """Write .env: a token for Ray, passwords for PostgreSQL and MLflow, and what a client needs."""
    output, place = Output(as_json), Path(folder)
    path, profile = place / ".env", "open" if without_accounts else "auth"
    compose = (place / "docker-compose.yml").exists()
    replaced = path.exists()
    _write(path, environment(profile), force)
    if compose:
        _make_data_folder(place / "data")
    _tell(output, path, compose, replaced)
    output.result({"file": str(path), "profile": profile, "compose": compose, "replaced": replaced})


def environment(profile: str) -> str:
    """The text of .env, with secrets that never were before; plain NAME=VALUE, which every reader takes alike."""
    password = secrets.token_urlsafe(24)  # these letters need no quoting, neither in a URL nor in a shell
    cluster = {
        "COMPOSE_PROFILES": profile,
        "RAY_AUTH_TOKEN": secrets.token_urlsafe(32),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
    }
    client = {
        "RAY_AUTH_MODE": "token",
        "RAY_ADDRESS": "http://127.0.0.1:8265",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": password,
    }
    return "\n".join([HEADER, *_lines(cluster), "", CLIENT, *_lines(client), ""])


def _lines(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


def _write(path: Path, text: str, force: bool) -> None:
    """Make a file that at no moment anyone else can read; an earlier one stays whole until the new one is."""
    target = path.with_name(".env.new") if force else path
    try:
        if force:
            target.unlink(missing_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        target.replace(path)
    except FileExistsError as error:
        raise UserMistake(
            f"{path} is there already, and a running cluster may live by it; --force replaces it."
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserMistake(f"there is no folder {path.parent}; name the one that holds docker-compose.yml.") from error
    except OSError as error:
        raise WorldFault(f"{path} cannot be written ({error.strerror}); nothing was changed.") from error


def _make_data_folder(path: Path) -> None:
    """As open as /tmp, since containers fetch data sets as a user of their own; Docker would make it root's."""
    if not path.exists():
        path.mkdir()
        path.chmod(0o1777)


def _tell(output: Output, path: Path, compose: bool, replaced: bool) -> None:
    def say(line: str) -> None:
        output.console.print(line, soft_wrap=True, markup=False)

    say(f"wrote {path}: new secrets, for your eyes alone")
    if replaced:
        say("a database that exists keeps its earlier passwords: docs/cluster.md says how to change them.")
    if not compose:
        say(f"there is no docker-compose.yml in {path.parent.resolve()}: copy it there, or init again where it is.")
    say("\nin that folder:")
    say("  docker compose up -d --build                 start the cluster")
    say("  docker compose up -d --scale ray-worker=4    with so many workers")
    say(
        "  set -a; . ./.env; set +a                     point this shell at it: searchlab submit SPEC, list, watch NAME"
    )

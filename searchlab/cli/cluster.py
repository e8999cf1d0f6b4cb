"""`searchlab cluster init`: the file of secrets that docker-compose.yml reads and that a client's shell sources."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from searchlab.cli.output import Output, json_option
from searchlab.errors import UserMistake, WorldFault

USER = "searchlab"  # the administrator of MLflow's accounts
CONTAINER_USER = 10001  # and its group, of all containers but PostgreSQL's
HEADER = "# Written by `searchlab cluster init`; read by docker compose, and by Kubernetes with --from-env-file."
DATABASE_PASSWORDS = (  # of the administrator, and of the roles of deploy/postgres/roles.sql
    "POSTGRES_PASSWORD",
    "POSTGRES_MLFLOW_PASSWORD",
    "POSTGRES_OPTUNA_PASSWORD",
    "POSTGRES_DASHBOARD_PASSWORD",
)
CLIENT_HEADER = "# Variables for a client: set -a; . ./.env; set +a"
START_HELP = """
in that folder:
  docker compose up -d --build                 start the cluster
  docker compose up -d --scale ray-worker=4    start it with 4 workers
  set -a; . ./.env; set +a                     use it from this shell: searchlab submit SPEC, list, watch NAME"""


@click.group("cluster")
def cluster_command() -> None:
    """Set up a cluster of Ray, MLflow and PostgreSQL (docs/cluster.md)."""


@cluster_command.command("init")
@click.option("--folder", default=".", show_default=True, metavar="FOLDER", help="Folder of docker-compose.yml.")
@click.option("--open", "without_accounts", is_flag=True, help="Run MLflow without accounts: everyone may write.")
@click.option("--force", is_flag=True, help="Replace the secrets of an earlier init.")
@json_option
def init_command(folder: str, without_accounts: bool, force: bool, as_json: bool) -> None:
    """Write .env: a token for Ray, passwords for PostgreSQL and MLflow, and the variables that a client needs."""
    output, path, profile = Output(as_json), Path(folder) / ".env", "open" if without_accounts else "auth"
    has_compose, is_replaced = (path.parent / "docker-compose.yml").exists(), path.exists()
    group = CONTAINER_USER if os.geteuid() == 0 else os.getgid()
    _write(path, environment(profile, group), force)
    if has_compose:
        _create_data_folder(path.parent / "data")
    _print(output, path, has_compose, is_replaced)
    output.result({"file": str(path), "profile": profile, "compose": has_compose, "replaced": is_replaced})


def environment(profile: str, data_group: int) -> str:
    """Return the text of .env with new secrets, as plain NAME=VALUE lines, which every reader understands alike.

    Args:
        profile: Profile of docker-compose.yml, auth or open.
        data_group: Group that may write to the folder of data sets; containers are members of it.
    """
    password = secrets.token_urlsafe(24)  # its letters need no quotes, neither in a URL nor in a shell
    cluster = {
        "COMPOSE_PROFILES": profile,
        "RAY_AUTH_TOKEN": secrets.token_urlsafe(32),
        **{name: secrets.token_urlsafe(24) for name in DATABASE_PASSWORDS},
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
        "SEARCHLAB_DATA_GROUP": str(data_group),
    }
    client = {
        "RAY_AUTH_MODE": "token",
        "RAY_ADDRESS": "http://127.0.0.1:8265",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": password,
    }
    return "\n".join([HEADER, *_lines(cluster), "", CLIENT_HEADER, *_lines(client), ""])


def _lines(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


def _write(path: Path, text: str, force: bool) -> None:
    """Write a file that no other user can read at any moment; an existing one is replaced as a whole."""
    target = path.with_name(".env.new") if force else path
    try:
        if force:
            target.unlink(missing_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        target.replace(path)
    except FileExistsError as error:
        raise UserMistake(f"{path} exists, and a running cluster may use its secrets; --force replaces it.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserMistake(f"there is no folder {path.parent}; give the folder of docker-compose.yml.") from error
    except OSError as error:
        raise WorldFault(f"{path} cannot be written ({error.strerror}); nothing was changed.") from error


def _create_data_folder(path: Path) -> None:
    """Create a folder that this user and the containers may write to, and nobody else.

    Containers download data sets as a user of their own, who is a member of this user's group; new files get the
    group of the folder. Docker would create the folder for root alone.
    """
    if not path.exists():
        path.mkdir(0o700)
        if os.geteuid() == 0:
            os.chown(path, CONTAINER_USER, CONTAINER_USER)
        path.chmod(0o2770)


def _print(output: Output, path: Path, has_compose: bool, is_replaced: bool) -> None:
    lines = [f"wrote {path}: new secrets, which only you can read"]
    if is_replaced:
        lines.append("a database that exists keeps its old passwords; docs/cluster.md says how to set the new ones")
    if not has_compose:
        folder = path.parent.resolve()
        lines.append(f"there is no docker-compose.yml in {folder}: copy it there, or run init in its folder")
    output.console.print("\n".join([*lines, START_HELP]), soft_wrap=True, markup=False)

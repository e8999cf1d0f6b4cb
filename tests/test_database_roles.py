"""The roles of the database: each service reaches what is its own, and Optuna's dashboard can only read."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import psycopg
import pytest

from searchlab.study.storage.opening import open_owned
from tests import postgres
from tests.conftest import ROOT
from tests.postgres import PASSWORD, USER, Postgres
from tests.waiting import DEADLINE

ROLES = Path(__file__).parents[1] / "deploy" / "postgres" / "roles.sql"
SECRETS = {
    "POSTGRES_PASSWORD": PASSWORD,
    "POSTGRES_MLFLOW_PASSWORD": "of-mlflow's",
    "POSTGRES_OPTUNA_PASSWORD": "of-optuna",
    "POSTGRES_DASHBOARD_PASSWORD": "of-dashboard",
}


def run_script(server, **passwords):
    """Run the script as the image's entrypoint does, and return what it printed."""
    environment = {**os.environ, **SECRETS, **passwords, "PGPASSWORD": PASSWORD}
    command = [
        "psql",
        "-h",
        server.host,
        "-p",
        str(server.port),
        "-U",
        USER,
        "-d",
        "mlflow",
        "--no-psqlrc",
        "-f",
        ROLES,
    ]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def server():
    """A server with the databases, and with a study that a sweep has stored."""
    if reason := postgres.unavailable_reason():
        pytest.skip(reason)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with Postgres() as running:
        running.create("mlflow")
        run_script(running)
        storage = open_owned(address(running, "optuna", "optuna"), "digits")
        study = optuna.create_study(study_name="digits", storage=storage)
        study.add_trial(optuna.trial.create_trial(value=0.5))
        storage.close()
        yield running


def address(server, role, database):
    """Return the URL that a role uses for a database."""
    password = SECRETS[f"POSTGRES_{role.upper()}_PASSWORD"]
    return f"postgresql+psycopg://{role}:{password}@{server.host}:{server.port}/{database}"


def execute(server, role, database, statement, **options):
    """Execute a statement as this role; return its rows."""
    password = SECRETS.get(f"POSTGRES_{role.upper()}_PASSWORD", PASSWORD)
    settings = {"host": server.host, "port": server.port, "user": role, "password": password, "dbname": database}
    with psycopg.connect(**settings | options, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("mlflow", "optuna"),
        ("optuna", "mlflow"),
        ("dashboard", "mlflow"),
        ("mlflow", "postgres"),
        ("dashboard", "postgres"),
    ],
)
def test_a_role_does_not_reach_the_database_of_another(role, database, server):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        execute(server, role, database, "SELECT 1")


@pytest.mark.parametrize("role", ["mlflow", "optuna"])
def test_a_role_owns_its_database_and_nothing_else(role, server):
    execute(server, role, role, "CREATE TABLE own (a int); INSERT INTO own VALUES (1); DROP TABLE own")
    rights = (
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = %s"
    )
    assert execute(server, USER, role, rights.replace("%s", f"'{role}'")) == [(False,) * 5]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(server, role, role, "COPY (SELECT 1) TO PROGRAM 'true'")


def test_the_dashboard_reads_studies_and_changes_none(server):
    assert execute(server, "dashboard", "optuna", "SELECT name FROM searchlab_studies") == [("digits",)]
    assert execute(server, "dashboard", "optuna", "SELECT count(*) > 0 FROM searchlab_journal") == [(True,)]
    writes = [
        "DELETE FROM searchlab_journal",
        "UPDATE searchlab_studies SET name = 'other'",
        "INSERT INTO searchlab_studies (name) VALUES ('new')",
        "DROP TABLE searchlab_journal",
        "CREATE TABLE own (a int)",
        "CREATE TEMPORARY TABLE own (a int)",
    ]
    for options in ("", "-c default_transaction_read_only=off"):
        for statement in writes:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                execute(server, "dashboard", "optuna", statement, options=options)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):  # by its rights, and not only by its session's default
        execute(
            server,
            "dashboard",
            "optuna",
            "DELETE FROM searchlab_journal",
            options="-c default_transaction_read_only=off",
        )


def test_a_table_that_a_later_version_creates_can_be_read_too(server):
    execute(server, "optuna", "optuna", "CREATE TABLE later (a int)")
    assert execute(server, "dashboard", "optuna", "SELECT * FROM later") == []
    execute(server, "optuna", "optuna", "DROP TABLE later")


def test_the_script_run_again_sets_new_passwords_and_prints_none(server):
    changed = {"POSTGRES_MLFLOW_PASSWORD": "another-one"}
    printed = run_script(server, **changed)
    assert not [secret for secret in (*SECRETS.values(), *changed.values()) if secret in printed]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        execute(server, "mlflow", "mlflow", "SELECT 1")
    run_script(server)
    assert execute(server, "mlflow", "mlflow", "SELECT 1") == [(1,)]
    assert execute(server, "optuna", "optuna", "SELECT name FROM searchlab_studies") == [("digits",)]


@pytest.mark.slow
def test_optunas_dashboard_works_with_its_role(server):
    """It shows the study, and a request that would delete it changes nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"postgresql+psycopg://dashboard@{server.host}:{server.port}/optuna"
    command = [sys.executable, "-m", "searchlab.study.dashboard", url, str(port), "0.0.0.0"]  # noqa: S104, as its container
    environment = {**os.environ, "PGPASSWORD": SECRETS["POSTGRES_DASHBOARD_PASSWORD"]}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        studies = f"http://127.0.0.1:{port}/api/studies"
        assert b"digits" in wait_for_answer(studies, process)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(f"{studies}/0", method="DELETE", data=b"{}"))
        with error.value:
            assert error.value.code == 500
        assert execute(server, "optuna", "optuna", "SELECT name FROM searchlab_studies") == [("digits",)]
    finally:
        process.terminate()
        process.wait(DEADLINE)


def wait_for_answer(url, process):
    """Return the answer of a server that is starting."""
    deadline = time.monotonic() + DEADLINE
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            return urllib.request.urlopen(url).read()
        except urllib.error.URLError:
            time.sleep(0.2)

"""Names of folders, files and sweeps: any path that the operating system takes, and no sweep outside of its home."""

from __future__ import annotations

import json

import numpy as np
import pytest

import searchlab
from searchlab import artifact
from searchlab.cluster.temporary_folder import validate_temporary_folder
from searchlab.errors import UserMistake
from searchlab.runs.config import numbered, validate_name
from searchlab.runs.urls import sqlite_path, sqlite_url
from searchlab.runs.workspace import Workspace
from tests.command_line import error_message, run_cli, write_sweep_file
from tests.mlflow_server import artifact_sizes, download_from_ui

ODD = """o d%20%41?a=1#b'"é&%"""
TEXT = f"""
from models.mlp import MLP
from searchlab import *
sweep = Sweep(
    name="mine", data=Csv({ODD!r} + ".csv", target="kind"), validation=KFold(2), metric=Accuracy(),
    model=Space(MLP, hidden=Int(2, 6)), optimizer=Space(SGD, lr=0.5), training=Space(Trainer, batch_size=10, epochs=2),
    trials=2,
)
"""
WRONG_NAMES = ["../x", "a/b", "it's", "x" * 300, "", ".", "é"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "tune"])
def test_a_sweep_runs_in_folders_of_any_name(tmp_path, free_port, engine):
    project, home = tmp_path / f"project {ODD}", tmp_path / f"home {ODD}"
    project.mkdir()
    path = write_sweep_file(project, TEXT)
    rows = np.random.default_rng(0).standard_normal((40, 2))
    (project / f"{ODD}.csv").write_text("a,b,kind\n" + "\n".join(f"{a},{b},{'xy'[int(b > 0)]}" for a, b in rows))
    finished = run_cli("run", path, "--engine", engine, "--workers", "1", "--json", cwd=project, home=home)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout.splitlines()[-1])
    extended = run_cli("resume", "mine", "--trials", "3", "--json", cwd=project, home=home)
    assert extended.returncode == 0, extended.stderr
    opened = searchlab.open("mine", home=home)
    assert len(opened.trials) == 3
    assert artifact.load(opened.artifact)
    assert {folder.name for folder in tmp_path.iterdir()} == {project.name, home.name}, "nothing was written beside"
    sizes = artifact_sizes(home, "mine")
    assert {"winner/weights.npz", "report/report.html", path.name} <= set(sizes)
    if engine == "local":
        download_from_ui(home, free_port, result["run_id"], sizes)


@pytest.mark.parametrize("name", ["plain", "a b", ODD, "100%", "%", "a?b#c"])
def test_the_url_of_a_database_names_its_file_whatever_its_folder_is_called(tmp_path, name):
    database = tmp_path / name / "mlflow.db"
    assert sqlite_path(sqlite_url(database)) == database
    if name in ("plain", "a b"):
        assert sqlite_url(database) == f"sqlite:///{database}"


@pytest.mark.parametrize("name", WRONG_NAMES)
@pytest.mark.parametrize(
    "command", [("resume",), ("watch",), ("stop",), ("report",), ("replay",), ("run", "SPEC", "--name")]
)
def test_no_command_takes_a_name_that_no_sweep_can_have(tmp_path, command, name):
    home = tmp_path / "home"
    words = [str(write_sweep_file(tmp_path, TEXT)) if word == "SPEC" else word for word in command]
    (home / "x").mkdir(parents=True)
    (home / "x" / "sweep.json").write_text("{}")
    assert "up to 64 letters" in error_message(run_cli(*words, name, home=home), 2)
    assert not list(home.glob("sweeps/*"))
    with pytest.raises(UserMistake):
        Workspace.at(home).sweep(name)


def test_a_number_is_added_within_the_longest_name():
    for name in ("a", "x" * 64):
        validate_name(numbered(name, 12))
        assert numbered(name, 12).endswith("-12")


def test_a_temporary_folder_that_is_too_long_for_rays_sockets_is_told_before_anything_is_written(tmp_path, monkeypatch):
    long = tmp_path / ("t" * 120)
    long.mkdir()
    path = write_sweep_file(tmp_path, TEXT)
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(long))
        patch.delenv("RAY_TMPDIR", raising=False)
        message = error_message(run_cli("run", path, "--engine", "tune", home=tmp_path / "home"), 2)
        assert "RAY_TMPDIR=/tmp" in message
        assert "bytes" in message
        assert not list((tmp_path / "home").glob("*/*"))
        patch.setenv("RAY_TMPDIR", "/tmp")
        validate_temporary_folder()


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_the_length_of_a_temporary_folder_counts_in_bytes(variable, monkeypatch, tmp_path):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    validate_temporary_folder()
    monkeypatch.setenv(variable, "/tmp")
    validate_temporary_folder()
    monkeypatch.setenv(variable, f"/tmp/{'é' * 25}")
    with pytest.raises(UserMistake, match=f"{variable} is .* at most [0-9]+ bytes"):
        validate_temporary_folder()
    monkeypatch.setenv(variable, "/tmp/no-such")
    with pytest.raises(UserMistake, match="no folder"):
        validate_temporary_folder()

"""A home folder, a project or a sweep file that was moved: everything is found where it is now."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from mlflow import MlflowClient

import searchlab
from searchlab import artifact
from searchlab.engine import worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.runner.changed_code import accept_code
from searchlab.runner.resume import resume
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.project_archive import copy_project
from searchlab.runs.workspace import Workspace
from searchlab.space import loader
from searchlab.tracking.moved_artifacts import adopt_artifacts
from tests.command_line import error_message, run_cli, write_sweep_file
from tests.conftest import ROOT
from tests.jobs import make_manifest, run
from tests.mlflow_server import artifact_sizes, download_from_ui, store_uri
from tests.sweeps import spiral_sweep

TEXT = """
from pathlib import Path
from models.mlp import MLP
from searchlab import *
sweep = Sweep(
    name="mine", data=Csv(Path(__file__).parent / "rows.csv", target="kind"), validation=KFold(2), metric=Accuracy(),
    model=Space(MLP, hidden=Int(2, 6)), optimizer=Space(SGD, lr=0.5), training=Space(Trainer, batch_size=10, epochs=2),
    trials=3,
)
"""


@pytest.fixture
def project(tmp_path):
    """A project whose sweep file names its data by an absolute path."""
    root = tmp_path / "project"
    root.mkdir()
    write_sweep_file(root, TEXT)
    rows = np.random.default_rng(0).standard_normal((40, 2))
    (root / "rows.csv").write_text("a,b,kind\n" + "\n".join(f"{a},{b},{'up' if b > 0 else 'down'}" for a, b in rows))
    return root


def move(old, new):
    """Move a folder, and put a file in its old place, where nothing may be read or written any more."""
    new.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(old, new)
    old.write_text("")


def run_partly(monkeypatch, **options):
    """Run a sweep whose second group cannot be trained."""
    train, trained = worker.Worker.train, []

    def train_only_one(self, group):
        if trained:
            raise WorldFault("the disk is full")
        trained.append(group)
        train(self, group)

    with monkeypatch.context() as patch:
        patch.setattr(worker.Worker, "train", train_only_one)
        with pytest.raises(WorldFault, match="disk is full"):
            run(engine="local", tracking="mlflow", fuse=1, **options)


@pytest.mark.slow
def test_a_moved_home_has_its_sweeps_and_their_record_where_it_is_now(project, tmp_path, monkeypatch, free_port):
    old, new = tmp_path / "home", tmp_path / "far" / "new home"
    finished = run(spiral_sweep(2, name="done"), home=old, engine="local", tracking="mlflow")
    loaded = loader.load(project / "mine.py")
    run_partly(monkeypatch, sweep=loaded.sweep, spec=loaded.path, home=old)
    before = artifact_sizes(old, "done")
    assert "winner/weights.npz" in before
    move(old, new)

    listed = json.loads(run_cli("list", "--json", home=new).stdout.splitlines()[-1])["sweeps"]
    assert {one["sweep"]: one["state"] for one in listed} == {"done": "finished", "mine": "interrupted"}
    opened = searchlab.open("done", home=new)
    assert opened.tracking_uri == store_uri(new)
    assert {opened.artifact.parents[2], opened.report.parents[2]} == {new}
    assert opened.best.value == finished.best.value
    assert artifact.load(opened.artifact)
    assert run_cli("report", "done", home=new).returncode == 0
    assert str(old) + "/" not in opened.report.read_text()
    download_from_ui(new, free_port, opened.run_id, before)

    resumed = resume("mine", home=new)
    assert len(resumed.trials) == 3
    assert resumed.artifact.is_relative_to(new)
    assert artifact_sizes(new, "mine")["winner/weights.npz"] == (resumed.artifact / "weights.npz").stat().st_size
    assert artifact_sizes(new, "done") == before
    assert len(resume("done", home=new, trials=3, sweep=spiral_sweep(2, name="done")).trials) == 3
    assert old.is_file(), "nothing was written to the old place"


@pytest.mark.slow
def test_a_copied_home_leaves_the_record_of_the_original_alone(tmp_path):
    old, new = tmp_path / "home", tmp_path / "copy"
    run(spiral_sweep(1, name="done"), home=old, engine="local", tracking="mlflow")
    shutil.copytree(old, new)
    adopt_artifacts(new / "mlflow.db", new)
    assert artifact_sizes(new, "done") == artifact_sizes(old, "done")
    shared = old / "mlflow.db"  # another home whose sweeps were recorded in this store
    other = tmp_path / "other"
    run(spiral_sweep(1, name="theirs"), home=other, engine="local", tracking="mlflow", tracking_uri=store_uri(old))
    adopt_artifacts(shared, old)
    location = MlflowClient(store_uri(old)).get_experiment_by_name("theirs").artifact_location
    assert location == (other / "mlartifacts" / "theirs").as_uri()


def start(path, home, **options):
    """Store the manifest of a sweep file, as a run that was killed before its first trial leaves it."""
    loaded = loader.load(path)
    manifest = make_manifest(loaded.sweep, 3, spec=str(path), engine="local", tracking=None, **options)
    manifest.save(Workspace.at(home).sweep("mine"))


@pytest.mark.slow
def test_a_project_that_was_moved_with_its_home_needs_no_option(project, tmp_path):
    start(project / "mine.py", project / ".searchlab")
    move(project, tmp_path / "elsewhere" / "moved")
    moved = tmp_path / "elsewhere" / "moved"
    assert len(resume("mine", home=moved / ".searchlab").trials) == 3, "the path of the data does not count"
    assert SweepManifest.load(Workspace.at(moved / ".searchlab").sweep("mine")).spec == str(moved / "mine.py")


@pytest.mark.slow
def test_a_sweep_file_that_was_moved_is_named_by_an_option(project, tmp_path):
    home = tmp_path / "home"
    start(project / "mine.py", home)
    (project / "search_spaces").mkdir()
    (project / "rows.csv").rename(project / "search_spaces" / "rows.csv")
    (project / "mine.py").rename(project / "search_spaces" / "ours.py")
    message = error_message(run_cli("resume", "mine", home=home), 2)
    assert "mine.py" in message
    assert "--spec FILE" in message
    finished = run_cli("resume", "mine", "--spec", project / "search_spaces" / "ours.py", "--json", home=home)
    assert finished.returncode == 0, finished.stderr
    assert len(resume("mine", home=home, trials=4).trials) == 4, "the new path is kept"


def test_a_file_given_as_the_moved_sweep_file_must_be_of_the_same_sweep(project, tmp_path):
    start(project / "mine.py", tmp_path / "home")
    (project / "other.py").write_text(TEXT.replace("Int(2, 6)", "Int(2, 7)"))
    with pytest.raises(UserMistake, match=r"another space than .*other\.py"):
        resume("mine", home=tmp_path / "home", spec=project / "other.py")
    with pytest.raises(UserMistake, match=r"no sweep file .*nowhere\.py"):
        resume("mine", home=tmp_path / "home", spec=project / "nowhere.py")


def test_the_copied_project_of_a_cluster_moves_with_its_home(project, tmp_path):
    (project / "models").unlink()
    (project / "models").mkdir()
    (project / "models" / "mlp.py").write_text((ROOT / "models" / "mlp.py").read_text())
    old, new = tmp_path / "home", tmp_path / "new"
    folder = Workspace.at(old).sweep("mine")
    copy_project(project, folder.project)
    start(folder.project / "mine.py", old, address="auto")
    move(old, new)
    folder = Workspace.at(new).sweep("mine")
    manifest = SweepManifest.load(folder)
    assert manifest.spec_path() == folder.project / "mine.py"
    assert manifest.project_root(folder) == folder.project
    sweep = loader.load(manifest.spec_path()).sweep
    assert manifest.describes(sweep)
    assert accept_code(manifest, sweep, folder, accept_changes=False).code

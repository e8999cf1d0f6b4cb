"""Addresses in the manifest of a sweep: they are stored without passwords, and validated."""

import pytest

from searchlab.cluster.address import validate_address
from searchlab.engine.shared_folder import create_marker, validate_visible
from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import Workspace
from tests.jobs import make_manifest
from tests.sweeps import spiral_sweep

DATABASE = "postgresql+psycopg://me:hunter2@database:5432/optuna"
MLFLOW = "https://me:hunter2@server/mlflow"


def manifest(**options):
    return make_manifest(spiral_sweep(name="s"), storage=DATABASE, tracking_uri=MLFLOW, **options)


def test_a_manifest_is_saved_without_the_password_which_is_added_from_the_environment(tmp_path):
    manifest().save(Workspace.at(tmp_path).sweep("s"))
    assert "hunter2" not in (tmp_path / "sweeps" / "s" / "sweep.json").read_text()
    assert SweepManifest.load(Workspace.at(tmp_path).sweep("s")).config.storage == DATABASE.replace(":hunter2", "")
    assert SweepManifest.load(Workspace.at(tmp_path, DATABASE).sweep("s")).config.storage == DATABASE
    other = DATABASE.replace("@database", "@other")
    loaded = SweepManifest.load(Workspace.at(tmp_path, other).sweep("s"))
    assert "hunter2" not in loaded.config.storage, "the password of another server must not be used"


def test_a_workspace_does_not_show_the_password(tmp_path):
    workspace = Workspace.at(tmp_path, DATABASE)
    assert "hunter2" not in repr(workspace)
    assert "hunter2" not in repr(workspace.sweep("s"))


def test_sweeps_with_the_same_checkpoint_location_use_separate_folders(tmp_path):
    folder = Workspace.at(tmp_path).sweep("s")
    first, second = (manifest(checkpoints="s3://bucket/prefix/").checkpoints_of(folder) for _ in range(2))
    assert first != second
    assert first.startswith("s3://bucket/prefix/s-")
    assert manifest(checkpoints=str(tmp_path / "c")).checkpoints_of(folder).parent == tmp_path / "c"
    assert manifest().checkpoints_of(folder) == folder.checkpoints


def test_a_checkpoint_folder_that_this_node_does_not_see_is_reported(tmp_path):
    create_marker(tmp_path / "shared")
    validate_visible(tmp_path / "shared")
    with pytest.raises(WorldFault, match="does not see"):
        validate_visible(tmp_path / "another")
    assert not (tmp_path / "another").exists(), "a new folder would hide the mistake"


@pytest.mark.parametrize(
    ("address", "storage", "checkpoints", "hint"),
    [
        ("http://head:8265", None, None, "`searchlab submit SPEC --address http://head:8265`"),
        ("ray://head:10001", DATABASE, None, "--checkpoints"),
        ("ray://head:10001", None, "s3://b", "--storage"),
    ],
)
def test_an_address_that_a_run_cannot_use_is_rejected(address, storage, checkpoints, hint):
    with pytest.raises(UserMistake, match=hint):
        validate_address(address, storage, checkpoints)


@pytest.mark.parametrize(
    ("address", "storage", "checkpoints"),
    [
        (None, None, None),
        ("auto", None, None),
        ("head:6379", None, None),
        ("ray://head:10001", DATABASE, "s3://b"),
    ],
)
def test_an_address_that_a_run_can_use_is_accepted(address, storage, checkpoints):
    validate_address(address, storage, checkpoints)

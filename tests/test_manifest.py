"""What a sweep's folder tells of its servers: where they are, and no password."""

import pytest

from searchlab.cluster.address import validate_address
from searchlab.engine.shared_folder import create_marker, validate_visible
from searchlab.errors import UserMistake
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import Workspace
from tests.jobs import make_manifest
from tests.sweeps import spiral_sweep

DATABASE = "postgresql+psycopg://me:hunter2@there:5432/optuna"
RECORD = "https://me:hunter2@there/mlflow"


def manifest(**changes):
    return make_manifest(spiral_sweep(name="s"), storage=DATABASE, tracking_uri=RECORD, **changes)


def test_a_folder_holds_no_password_and_gets_it_back_from_the_environment(tmp_path):
    manifest().save(Workspace.at(tmp_path).sweep("s"))
    assert "hunter2" not in (tmp_path / "sweeps" / "s" / "sweep.json").read_text()
    assert SweepManifest.load(Workspace.at(tmp_path).sweep("s")).config.storage == DATABASE.replace(":hunter2", "")
    assert SweepManifest.load(Workspace.at(tmp_path, DATABASE).sweep("s")).config.storage == DATABASE
    other = DATABASE.replace("there", "elsewhere")
    assert "hunter2" not in SweepManifest.load(Workspace.at(tmp_path, other).sweep("s")).config.storage, (
        "another's password is not given away"
    )


def test_a_home_and_its_folders_show_no_password(tmp_path):
    home = Workspace.at(tmp_path, DATABASE)
    assert "hunter2" not in repr(home)
    assert "hunter2" not in repr(home.sweep("s"))


def test_checkpoints_of_a_place_for_all_sweeps_lie_apart(tmp_path):
    folder = Workspace.at(tmp_path).sweep("s")
    one, two = (manifest(checkpoints="s3://bucket/there/").checkpoints_of(folder) for _ in range(2))
    assert one != two
    assert one.startswith("s3://bucket/there/s-")
    assert manifest(checkpoints=str(tmp_path / "c")).checkpoints_of(folder).parent == tmp_path / "c"
    assert manifest().checkpoints_of(folder) == folder.checkpoints


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path):
    from searchlab.errors import WorldFault

    create_marker(tmp_path / "shared")
    validate_visible(tmp_path / "shared")
    with pytest.raises(WorldFault, match="does not see"):
        validate_visible(tmp_path / "another")
    assert not (tmp_path / "another").exists(), "a folder of its own would only hide it"


@pytest.mark.parametrize(
    ("address", "given", "told"),
    [
        ("http://head:8265", (None, None), "`searchlab submit SPEC --address http://head:8265`"),
        ("ray://head:10001", (DATABASE, None), "--checkpoints"),
        ("ray://head:10001", (None, "s3://b"), "--storage"),
    ],
)
def test_an_address_that_cannot_be_driven_from_here_is_refused(address, given, told):
    with pytest.raises(UserMistake, match=told):
        validate_address(address, *given)


def test_addresses_that_can_be_driven_pass():
    for address in (None, "auto", "head:6379"):
        validate_address(address, None, None)
    validate_address("ray://head:10001", DATABASE, "s3://b")

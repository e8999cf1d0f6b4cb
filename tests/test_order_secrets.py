"""What a sweep's folder tells of its servers: where they are, and no password."""

import pytest

from searchlab.errors import UserMistake
from searchlab.service.cluster.address import refuse_address
from searchlab.service.cluster.visible import mark, refuse_unseen
from searchlab.service.home import Home
from searchlab.service.order import Order
from tests.sweeps import spiral_sweep

DATABASE = "postgresql+psycopg://me:hunter2@there:5432/optuna"
RECORD = "https://me:hunter2@there/mlflow"


def order(**changes):
    sweep = spiral_sweep()
    return Order("s", 6, sweep.fingerprint(), sweep.describe(), storage=DATABASE, tracking_uri=RECORD, **changes)


def test_a_folder_holds_no_password_and_gets_it_back_from_the_environment(tmp_path):
    order().keep(Home.at(tmp_path).sweep("s"))
    assert "hunter2" not in (tmp_path / "sweeps" / "s" / "sweep.json").read_text()
    assert Order.of(Home.at(tmp_path).sweep("s")).storage == DATABASE.replace(":hunter2", "")
    assert Order.of(Home.at(tmp_path, DATABASE).sweep("s")).storage == DATABASE
    other = DATABASE.replace("there", "elsewhere")
    assert "hunter2" not in Order.of(Home.at(tmp_path, other).sweep("s")).storage, (
        "another's password is not given away"
    )


def test_a_home_and_its_folders_show_no_password(tmp_path):
    home = Home.at(tmp_path, DATABASE)
    assert "hunter2" not in repr(home)
    assert "hunter2" not in repr(home.sweep("s"))


def test_checkpoints_of_a_place_for_all_sweeps_lie_apart(tmp_path):
    folder = Home.at(tmp_path).sweep("s")
    one, two = (order(checkpoints="s3://bucket/there/").checkpoints_of(folder) for _ in range(2))
    assert one != two
    assert one.startswith("s3://bucket/there/s-")
    assert order(checkpoints=str(tmp_path / "c")).checkpoints_of(folder).parent == tmp_path / "c"
    assert order().checkpoints_of(folder) == folder.checkpoints


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path):
    from searchlab.errors import WorldFault

    mark(tmp_path / "shared")
    refuse_unseen(tmp_path / "shared")
    with pytest.raises(WorldFault, match="does not see"):
        refuse_unseen(tmp_path / "another")
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
        refuse_address(address, *given)


def test_addresses_that_can_be_driven_pass():
    for address in (None, "auto", "head:6379"):
        refuse_address(address, None, None)
    refuse_address("ray://head:10001", DATABASE, "s3://b")

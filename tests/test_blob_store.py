"""Checkpoints in a folder or in a bucket: the same states come back, and a store that is away is told in a sentence."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module

import numpy as np
import pytest

from searchlab.engine import checkpoints as kept
from searchlab.engine.blob_store import blob_store_at
from searchlab.engine.checkpoints import Checkpoint, Checkpoints
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Group
from tests.conftest import ROOT
from tests.relay import relay
from tests.test_study import epoch
from tests.test_worker import Dying, Notes, checkpoint, work

KEY, SECRET = "AKIASEARCHLABTEST", "thesecretofthestore"
PLACE = "s3://bucket/sweeps/one"


@pytest.fixture(scope="module")
def store():
    """The port of an S3 store on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.kill()
        server.wait()


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Who asks, and nothing else of Amazon's in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture
def bucket(store, monkeypatch):
    """An empty bucket called bucket, and Amazon's interface to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store}")
    amazon = import_module("pyarrow.fs").S3FileSystem(
        endpoint_override=f"127.0.0.1:{store}", scheme="http", allow_bucket_creation=True, region="us-east-1"
    )
    amazon.create_dir("bucket")
    amazon.delete_dir_contents("bucket")
    return amazon


@pytest.fixture(params=["folder", "path", "bucket"])
def place(request, tmp_path):
    if request.param == "bucket":
        request.getfixturevalue("bucket")
        return PLACE
    return tmp_path / "a" / "b" if request.param == "folder" else str(tmp_path / "a" / "b")


def objects(amazon):
    selector = import_module("pyarrow.fs").FileSelector("bucket", recursive=True)
    return sorted(info.path for info in amazon.get_file_info(selector) if info.is_file)


def test_a_state_comes_back_as_it_was_is_replaced_and_dropped(place):
    checkpoints, group = Checkpoints(place), Group("g", (3,), ({},), 0)
    assert checkpoints.load("g") is None
    assert checkpoints.of(group) is None
    checkpoints.drop("g")
    large = np.arange(3_000_000, dtype=np.float32)  # more than a store takes in one piece
    for state in (np.ones((2, 3), np.float32), large):
        checkpoints.save("g", Checkpoint((3,), checkpoint().reports, {"W": state}))
        back = Checkpoints(place).of(group)
        assert (back.trials, back.epoch) == ((3,), 2)
        np.testing.assert_array_equal(back.state["W"].ravel(), state.ravel())
    checkpoints.drop("g")
    assert checkpoints.load("g") is None


def test_groups_that_were_brought_together_have_their_parts_in_a_bucket(bucket):
    checkpoints = Checkpoints(PLACE)
    for name, number in (("1", 1), ("2", 2)):
        checkpoints.save(name, Checkpoint((number,), (((number,), epoch(1, [0.5])),), {"W": np.full((1, 2), number)}))
    assert objects(bucket) == ["bucket/sweeps/one/1.npz", "bucket/sweeps/one/2.npz"]
    both = checkpoints.of(Group("1+2", (1, 2), ({}, {}), 0, parts=("1", "2")))
    assert both.trials == (1, 2)
    assert both.state["W"].tolist() == [[1, 1], [2, 2]]


def test_a_group_taken_up_from_a_bucket_ends_as_if_unbroken(bucket, tmp_path):
    unbroken = work(tmp_path, Notes(), [0.5, 1.0])
    with pytest.raises(KeyboardInterrupt):
        work(PLACE, Dying(4), [0.5, 1.0], least_seconds=0.0)
    assert Checkpoints(PLACE).load("0").epoch in (1, 2, 3)
    resumed = work(PLACE, Notes(), [0.5, 1.0])
    assert (resumed.reports, resumed.done, resumed.failed) == (unbroken.reports, unbroken.done, unbroken.failed)
    assert objects(bucket) == [], "a group that has ended leaves nothing"


def test_a_place_that_can_be_used_is_left_as_it_was(place, request):
    assert Checkpoints(place).unavailable_reason() is None
    if place == PLACE:
        assert objects(request.getfixturevalue("bucket")) == []
    else:
        assert not list((request.getfixturevalue("tmp_path") / "a" / "b").iterdir())


def check_told(error, *words):
    told = str(error)
    assert not [word for word in words if word not in told], told
    assert "\n" not in told
    assert KEY not in told
    assert SECRET not in told


def test_a_store_that_is_away_is_waited_for_and_then_told(free_port, monkeypatch):
    assert kept.PATIENCE == 60.0
    monkeypatch.setattr(kept, "PATIENCE", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    judge = Notes()
    with pytest.raises(WorldFault) as caught:
        work(PLACE, judge, [0.5])
    check_told(caught.value, PLACE, "has not answered for 0.5 seconds", "connect", "`searchlab resume` goes on")
    assert not judge.failed
    check_told(Checkpoints(PLACE).unavailable_reason(), "connect")


def test_a_store_that_is_away_for_a_moment_ends_nothing(bucket, store, free_port, monkeypatch):
    checkpoints = Checkpoints(PLACE, least_seconds=0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    back, over = threading.Event(), threading.Event()

    def come_back():
        back.wait(2.0)
        with relay(store, free_port):
            over.wait(60)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        before = time.monotonic()
        checkpoints.save("g", checkpoint())
        waited = time.monotonic() - before
    finally:
        back.set()
        over.set()
        thread.join()
    assert waited >= 2.0
    assert checkpoints._next - before < waited + 0.6 * waited / kept.SHARE, "its absence is no cost of writing"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store}")
    assert Checkpoints(PLACE).load("g").epoch == 2


@pytest.mark.parametrize("missing", ["bucket", "keys"])
def test_a_store_that_says_no_is_told_at_once(bucket, monkeypatch, missing):
    place = "s3://nobucket/here" if missing == "bucket" else PLACE
    if missing == "keys":
        Checkpoints(place).save("0", checkpoint())
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    before = time.monotonic()
    told = Checkpoints(place).unavailable_reason()
    check_told(told, place, "NO_SUCH_BUCKET" if missing == "bucket" else "ACCESS_DENIED", "`searchlab resume` goes on")
    judge = Notes()
    with pytest.raises(WorldFault, match=r"cannot be (read|written) \((NO_SUCH_BUCKET|ACCESS_DENIED)") as caught:
        work(place, judge, [0.5], least_seconds=0.0)
    check_told(caught.value, place)
    assert not judge.failed
    assert time.monotonic() - before < 10.0


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    checkpoints = Checkpoints(tmp_path / "a")
    (tmp_path / "a").rmdir()
    assert "cannot be written (No such file or directory)" in checkpoints.unavailable_reason()


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///prefix", f"s3://{KEY}:{SECRET}@bucket/prefix", "gs://bucket/prefix", "s3://Bucket"]
)
def test_what_is_no_bucket_is_a_mistake(url):
    with pytest.raises(UserMistake, match=r"reads s3://BUCKET/PREFIX") as caught:
        blob_store_at(url)
    check_told(caught.value)


def test_a_folder_costs_nothing_of_what_a_bucket_needs():
    code = "import sys; from searchlab.engine.blob_store import *; blob_store_at('.'); print('pyarrow' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, check=True, capture_output=True).stdout
    assert told.strip() == "False"

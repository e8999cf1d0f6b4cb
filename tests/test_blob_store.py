"""Checkpoints in a folder or a bucket: states come back unchanged, and outages are waited for."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import botocore.exceptions
import numpy as np
import pytest

from searchlab.engine import checkpoints as checkpoints_module
from searchlab.engine import s3_store
from searchlab.engine.blob_store import open_blob_store, validate_folder, validate_location, validate_url
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.engine.s3_store import S3Store
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Group
from tests.conftest import ROOT
from tests.relay import relay
from tests.sweeps import spiral_sweep
from tests.test_study import epoch
from tests.waiting import DEADLINE
from tests.workers import KilledStudy, RecordingStudy, make_checkpoint, train_group

KEY, SECRET = "AKIASEARCHLABTEST", "the-secret-access-key"
LOCATION = "s3://bucket/sweeps/one"


@pytest.fixture(scope="module")
def s3_port():
    """The port of an S3 service on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + DEADLINE
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
    """Credentials, and no other variable of the AWS tools."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture
def bucket(s3_port, monkeypatch):
    """An empty bucket called "bucket", as a function that lists its keys."""
    url = f"http://127.0.0.1:{s3_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    client = boto3.session.Session().client("s3", endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket="bucket")

    def keys():
        return sorted(item["Key"] for item in client.list_objects_v2(Bucket="bucket").get("Contents", []))

    for key in keys():
        client.delete_object(Bucket="bucket", Key=key)
    yield keys
    client.close()


@pytest.fixture(params=["folder", "path", "bucket"])
def location(request, tmp_path):
    if request.param == "bucket":
        request.getfixturevalue("bucket")
        return LOCATION
    return tmp_path / "a" / "b" if request.param == "folder" else str(tmp_path / "a" / "b")


def test_a_state_is_saved_replaced_loaded_and_deleted(location):
    checkpoints, group = CheckpointStore(location), Group("g", (3,), ({},), 0)
    assert checkpoints.load("g") is None
    assert checkpoints.load_group(group) is None
    checkpoints.delete("g")
    large = np.arange(3_000_000, dtype=np.float32)  # 12 MB: sent in parts
    for state in (np.ones((2, 3), np.float32), large):
        checkpoints.save("g", Checkpoint((3,), make_checkpoint().reports, {"W": state}))
        loaded = CheckpointStore(location).load_group(group)
        assert (loaded.trials, loaded.epoch) == ((3,), 2)
        np.testing.assert_array_equal(loaded.state["W"].ravel(), state.ravel())
    checkpoints.delete("g")
    assert checkpoints.load("g") is None


def test_a_merged_group_is_loaded_from_its_parts_in_a_bucket(bucket):
    checkpoints = CheckpointStore(LOCATION)
    for name, number in (("1", 1), ("2", 2)):
        checkpoints.save(name, Checkpoint((number,), (((number,), epoch(1, [0.5])),), {"W": np.full((1, 2), number)}))
    assert bucket() == ["sweeps/one/1.npz", "sweeps/one/2.npz"]
    both = checkpoints.load_group(Group("1+2", (1, 2), ({}, {}), 0, merged_groups=("1", "2")))
    assert both.trials == (1, 2)
    assert both.state["W"].tolist() == [[1, 1], [2, 2]]


def test_a_group_resumed_from_a_bucket_ends_as_if_uninterrupted(bucket, tmp_path):
    uninterrupted = train_group(tmp_path, RecordingStudy(), [0.5, 1.0])
    with pytest.raises(KeyboardInterrupt):
        train_group(LOCATION, KilledStudy(4), [0.5, 1.0], min_interval=0.0)
    assert CheckpointStore(LOCATION).load("0").epoch in (1, 2, 3)
    resumed = train_group(LOCATION, RecordingStudy(), [0.5, 1.0])
    assert (resumed.reports, resumed.done, resumed.failed) == (
        uninterrupted.reports,
        uninterrupted.done,
        uninterrupted.failed,
    )
    assert bucket() == [], "a group that has ended leaves no checkpoint"


def test_the_check_of_a_location_leaves_it_unchanged(location, request):
    assert CheckpointStore(location).unavailable_reason() is None
    if location == LOCATION:
        assert request.getfixturevalue("bucket")() == []
    else:
        assert not list((request.getfixturevalue("tmp_path") / "a" / "b").iterdir())


def check_sentence(error, *words):
    """The error is one line, holds these words and none of the credentials."""
    text = str(error)
    assert not [word for word in words if word not in text], text
    assert "\n" not in text
    assert KEY not in text
    assert SECRET not in text


def test_an_unavailable_service_is_waited_for_until_the_timeout(free_port, monkeypatch):
    assert checkpoints_module.STORE_TIMEOUT == 60.0
    monkeypatch.setattr(checkpoints_module, "STORE_TIMEOUT", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    study = RecordingStudy()
    with pytest.raises(WorldFault) as caught:
        train_group(LOCATION, study, [0.5])
    check_sentence(caught.value, LOCATION, "has not answered for 0.5 seconds", "connect", "`searchlab resume`")
    assert not study.failed
    check_sentence(CheckpointStore(LOCATION).unavailable_reason(), "connect")


def test_a_short_outage_ends_nothing(bucket, s3_port, free_port, monkeypatch):
    checkpoints = CheckpointStore(LOCATION, min_interval=0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    _ = checkpoints._blobs._client  # creating it takes a while
    available, over = threading.Event(), threading.Event()

    def become_available():
        available.wait(2.0)
        with relay(s3_port, free_port):
            over.wait(DEADLINE)

    thread = threading.Thread(target=become_available)
    thread.start()
    try:
        before = time.monotonic()
        checkpoints.save("g", make_checkpoint())
        waited = time.monotonic() - before
    finally:
        available.set()
        over.set()
        thread.join()
    assert waited >= 2.0
    pause = checkpoints._next_due - before - waited
    assert pause < 0.6 * waited / checkpoints_module.MAX_TIME_SHARE, "an outage does not count as time for writing"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3_port}")
    assert CheckpointStore(LOCATION).load("g").epoch == 2


REFUSALS = {"bucket": "NoSuchBucket", "credentials": "Unable to locate credentials"}


@pytest.mark.parametrize("missing", REFUSALS)
def test_a_refusal_is_raised_at_once(bucket, monkeypatch, missing):
    location = "s3://nobucket/here" if missing == "bucket" else LOCATION
    if missing == "credentials":
        CheckpointStore(location).save("0", make_checkpoint())
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    started = time.monotonic()
    reason = CheckpointStore(location).unavailable_reason()
    check_sentence(reason, location, REFUSALS[missing], "`searchlab resume`")
    study = RecordingStudy()
    with pytest.raises(WorldFault, match=rf"cannot be (read|written) \({REFUSALS[missing]}") as caught:
        train_group(location, study, [0.5], min_interval=0.0)
    check_sentence(caught.value, location)
    assert not study.failed
    assert time.monotonic() - started < 10.0


def refusal(status, code):
    response = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(response, "PutObject")


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (refusal(503, "SlowDown"), True),
        (refusal(500, "InternalError"), True),
        (refusal(400, "RequestTimeout"), True),
        (refusal(409, "OperationAborted"), True),
        (refusal(403, "AccessDenied"), False),
        (refusal(403, "SignatureDoesNotMatch"), False),
        (refusal(400, "InvalidBucketName"), False),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"), True),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), True),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"), True),
        (botocore.exceptions.ResponseStreamingError(error="cut"), True),
        (botocore.exceptions.NoCredentialsError(), False),
        (botocore.exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), False),
    ],
)
def test_outages_and_refusals_are_told_apart(error, is_transient):
    assert s3_store._is_transient(error) == is_transient


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    checkpoints = CheckpointStore(tmp_path / "a")
    (tmp_path / "a").rmdir()
    assert "cannot be written (No such file or directory)" in checkpoints.unavailable_reason()


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///prefix", f"s3://{KEY}:{SECRET}@bucket/prefix", "gs://bucket/prefix", "s3://Bucket"]
)
@pytest.mark.parametrize("function", [open_blob_store, validate_url, validate_location])
def test_a_url_that_is_not_a_buckets_is_a_mistake(function, url):
    with pytest.raises(UserMistake, match=r"s3://BUCKET/PREFIX") as caught:
        function(url)
    check_sentence(caught.value)


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("", None),
        ("http://minio:9000", "http://minio:9000"),
        ("minio:9000", "https://minio:9000"),
        (f"http://{KEY}:{SECRET}@minio:9000", "http://minio:9000"),
    ],
)
def test_the_endpoint_is_read_from_the_environment_without_credentials(monkeypatch, named, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL", named)
    assert s3_store._endpoint_url() == url
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://other")
    assert s3_store._endpoint_url() == "http://other"


@pytest.mark.parametrize(
    ("endpoint", "region", "expected"),
    [
        ("http://minio:9000", "", "us-east-1"),
        ("http://minio:9000", "eu-west-1", "eu-west-1"),
        ("", "eu-west-1", "eu-west-1"),
    ],
)
def test_the_region_is_read_from_the_environment(monkeypatch, endpoint, region, expected):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", region)
    assert S3Store(LOCATION)._client.meta.region_name == expected


def test_an_endpoint_that_is_no_url_is_a_mistake(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://not a host")
    with pytest.raises(UserMistake, match="AWS_ENDPOINT_URL"):
        S3Store(LOCATION).read("a")


def test_a_missing_boto3_is_a_mistake_that_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(s3_store, "find_spec", lambda name: None)
    for use in (validate_location, lambda url: open_blob_store(url).read("a")):
        with pytest.raises(UserMistake, match=r"pip install 'searchlab\[cluster\]'") as caught:
            use(LOCATION)
        check_sentence(caught.value, LOCATION)
    validate_url(LOCATION)  # whoever sends a sweep to a cluster needs no boto3
    validate_location(str(tmp_path))


@pytest.mark.parametrize("place", ["file/below", "/proc/new"])
def test_a_folder_that_cannot_be_written_is_a_mistake_before_a_run_writes_anything(tmp_path, place):
    (tmp_path / "file").touch()
    folder, home = tmp_path / place, tmp_path / "home"
    with pytest.raises(UserMistake, match="checkpoints cannot be written") as caught:
        spiral_sweep().run(home=home, engine="local", tracking=None, checkpoints=str(folder))
    assert str(folder) in str(caught.value)
    assert not home.exists()


def test_a_folder_that_cannot_be_used_leaves_no_new_folder_behind(tmp_path, monkeypatch):
    def refuse(path, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(UserMistake, match="No space left on device"):
        validate_folder(str(tmp_path / "a" / "b"))
    assert not (tmp_path / "a").exists()


def test_a_folder_does_not_import_boto3():
    code = "import sys; from searchlab.engine.blob_store import *; open_blob_store('.'); print('boto3' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, check=True, capture_output=True).stdout
    assert output.strip() == "False"

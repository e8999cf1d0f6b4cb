"""A sweep that is driven from a node, or through Ray's client, instead of being sent as a job."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ROWS = """
import numpy as np
draws = np.random.default_rng(0)
x = draws.normal(size=(80, 3)).astype("float32")
np.savez("/tmp/only-here.npz", x=x, y=(x.sum(axis=1) > 0).astype(int))
"""


@pytest.fixture(scope="module")
def head(cluster):
    """The head's host, with the project and with rows that no other host has."""
    host = cluster.hosts["ray-head-1"]
    copied = host.run("cp", "-r", str(ROOT / "tests" / "cluster" / "project"), "/tmp/project")
    assert copied.returncode == 0, copied.stderr
    assert host.run("python", "-c", ROWS).returncode == 0
    return host


def drive(host, *words, **changes):
    """`searchlab run` in the project on this host; its result, or what it said instead."""
    command = ["sh", "-c", 'cd /tmp/project && exec "$@"', "sh", "searchlab", "run", *words, "--json"]
    answer = host.run(*command, seconds=180, **changes)
    return answer.returncode, json.loads(answer.stdout.splitlines()[-1]), answer.stderr


def test_rows_that_the_workers_lack_travel_when_told_to(head):
    code, answer, said = drive(head, "search_spaces/given.py", "--address", "auto", "--name", "lacking")
    assert code == 1
    assert "/tmp/only-here.npz" in answer["error"], said
    code, answer, said = drive(
        head, "search_spaces/given.py", "--address", "auto", "--name", "travelling", "--ship-data"
    )
    assert code == 0, said
    assert answer["trials"]["complete"] + answer["trials"]["pruned"] == 4


def test_through_rays_client_the_study_is_on_the_cluster(cluster, head):
    """With its own home for what it finds, the cluster's database and a folder that every node sees."""
    storage = head.environment["SEARCHLAB_STORAGE"]
    given = ["--address", "ray://ray-head-1:10001", "--home", "/tmp/mine", "--name", "remote", "--trials", "6"]
    code, answer, _ = drive(head, "search_spaces/slow.py", *given, SEARCHLAB_STORAGE="")
    assert code == 2
    assert "--storage" in answer["error"]
    places = ["--storage", storage, "--checkpoints", "/var/lib/searchlab/checkpoints"]
    code, answer, said = drive(head, "search_spaces/slow.py", *given, *places)
    logs = [text[-2000:] for place, text in cluster.logs().items() if "ray_client_server" in place]
    assert code == 0, "\n".join([said, *logs])
    assert answer["trials"]["complete"] == 6
    assert "/tmp/mine" in answer["artifact"]


def test_checkpoints_in_a_folder_that_workers_do_not_see_end_the_search_at_once(head):
    code, answer, _ = drive(
        head, "search_spaces/slow.py", "--address", "auto", "--name", "unseen", "--checkpoints", "/tmp/head-only"
    )
    assert code == 1
    assert "does not see /tmp/head-only/unseen" in answer["error"]
    assert "ray-worker-" in answer["error"]


def test_what_no_node_has_is_waited_for_and_told(head):
    """Until it is stopped: a node with a GPU may join any time.

    timeout(1) tells the process and its group, so that the signal comes twice; that is no wish to break off.
    """
    command = "cd /tmp/project && timeout --signal=INT 40 searchlab run search_spaces/slow.py --device cuda"
    answer = head.run("sh", "-c", f"{command} --address auto --name waiting", seconds=120)
    said = " ".join((answer.stdout + answer.stderr).split())
    assert "waiting for a place on the cluster: it takes 1 CPU and 1 GPU for a group on cuda" in said
    assert "`searchlab resume waiting`" in said

"""Sweeps whose driver runs on a node, or connects through Ray's client, instead of being submitted as a job."""

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
    """The head's host, with the project and with data that no other host has."""
    host = cluster.hosts["ray-head-1"]
    copied = host.run("cp", "-r", str(ROOT / "tests" / "cluster" / "project"), "/tmp/project")
    assert copied.returncode == 0, copied.stderr
    assert host.run("python", "-c", ROWS).returncode == 0
    return host


def drive(host, *words, **changes):
    """Run `searchlab run` in the project on this host; return its exit code, its JSON result and its stderr."""
    command = ["sh", "-c", 'cd /tmp/project && exec "$@"', "sh", "searchlab", "run", *words, "--json"]
    answer = host.run(*command, seconds=180, **changes)
    return answer.returncode, json.loads(answer.stdout.splitlines()[-1]), answer.stderr


def test_rows_that_workers_lack_are_shipped_on_request(head):
    code, answer, stderr = drive(head, "search_spaces/given.py", "--address", "auto", "--name", "lacking")
    assert code == 1
    assert "/tmp/only-here.npz" in answer["error"], stderr
    code, answer, stderr = drive(
        head, "search_spaces/given.py", "--address", "auto", "--name", "shipped", "--ship-data"
    )
    assert code == 0, stderr
    assert answer["trials"]["complete"] + answer["trials"]["pruned"] == 4


def test_through_rays_client_the_study_is_on_the_cluster(cluster, head):
    """The home folder is the client's; the database and the folder of the checkpoints are the cluster's."""
    storage = head.environment["SEARCHLAB_STORAGE"]
    given = ["--address", "ray://ray-head-1:10001", "--home", "/tmp/mine", "--name", "remote", "--trials", "6"]
    code, answer, _ = drive(head, "search_spaces/slow.py", *given, SEARCHLAB_STORAGE="")
    assert code == 2
    assert "--storage" in answer["error"]
    places = ["--storage", storage, "--checkpoints", "/var/lib/searchlab/checkpoints"]
    code, answer, stderr = drive(head, "search_spaces/slow.py", *given, *places)
    logs = [text[-2000:] for place, text in cluster.logs().items() if "ray_client_server" in place]
    assert code == 0, "\n".join([stderr, *logs])
    assert answer["trials"]["complete"] == 6
    assert "/tmp/mine" in answer["artifact"]


def test_a_checkpoint_folder_that_workers_do_not_see_ends_the_search(head):
    code, answer, _ = drive(
        head, "search_spaces/slow.py", "--address", "auto", "--name", "unseen", "--checkpoints", "/tmp/head-only"
    )
    assert code == 1
    assert "does not see /tmp/head-only/unseen" in answer["error"]
    assert "ray-worker-" in answer["error"]


def test_a_run_waits_for_a_device_that_no_node_has_and_reports_it(head):
    """It waits until it is stopped, because a node with a GPU may join at any time.

    timeout(1) signals the process and its group; the second signal must not stop the run at once.
    """
    command = "cd /tmp/project && timeout --signal=INT 40 searchlab run search_spaces/slow.py --device cuda"
    answer = head.run("sh", "-c", f"{command} --address auto --name waiting", seconds=120)
    output = " ".join((answer.stdout + answer.stderr).split())
    assert "waiting for a slot on the cluster: it needs 1 CPU and 1 GPU for a group on cuda" in output
    assert "`searchlab resume waiting`" in output

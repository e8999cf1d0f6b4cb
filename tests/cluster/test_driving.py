"""Sweeps whose driver runs on a node, or connects through Ray's client, instead of being submitted as a job."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

WRITE_ROWS = """
import numpy as np
generator = np.random.default_rng(0)
x = generator.normal(size=(80, 3)).astype("float32")
np.savez("/tmp/head-only.npz", x=x, y=(x.sum(axis=1) > 0).astype(int))
"""


@pytest.fixture(scope="module")
def head(cluster):
    """The head's host, with the project and with data that no other host has."""
    host = cluster.hosts["ray-head-1"]
    copied = host.run("cp", "-r", str(ROOT / "tests" / "cluster" / "project"), "/tmp/project")
    assert copied.returncode == 0, copied.stderr
    assert host.run("python", "-c", WRITE_ROWS).returncode == 0
    return host


def run_searchlab(host, *arguments, **changes):
    """Run `searchlab run` in the project on this host; return its exit code, its JSON result and its stderr."""
    command = ["sh", "-c", 'cd /tmp/project && exec "$@"', "sh", "searchlab", "run", *arguments, "--json"]
    finished = host.run(*command, **changes)
    return finished.returncode, json.loads(finished.stdout.splitlines()[-1]), finished.stderr


def test_ship_data_sends_rows_that_workers_cannot_read(head):
    arguments = ["search_spaces/custom_data.py", "--address", "auto"]
    code, result, stderr = run_searchlab(head, *arguments, "--name", "unreadable")
    assert code == 1
    assert "/tmp/head-only.npz" in result["error"], stderr
    code, result, stderr = run_searchlab(head, *arguments, "--name", "shipped", "--ship-data")
    assert code == 0, stderr
    assert result["trials"]["complete"] + result["trials"]["pruned"] == 4


def test_with_rays_client_the_study_is_on_the_cluster(cluster, head):
    """The home folder is the client's; the database and the folder of the checkpoints are the cluster's."""
    storage = head.environment["SEARCHLAB_STORAGE"]
    arguments = ["search_spaces/slow.py", "--address", "ray://ray-head-1:10001", "--home", "/tmp/client-home"]
    arguments += ["--name", "remote", "--trials", "6"]
    code, result, _ = run_searchlab(head, *arguments, SEARCHLAB_STORAGE="")
    assert code == 2
    assert "--storage" in result["error"]
    arguments += ["--storage", storage, "--checkpoints", "/var/lib/searchlab/checkpoints"]
    code, result, stderr = run_searchlab(head, *arguments)
    logs = [text[-2000:] for file, text in cluster.logs().items() if "ray_client_server" in file]
    assert code == 0, "\n".join([stderr, *logs])
    assert result["trials"]["complete"] == 6
    assert "/tmp/client-home" in result["artifact"]


def test_a_checkpoint_folder_that_workers_do_not_see_ends_the_search(head):
    arguments = ["search_spaces/slow.py", "--address", "auto", "--name", "unseen", "--checkpoints", "/tmp/head-only"]
    code, result, _ = run_searchlab(head, *arguments)
    assert code == 1
    assert "does not see /tmp/head-only/unseen" in result["error"]
    assert "ray-worker-" in result["error"]


def test_a_run_waits_for_a_device_that_no_node_has_and_reports_it(head):
    """It waits until it is stopped, because a node with a GPU may join at any time.

    timeout(1) signals the process and its group; the second signal must not stop the run at once.
    """
    command = "cd /tmp/project && timeout --signal=INT 40 searchlab run search_spaces/slow.py --device cuda"
    finished = head.run("sh", "-c", f"{command} --address auto --name waiting")
    output = " ".join((finished.stdout + finished.stderr).split())
    assert "waiting for a slot on the cluster: it needs 1 CPU and 1 GPU for a group on cuda" in output
    assert "`searchlab resume waiting" in output

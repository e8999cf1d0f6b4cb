"""Connecting to a cluster: a failure that passes is retried, any other one is raised in one sentence."""

from __future__ import annotations

import pytest
import ray

from searchlab.cluster import connection
from searchlab.cluster.connection import CLIENT_ATTEMPTS, connected
from searchlab.errors import WorldFault
from tests.jobs import make_job
from tests.sweeps import spiral_sweep

CLIENT_FAILURE = "Initialization failure from server:\nTraceback (most recent call last):\nRuntimeError: it ended"


@pytest.fixture
def failing_cluster(monkeypatch):
    """Makes ray.init fail so many times for this reason; returns the list of its calls."""
    calls = []

    def fail(times, reason):
        def init(**options):
            calls.append(options["address"])
            if len(calls) <= times:
                raise ConnectionAbortedError(reason)

        monkeypatch.setattr(ray, "init", init)
        return calls

    monkeypatch.setattr(connection, "CLIENT_PAUSE", 0.0)
    return fail


def job_at(address, tmp_path):
    return make_job(spiral_sweep(), "mine", tmp_path / "j", tmp_path / "c", 4, address=address)


def test_a_client_whose_server_process_ended_is_retried(failing_cluster, tmp_path):
    calls = failing_cluster(CLIENT_ATTEMPTS - 1, CLIENT_FAILURE)
    with connected(job_at("ray://head:10001", tmp_path)):
        assert len(calls) == CLIENT_ATTEMPTS


@pytest.mark.parametrize(
    ("address", "reason", "shown"),
    [
        ("ray://head:10001", CLIENT_FAILURE, "it ended"),
        ("ray://head:10001", "ray client connection timeout", "ray client connection timeout"),
        ("head:6379", CLIENT_FAILURE, "it ended"),
    ],
)
def test_a_lasting_failure_is_one_sentence(failing_cluster, tmp_path, address, reason, shown):
    calls = failing_cluster(99, reason)
    job = job_at(address, tmp_path)
    with pytest.raises(WorldFault, match=rf"at {address} \({shown}\); .*RAY_AUTH_TOKEN") as caught, connected(job):
        pass
    assert "\n" not in str(caught.value)
    is_retried = address.startswith("ray://") and reason == CLIENT_FAILURE
    assert len(calls) == (CLIENT_ATTEMPTS if is_retried else 1)

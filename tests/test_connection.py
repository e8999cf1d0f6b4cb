"""Connecting to a cluster or starting one: a failure that passes is retried, any other is raised in one sentence."""

from __future__ import annotations

import pytest
import ray
from ray.exceptions import RayError

from searchlab.cluster import connection, local_ray
from searchlab.cluster.connection import CLIENT_ATTEMPTS, START_ATTEMPTS, connected
from searchlab.cluster.local_ray import GroupLeader
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


@pytest.fixture
def killed_raylets(monkeypatch):
    """Kills so many raylets as soon as they are started; returns the list of all that are started."""
    started = []

    def kill(times):
        class Killed(GroupLeader):
            def __init__(self, command, env, **options):
                super().__init__(command, env, **options)
                if self.name == "raylet":
                    started.append(self)
                    if len(started) <= times:
                        self.kill()

        monkeypatch.setattr(local_ray, "GroupLeader", Killed)
        return started

    return kill


@pytest.mark.slow
def test_a_ray_whose_raylet_dies_during_the_start_is_started_again(killed_raylets, tmp_path):
    started = killed_raylets(1)
    with connected(job_at(None, tmp_path)):
        assert ray.get(ray.put(7)) == 7
        assert 2 <= len(started) <= START_ATTEMPTS  # on a busy machine, a raylet may also die by itself
    assert all(raylet.poll() is not None for raylet in started)


@pytest.mark.slow
def test_a_ray_that_never_starts_is_one_error_and_leaves_no_process(killed_raylets, tmp_path):
    started = killed_raylets(99)
    with pytest.raises(RayError, match="it did not start: its raylet died"), connected(job_at(None, tmp_path)):
        pass
    assert len(started) == START_ATTEMPTS
    assert not ray.is_initialized()

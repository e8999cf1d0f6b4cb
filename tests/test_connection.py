"""Connecting to a cluster: what passes is tried again, what does not is told in one sentence."""

from __future__ import annotations

import pytest
import ray

from searchlab.cluster import connection
from searchlab.cluster.connection import TRIES, connected
from searchlab.errors import WorldFault
from searchlab.runs.job import Job
from tests.sweeps import spiral_sweep

REFUSAL = "Initialization failure from server:\nTraceback (most recent call last):\nRuntimeError: it ended at once"


@pytest.fixture
def asked(monkeypatch):
    """A cluster that refuses so often, for this reason; counts how often it was asked."""
    asked = []

    def refuse(times, reason):
        def init(**given):
            asked.append(given["address"])
            if len(asked) <= times:
                raise ConnectionAbortedError(reason)

        monkeypatch.setattr(ray, "init", init)
        return asked

    monkeypatch.setattr(connection, "PAUSE", 0.0)
    return refuse


def job(tmp_path, address):
    return Job(spiral_sweep(), "mine", tmp_path / "j", tmp_path / "c", 4, address=address)


def test_a_client_whose_server_ended_at_once_is_tried_again(asked, tmp_path):
    count = asked(TRIES - 1, REFUSAL)
    with connected(job(tmp_path, "ray://head:10001")):
        assert len(count) == TRIES


@pytest.mark.parametrize(
    ("address", "reason", "told"),
    [
        ("ray://head:10001", REFUSAL, "it ended at once"),
        ("ray://head:10001", "ray client connection timeout", "ray client connection timeout"),
        ("head:6379", REFUSAL, "it ended at once"),
    ],
)
def test_what_does_not_pass_is_told(asked, tmp_path, address, reason, told):
    count = asked(99, reason)
    words = rf"no Ray cluster answers at {address} \({told}\); a cluster that asks for a token wants"
    with pytest.raises(WorldFault, match=words), connected(job(tmp_path, address)):
        pass
    assert len(count) == (TRIES if address.startswith("ray://") and reason == REFUSAL else 1)

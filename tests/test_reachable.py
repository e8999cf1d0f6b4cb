"""Addresses of a cluster at which nothing answers: one sentence soon, and nothing written."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest

from searchlab.cluster import reachable
from searchlab.cluster.jobs import JobClient
from searchlab.cluster.reachable import require_cluster
from searchlab.errors import UserMistake, WorldFault
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch):
    """Has each check try once."""
    monkeypatch.setattr(reachable, "CONNECT_SECONDS", 0.0)
    monkeypatch.setattr(reachable, "ATTEMPT_SECONDS", 1.0)
    monkeypatch.setattr(reachable, "READY_SECONDS", 1.0)
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)


@pytest.fixture
def server():
    """A socket that listens on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def silent_port():
    """A port that accepts no further connection and does not refuse one: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        clients = [socket.socket() for _ in range(3)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for client in clients:
            client.close()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_run_at_an_address_where_nothing_answers_writes_no_sweep(tmp_path, free_port, scheme):
    places = {"storage": "postgresql://user@host/name", "checkpoints": "s3://bucket"} if scheme else {}
    address = f"{scheme}127.0.0.1:{free_port}"
    with pytest.raises(WorldFault, match=f"cannot connect to the Ray cluster at {address}: Connection refused"):
        spiral_sweep().run(home=tmp_path / "home", tracking=None, address=address, **places)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("check", [lambda port: require_cluster(f"127.0.0.1:{port}"),
                                   lambda port: JobClient(f"http://127.0.0.1:{port}")])  # fmt: skip
def test_a_host_that_does_not_answer_is_not_waited_for(silent_port, check):
    with pytest.raises(WorldFault, match=f"cannot connect .*127.0.0.1:{silent_port}: timed out"):
        check(silent_port)


@pytest.fixture
def grpc_port():
    """The port of a server that speaks gRPC."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.fixture
def web_port():
    """The port of a web server, as of Ray's dashboard."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_a_server_speaks_grpc_is_accepted(grpc_port, scheme, monkeypatch):
    monkeypatch.setattr(reachable, "READY_SECONDS", DEADLINE)
    require_cluster(f"{scheme}127.0.0.1:{grpc_port}")


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_web_server_is_no_cluster(web_port, scheme):
    with pytest.raises(WorldFault, match=f"what answers at {scheme}127.0.0.1:{web_port} is no Ray cluster"):
        require_cluster(f"{scheme}127.0.0.1:{web_port}")


@pytest.mark.parametrize("files", [{}, dict.fromkeys(("SERVER_CERT", "SERVER_KEY", "CA_CERT"), "/nowhere.pem")])
def test_missing_certificates_are_a_mistake(grpc_port, files, monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    for name, path in files.items():
        monkeypatch.setenv(f"RAY_TLS_{name}", path)
    with pytest.raises(UserMistake, match=r"Ray's TLS settings cannot be used: .*(RAY_TLS_CA_CERT|nowhere\.pem)"):
        require_cluster(f"127.0.0.1:{grpc_port}")


def test_a_server_that_says_nothing_is_no_cluster(server):
    with pytest.raises(WorldFault, match="is no Ray cluster"):
        require_cluster(f"127.0.0.1:{server.getsockname()[1]}")


def test_no_address_and_local_need_no_cluster():
    require_cluster(None)
    require_cluster("local")


def test_auto_without_a_cluster_is_a_fault_outside(monkeypatch):
    def find(address):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", find)
    with pytest.raises(WorldFault, match="no Ray cluster runs on this machine"):
        require_cluster("auto")


@pytest.mark.parametrize("address", ["head", "head:port", "head:99999", ":6379", "ftp://head:1"])
def test_what_is_no_address_is_a_mistake(address):
    with pytest.raises(UserMistake, match="HEAD:6379"):
        require_cluster(address)

"""Sweeps whose MLflow server is away, refuses, or hangs: the search and its result are whole, the record is not."""

from __future__ import annotations

import json

import pytest

import searchlab
from searchlab.runs.events import Message
from searchlab.tracking import patience, recorder
from searchlab.tracking.probe import ServerAway, probe
from tests.command_line import run_cli
from tests.jobs import run
from tests.mlflow_faults import answering_server, hanging_server, refusing_server
from tests.sweeps import spiral_sweep

SERVERS = {
    "refused": (refusing_server, "connection refused"),
    "hanging": (hanging_server, "no answer in time"),
    "401": (lambda: answering_server(401, b"You are not authenticated."), "401: it asks for other credentials"),
    "403": (lambda: answering_server(403, b"Invalid Host header"), "403: it forbids the request"),
}


class Messages:
    """An event handler that keeps the messages about MLflow."""

    def __init__(self):
        self.texts = []

    def handle(self, event):
        if isinstance(event, Message) and "MLflow" in event.text:
            self.texts.append(event.text)


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(recorder, "FINAL_SECONDS", 1.0)
    monkeypatch.setattr(patience, "IDLE_SECONDS", 3.0)


@pytest.mark.parametrize("kind", SERVERS)
def test_how_a_server_refuses_or_is_away_is_found_out_without_mlflow(kind):
    serve, reason = SERVERS[kind]
    with serve() as address:
        try:
            told = probe(f"http://{address}", 0.5)
        except ServerAway as fault:
            told = str(fault)
    assert told.startswith(reason)


@pytest.mark.parametrize(("status", "body"), [(200, b"{}"), (404, b"no"), (500, b"no"), (200, b"<html></html>")])
def test_what_only_mlflow_can_tell_is_left_to_it(status, body):
    with answering_server(status, body) as address:
        assert probe(f"http://{address}/", 60.0) is None
    assert probe("databricks://profile", 0.1) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
def test_a_sweep_without_its_server_has_a_result_that_says_so(home, short_waits, kind):
    serve, reason = SERVERS[kind]
    messages = Messages()
    with serve() as address:
        result = run(
            spiral_sweep(2), engine="local", home=home, fuse=1, tracking="mlflow",
            tracking_uri=f"http://{address}", display=messages,
        )  # fmt: skip
    assert (result.state, result.count("COMPLETE"), result.run_id) == ("FINISHED", 2, None)
    assert f"http://{address} is not complete: {reason}" in result.record_fault
    assert "`searchlab resume spiral`" in result.record_fault
    (told,) = messages.texts
    assert told.startswith(f"MLflow at http://{address} does not take the record of spiral now ({reason}")
    assert f"is not complete: {reason.partition(':')[0]}" in result.report.read_text()
    assert searchlab.open("spiral", home=home).record_fault == result.record_fault


@pytest.mark.slow
def test_python_gets_the_result_and_a_warning(home, short_waits):
    with refusing_server() as address, pytest.warns(RuntimeWarning, match="is not complete: connection refused"):
        result = spiral_sweep(2).run(engine="local", home=home, fuse=1, tracking_uri=f"http://{address}")
    assert result.winner


@pytest.mark.slow
def test_the_command_line_prints_the_table_and_a_warning(home, short_waits):
    arguments = ["search_spaces/spiral_mlp.py", "--engine", "local", "--trials", 2, "--epochs", 2, "--json"]
    with refusing_server() as address:
        finished = run_cli("run", *arguments, "--tracking-uri", f"http://{address}", home=home)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stderr.splitlines()
    assert any(line.startswith("winner ") for line in lines)
    (warning,) = [line for line in lines if line.startswith("warning: ")]
    assert f"http://{address} is not complete: connection refused" in warning
    result = json.loads(finished.stdout.splitlines()[-1])
    assert (result["state"], result["run_id"], f"warning: {result['record_fault']}") == ("FINISHED", None, warning)

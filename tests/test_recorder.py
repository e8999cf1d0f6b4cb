"""How long a run waits for the process that writes its record: processes that die, hang, or only print."""

from __future__ import annotations

import json
import sys
import threading

import pytest

from searchlab.errors import WorldFault
from searchlab.tracking import patience, recorder, writer
from searchlab.tracking.patience import Patience
from searchlab.tracking.probe import ServerAway
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.tracking.writer import Writer
from tests.waiting import wait_for

PRINTING = "import time\nwhile True: print('{\"written\": 0}', flush=True); time.sleep(0.01)"
SILENT = "import time; time.sleep(600)"
CONCLUDING = """
import json, os, sys
for line in sys.stdin:
    if json.loads(line)[0] == "conclude":
        print("not an answer")
        print(json.dumps({"concluded": "the-run"}), flush=True)
        os._exit(120)
"""
DYING = "import os, sys; print('x', file=open(sys.argv[1], 'a')); sys.exit(120)"


def start_recorder(monkeypatch, tmp_path, code, tell=lambda text: None):
    """Return a recorder whose writer process runs this code."""
    command = (sys.executable, "-c", code, str(tmp_path / "starts"))
    monkeypatch.setattr(recorder, "WRITER_COMMAND", command)
    record = SweepRecord("demo", "accuracy", "max", tmp_path, {}, {})
    return Recorder("http://me:secret@server:5000", record, tell)


@pytest.mark.parametrize("code", [PRINTING, SILENT])
@pytest.mark.parametrize("state", ["FINISHED", "KILLED"])
def test_a_writer_that_writes_nothing_is_given_up_whatever_it_prints(monkeypatch, tmp_path, code, state):
    for name in ("STOPPED_SECONDS", "START_SECONDS"):
        monkeypatch.setattr(patience, name, 0.5)
    record = start_recorder(monkeypatch, tmp_path, code)
    with pytest.raises(WorldFault, match="at http://server:5000 is not complete: it was not written in time"):
        record.conclude(state, {}, {})
    record.close()
    wait_for(lambda: record._process.poll() is not None)


def test_a_writer_that_dies_again_and_again_is_not_started_for_long_at_the_end(monkeypatch, tmp_path):
    record = start_recorder(monkeypatch, tmp_path, DYING)
    with pytest.raises(WorldFault, match="the process that writes it dies again and again"):
        record.conclude("FINISHED", {}, {})
    record.close()
    assert len((tmp_path / "starts").read_text().split()) <= recorder.MAX_FINAL_DEATHS + 1


def test_the_exit_code_of_a_writer_does_not_matter(monkeypatch, tmp_path):
    """On a full disk, Python ends with 120, because its standard output cannot be flushed."""
    record = start_recorder(monkeypatch, tmp_path, CONCLUDING)
    assert record.conclude("FINISHED", {}, {}) == "the-run"
    record.close()


def test_a_log_that_cannot_be_opened_does_not_keep_the_record(monkeypatch, tmp_path):
    (tmp_path / "mlflow.log").mkdir()
    record = start_recorder(monkeypatch, tmp_path, CONCLUDING)
    assert record.conclude("FINISHED", {}, {}) == "the-run"
    record.close()


def test_each_outage_and_its_end_are_told_once(monkeypatch, tmp_path):
    answers = [{"problem": "connection refused"}, {"problem": None}, {"run_id": "a"}, {"problem": "no answer in time"}]
    code = f"import time\nfor line in {[json.dumps(a) for a in answers]}: print(line, flush=True)\ntime.sleep(600)"
    told = []
    record = start_recorder(monkeypatch, tmp_path, code, told.append)
    wait_for(lambda: len(told) == 3)
    monkeypatch.setattr(patience, "STOPPED_SECONDS", 0.1)
    record.close()
    place = "MLflow at http://server:5000"
    assert told == [
        f"{place} does not take the record of demo now (connection refused); the search goes on",
        f"{place} takes the record of demo again",
        f"{place} does not take the record of demo now (no answer in time); the search goes on",
    ]


def seconds_waited(stopped, started_after, written_at):
    """Return how long a run waits for a store that is reached after a time and writes at these times."""
    limits = Patience(0.0, stopped=stopped)
    for tenth in range(1, 100_000):
        now = tenth / 10
        written = sum(time <= now for time in written_at)
        if limits.is_over(now, started=now >= started_after, written=written):
            return now
    raise AssertionError("the run waits without end")


@pytest.mark.parametrize(
    ("stopped", "started_after", "written_at", "expected"),
    [
        (True, 0.0, [second / 2 for second in range(1000)], 30.0),  # stopped: 30 s in all, although it writes
        (True, 1e6, [], 30.0),
        (False, 0.0, [], 31.0),
        (False, 1e6, [], 300.0),
        (False, 0.0, [second / 2 for second in range(1000)], 530.5),  # a long record is written to its end
        (False, 0.0, [6.0 * count for count in range(1, 100)], 36.0),  # a slow server has 30 s in all
        (False, 40.0, [], 70.0),
    ],
)
def test_a_run_waits_for_what_gets_written_and_else_for_a_bounded_time(stopped, started_after, written_at, expected):
    assert seconds_waited(stopped, started_after, written_at) == pytest.approx(expected, abs=2.0)


class FinalInbox:
    """An inbox after the last command, or before it where `retry_seconds` is None."""

    def __init__(self, retry_seconds):
        self.retry_seconds = retry_seconds


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping moves."""
    now = [1.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(writer.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_a_server_that_answers_late_is_waited_for_while_the_search_goes_on(monkeypatch, clock):
    def answer_after_twelve_seconds(uri, seconds):
        clock[0] += min(seconds, 12.0)
        if seconds < 12.0:
            raise ServerAway("no answer in time")

    told = []
    monkeypatch.setattr(writer, "probe", answer_after_twelve_seconds)
    Writer(FinalInbox(None), lambda **values: told.append(values))._await_server("http://server")
    assert told == [{"problem": "no answer in time"}, {"problem": None}]


def test_a_server_that_is_away_at_the_end_is_given_up(monkeypatch, clock):
    def refuse(uri, seconds):
        raise ServerAway("connection refused")

    told = []
    monkeypatch.setattr(writer, "probe", refuse)
    with pytest.raises(ServerAway):
        Writer(FinalInbox(10.0), lambda **values: told.append(values))._await_server("http://server")
    assert clock[0] < 1.0 + 10.0 + 2 * writer.MAX_RETRY_PAUSE
    assert told == [{"problem": "connection refused"}]


def test_the_threads_of_a_recorder_end_with_it(monkeypatch, tmp_path):
    record = start_recorder(monkeypatch, tmp_path, CONCLUDING)
    record.conclude("FINISHED", {}, {})
    record.close()
    assert "recorder" not in {thread.name for thread in threading.enumerate()}

"""The process that writes a record, started before the run has a home folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from searchlab.tracking import early_writer
from searchlab.tracking.early_writer import EarlyWriter
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.sweep_record import SweepRecord

CONCLUDING = (
    "import json, sys\n"
    "for line in sys.stdin:\n"
    "    if json.loads(line)[0] == 'conclude':\n"
    "        print(json.dumps({'concluded': 'the-run'}), flush=True)\n"
    "        break\n"
)


def with_command(monkeypatch, code):
    monkeypatch.setattr(early_writer, "COMMAND", (sys.executable, "-c", code))


def test_a_run_without_a_record_or_with_a_server_starts_none(monkeypatch):
    with_command(monkeypatch, "raise SystemExit('started')")
    for tracking, uri in ((False, None), (True, "http://server:5000"), (True, "postgresql://server/mlflow")):
        with EarlyWriter(tracking, uri) as early:
            assert early.take() is None


def test_a_run_that_does_not_get_as_far_as_a_record_ends_it(monkeypatch):
    with_command(monkeypatch, "import time; time.sleep(600)")
    early = EarlyWriter(True, None)
    process = early._process
    with pytest.raises(ValueError, match="a mistake"), early:
        raise ValueError("a mistake")
    assert process.returncode == -9
    assert process.stdin.closed
    assert process.stdout.closed


def test_the_recorder_goes_on_with_it(monkeypatch, tmp_path):
    with_command(monkeypatch, CONCLUDING)
    with EarlyWriter(True, "sqlite:///somewhere.db") as early:
        process = early._process
        recorder = Recorder(
            "sqlite:///somewhere.db", SweepRecord("demo", "accuracy", "max", tmp_path, {}, {}), early=early
        )
        assert early.take() is None
        assert recorder.pid == process.pid
        assert recorder.conclude("FINISHED", {}, {}) == "the-run"
    assert process.wait() == 0


def test_modules_of_the_current_folder_are_not_imported(tmp_path):
    """A user may have a file with the name of a module of the library's."""
    (tmp_path / "json.py").write_text("raise SystemExit('the module of the user')")
    command = [*early_writer.COMMAND[:-1], "--help"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=tmp_path, timeout=60, check=False)
    assert b"the module of the user" not in done.stdout + done.stderr
    assert done.returncode == 0

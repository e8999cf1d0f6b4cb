"""Output that cannot be printed: a full disk, a reader that has gone, a closed terminal, an encoding without "±"."""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import sys
import time

import pytest

from searchlab.cli.streams import LenientFile
from searchlab.runner.pipeline import SweepPipeline
from searchlab.runs.events import EventBuffer, Message, PhaseStarted
from tests.conftest import ROOT
from tests.jobs import run
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE
from tests.without_figures import PROGRAM

RUN = ["run", "search_spaces/spiral_mlp.py", "--engine", "local", "--trials", "2", "--epochs", "2", "--no-tracking"]


def call(*arguments, home, **options):
    """Run a command in a process of its own."""
    command = [*PROGRAM, *map(str, arguments), "--home", str(home)]
    return subprocess.run(command, cwd=ROOT, text=True, timeout=DEADLINE, **options)


@pytest.fixture
def full():
    """A disk without room."""
    with open("/dev/full", "w") as file:
        yield file


def test_a_descriptor_that_cannot_be_written_takes_everything(full):
    raw = LenientFile(full.fileno())
    assert raw.write(b"12345") == 5
    assert raw.fault.errno == errno.ENOSPC


def test_a_slow_reader_loses_nothing():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    content, received = os.urandom(300_000), b""
    script = "import sys, time; time.sleep(0.2); sys.stdout.buffer.write(sys.stdin.buffer.read())"
    with subprocess.Popen([sys.executable, "-c", script], stdin=reader, stdout=subprocess.PIPE) as process:
        os.close(reader)
        raw, sent = LenientFile(writer), 0
        while sent < len(content):
            sent += raw.write(content[sent:])
        os.close(writer)
        received = process.stdout.read()
    assert received == content
    assert raw.fault is None


def test_a_command_that_only_prints_fails_on_a_full_disk(tmp_path, full):
    finished = call("list", home=tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert finished.returncode == 1
    assert finished.stderr.startswith("searchlab: ")
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["list"], ["report", "nothing"], ["--nonsense"]])
def test_no_stream_that_is_closed_or_full_leads_to_a_traceback(tmp_path, full, arguments):
    expected = 0 if arguments == ["list"] else 2
    assert call(*arguments, home=tmp_path, stdout=subprocess.DEVNULL, stderr=full).returncode == expected
    closed = call(*arguments, home=tmp_path, preexec_fn=lambda: os.closerange(1, 3))
    assert closed.returncode == expected


def test_a_reader_that_goes_away_fails_no_command(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    finished = call("list", home=tmp_path, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (finished.returncode, finished.stderr) == (0, "")


def require_winner(home):
    folder = home / "sweeps" / "spiral-mlp"
    assert json.loads((folder / "result.json").read_text())["state"] == "FINISHED"
    assert (folder / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_run_on_a_full_disk_ends_with_its_winner(tmp_path, full, as_json):
    finished = call(*RUN, *as_json, home=tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert finished.returncode == 0
    assert "Traceback" not in finished.stderr
    assert "stdout cannot be written" in finished.stderr
    require_winner(tmp_path)


@pytest.mark.slow
def test_a_run_without_the_characters_of_its_table_ends_with_its_winner(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    finished = call(*RUN, home=tmp_path, env=environment, capture_output=True)
    assert finished.returncode == 0, finished.stderr
    assert "? folds" in finished.stdout
    require_winner(tmp_path)


@pytest.mark.slow
def test_a_run_whose_terminal_is_closed_ends_with_its_winner(tmp_path):
    """The run is the leader of the terminal's session, so it also gets SIGHUP."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(ROOT)
        long = [*RUN[:-3], "--epochs", "200", "--no-tracking", "--home", str(tmp_path)]
        os.execv(sys.executable, [*PROGRAM, *long])  # noqa: S606, this program itself
    assert os.read(terminal, 100)
    os.close(terminal)
    deadline, ended = time.monotonic() + DEADLINE, (0, 0)
    while not ended[0] and time.monotonic() < deadline:
        ended = os.waitpid(process, os.WNOHANG)
        time.sleep(0.05)
    assert ended == (process, 0)
    require_winner(tmp_path)


class FailingDisplay:
    """A display whose terminal takes nothing."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def handle(self, event):
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [OSError(errno.EIO, "closed"), UnicodeEncodeError("ascii", "±", 0, 1, "no")])
def test_a_display_that_cannot_write_is_called_once_and_does_not_end_the_run(error):
    pipeline, display = SweepPipeline.__new__(SweepPipeline), FailingDisplay(error)
    pipeline.display = display
    for _ in range(2):
        pipeline._show(Message("text"))
    assert display.calls == 1


@pytest.mark.slow
def test_a_run_from_python_goes_on_without_its_display(home):
    result = run(
        spiral_sweep(2), engine="local", home=home, fuse=1, display=FailingDisplay(OSError(errno.ENOSPC, "full"))
    )
    assert result.winner


def test_the_winner_is_told_before_the_phase_of_figures_and_record(home):
    display = EventBuffer()
    result = run(spiral_sweep(2), engine="local", home=home, fuse=1, display=display)
    events = display.drain()
    phases = [event.phase for event in events if isinstance(event, PhaseStarted)]
    assert phases == ["start", "search", "winner", "record"]
    (told,) = [i for i, event in enumerate(events) if isinstance(event, Message) and "the winner is" in event.text]
    assert f"trial {result.best.number}" in events[told].text
    assert events[told + 1].phase == "record"
    assert result.seconds["record"] > 0.0

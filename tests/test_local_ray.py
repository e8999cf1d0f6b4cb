"""A Ray of this machine: process groups of its own, and one sentence when one of its processes dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from ray._private import services
from ray.exceptions import RayError

from searchlab.cli.hangup import hangup_ignored
from searchlab.cluster import local_ray
from searchlab.cluster.local_ray import GroupLeader, end_processes, quiet_ray, watched
from searchlab.engine.signals import interruptible
from searchlab.environment import RAYLET_VARIABLE
from tests.chaos.processes import of_kind
from tests.conftest import ROOT
from tests.terminal import SPEC, Terminal
from tests.waiting import DEADLINE, wait_for

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def raylet(monkeypatch):
    """A process that counts as this machine's raylet."""
    monkeypatch.setattr(local_ray, "WATCH_INTERVAL", 0.01)
    process = GroupLeader(SLEEP, dict(os.environ))
    process.name = "raylet"
    yield process
    end_processes([process])


def test_processes_of_ray_get_groups_of_their_own_and_no_variable_of_the_driver():
    before = services.ConsolePopen
    with quiet_ray() as processes:
        program = f"import os; print(os.getpgrp() == os.getpid(), {RAYLET_VARIABLE!r} in os.environ)"
        process = services.ConsolePopen(
            [sys.executable, "-c", program], env=os.environ | {RAYLET_VARIABLE: "1"}, stdout=subprocess.PIPE
        )
        assert process.communicate()[0].split() == [b"True", b"False"]
        assert processes == [process]
    assert services.ConsolePopen is before


PRINTING = """
import os, sys
from searchlab.cli.streams import protect_streams
from searchlab.cluster.local_ray import quiet_ray
protect_streams()
with quiet_ray():
    os.write(2, b"from a library ")
    print("from Python", file=sys.stderr)
os.write(2, b"afterwards")
"""


def test_what_rays_library_prints_does_not_reach_the_terminal():
    finished = subprocess.run([sys.executable, "-c", PRINTING], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stderr.split("\n") == ["from Python", "afterwards"]


def wait_in_block(process, reports):
    with interruptible(threading.Event()) as abort, watched("mine", [process], abort, reports.append):
        process.kill()
        threading.Event().wait(DEADLINE)


def test_the_death_of_a_raylet_interrupts_the_search_with_its_reason(raylet):
    reports = []
    with pytest.raises(RayError, match="its raylet died"):
        wait_in_block(raylet, reports)
    assert reports == []


def test_the_death_of_another_process_interrupts_nothing(raylet):
    raylet.name = "log_monitor.py"
    with interruptible(threading.Event()) as abort, watched("mine", [raylet], abort, print):
        raylet.kill()
        raylet.wait()
        time.sleep(0.1)


def test_a_search_that_cannot_be_interrupted_ends_with_one_sentence(raylet, monkeypatch):
    ended, reports = threading.Event(), []
    monkeypatch.setattr(local_ray, "ABORT_TIMEOUT", 0.05)
    monkeypatch.setattr(local_ray, "_ending", threading.Lock())
    monkeypatch.setattr(local_ray.os, "_exit", lambda code: (reports.append(code), ended.set()))
    with watched("mine", [raylet], lambda: None, reports.append):
        raylet.kill()
        assert ended.wait(DEADLINE)
    sentence, code = reports
    assert code == 1
    assert "raylet died" in sentence
    assert "`searchlab resume mine`" in sentence


DYING = """
import os, sys
from searchlab.cluster.exit_message import exit_message
with exit_message("mine", *sys.argv[2:]) as tell:
    if "told" in sys.argv[1]:
        tell("the reason")
    if "die" in sys.argv[1]:
        os._exit(3)
"""


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["die"], "`searchlab resume mine`"),
        (["die", "my home"], "`searchlab resume mine --home 'my home'`"),
        (["told+die"], "searchlab: the reason\n"),
    ],
)
def test_a_process_that_dies_leaves_a_message(arguments, printed):
    command = [sys.executable, "-c", DYING, *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)
    assert finished.returncode == 3
    assert printed in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["end"], ["told"]])
def test_a_block_that_ends_prints_nothing(arguments):
    command = [sys.executable, "-c", DYING, *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_closed_terminal_is_ignored_within_the_block_only():
    before = signal.getsignal(signal.SIGHUP)
    with hangup_ignored():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == before


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raylet", "gcs", "agent"])
def test_a_process_of_ray_that_is_killed_costs_one_sentence_and_resume_continues(terminal, kind):
    run = terminal.start("run", SPEC, "--engine", "tune", "--workers", 1, "--trials", 4, "--no-tracking")
    terminal.wait_until(run, lambda: of_kind(kind, run.pid) and "searching" in terminal.stderr(run))
    os.kill(of_kind(kind, run.pid)[0], signal.SIGKILL)
    assert run.wait(DEADLINE) == 1, terminal.stderr(run)
    wait_for(lambda: "searchlab: " in terminal.stderr(run))  # from another process, after the end of this one
    output = terminal.stderr(run)
    (sentence,) = [line for line in " ".join(output.split()).split("searchlab: ")[1:]]
    assert "`searchlab resume chaos" in sentence
    assert "Traceback" not in output
    assert ".cc:" not in output, "no line of Ray's own reaches the terminal"
    if kind == "gcs":  # after the others, tests/chaos resumes
        resumed = terminal.start("resume", "chaos")
        assert resumed.wait(DEADLINE) == 0, terminal.stderr(resumed)
        assert terminal.result(resumed)["trials"]["asked"] == 4


ORPHAN = """
import os, signal, sys
if os.fork():
    os._exit(0)
os.setsid()
while os.getppid() != 1:
    pass
with open(sys.argv[1], "w") as file:
    file.write(str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "searchlab.cli", *sys.argv[2:]])
"""


@pytest.mark.slow
def test_a_run_whose_parent_is_process_1_says_that_its_raylet_died(home, tmp_path):
    """Without RAY_RAYLET_PID, Ray's library ends such a process before it has said anything."""
    pid, err = tmp_path / "pid", tmp_path / "err"
    options = ["--engine", "tune", "--workers", "1", "--trials", "200", "--no-tracking", "--home", str(home), "--json"]
    with err.open("wb") as file:
        subprocess.run(
            [sys.executable, "-c", ORPHAN, str(pid), "run", str(SPEC), *options], cwd=ROOT, stderr=file, check=True
        )
    wait_for(lambda: pid.exists() and pid.read_text() and "searching" in err.read_text())
    session = int(pid.read_text())
    os.kill(of_kind("raylet", session)[0], signal.SIGKILL)
    wait_for(lambda: not of_kind("driver", session) and "searchlab: " in err.read_text())
    assert "`searchlab resume chaos" in " ".join(err.read_text().split())
    assert ".cc:" not in err.read_text()

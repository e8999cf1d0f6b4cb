"""Stopping a sweep from another process: its driver alone is signaled, once, and saves every group before it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from searchlab.cli.stop import stop_text
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor import stop
from searchlab.monitor.stop import stop_sweep
from searchlab.runs.file_lock import FileLock, lock_holder, lock_holder_pid
from searchlab.runs.workspace import Workspace
from tests.command_line import error_message, run_cli
from tests.conftest import ROOT
from tests.terminal import SPEC, Terminal, write_endless_sweep
from tests.test_status import end_in_every_state, job_in, spiral_manifest
from tests.waiting import DEADLINE

TRIALS = 12
DRIVER = """
import sys, threading, time
from pathlib import Path
from searchlab.runs.file_lock import FileLock
from searchlab.engine.signals import interruptible

path, before, after = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
stop, lock = threading.Event(), FileLock(path)
if before:
    print("started", flush=True)
time.sleep(before)
with interruptible(stop):
    print("handling signals", flush=True)
    while not stop.is_set():
        time.sleep(0.02)
    time.sleep(after)
"""  # needs a while until it handles signals, and a while to save


@pytest.fixture
def folder(tmp_path):
    """The folder of a sweep, four of whose seven trials have ended."""
    workspace = Workspace.at(tmp_path)
    spiral_manifest().save(workspace.sweep("spiral"))
    end_in_every_state(job_in(workspace))
    return workspace.sweep("spiral")


@contextlib.contextmanager
def running(*command, **options):
    """Run a process for the length of the block, which begins when it has printed a line."""
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options
    ) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def driver(folder, before=0.0, after=0.0, **options):
    return running(sys.executable, "-c", DRIVER, folder.lock, before, after, **options)


def bystander():
    """Run a Python process that does not run the sweep, and ends at the first signal."""
    return running(sys.executable, "-c", "import time; print('started', flush=True); time.sleep(60)")


def test_a_lock_names_its_holder_and_host(folder):
    assert lock_holder(folder.lock) is None
    lock = FileLock(folder.lock)
    assert lock_holder(folder.lock) == (os.getpid(), os.uname().nodename)
    assert lock_holder_pid(folder.lock) == os.getpid()
    folder.lock.write_text(str(os.getpid()))  # as an earlier version wrote it
    assert lock_holder(folder.lock) == (os.getpid(), "")
    assert lock_holder_pid(folder.lock) == os.getpid()
    folder.lock.write_text("")
    assert lock_holder_pid(folder.lock) == 0
    lock.release()
    assert lock_holder_pid(folder.lock) is None


def ignore_sigint():
    """Ignore SIGINT, as a process that a script runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def block_sigint():
    """Block SIGINT, as a job of Ray."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@pytest.mark.parametrize("setup", [None, ignore_sigint, block_sigint])
def test_the_driver_is_signaled_once_however_it_was_started(folder, setup):
    results = []
    with driver(folder, before=0.5 if setup else 0.0, after=0.6, preexec_fn=setup) as process:
        first = threading.Thread(target=lambda: results.append(stop_sweep(folder)))
        first.start()
        deadline = time.monotonic() + DEADLINE
        while folder.read("stop") is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        results.append(stop_sweep(folder))
        first.join()
        assert process.wait(DEADLINE) == 0, "a second signal would have ended it at once"
    assert results[0] == results[1]
    assert results[0].was_running
    assert re.search(r"spiral: stopped with 4 of 7 trials .*`searchlab resume spiral", stop_text(results[0]))
    again = stop_sweep(folder)
    assert not again.was_running
    assert re.search(r"no process .* interrupted with 4 of 7 trials", stop_text(again))


def test_a_later_run_is_signaled_again(folder):
    for _ in range(2):
        with driver(folder) as process:
            assert stop_sweep(folder).was_running
            assert process.wait(DEADLINE) == 0


def test_a_slow_driver_is_signaled_and_not_killed(folder):
    with driver(folder, after=2.0) as process:
        for _ in range(2):
            with pytest.raises(WorldFault, match=rf"process {process.pid} .* after 0.3 seconds"):
                stop_sweep(folder, timeout=0.3)
        assert process.wait(DEADLINE) == 0


def test_a_former_lock_holder_is_never_signaled(folder):
    with bystander() as process:
        folder.lock.write_text(f"{process.pid} {os.uname().nodename}")
        assert not stop_sweep(folder).was_running
        time.sleep(0.2)
        assert process.poll() is None


@pytest.mark.parametrize("name", ["bystander", "nobody", "init"])
def test_a_process_without_the_open_lock_is_never_signaled(folder, monkeypatch, name):
    monkeypatch.setattr(stop, "IDENTIFY_TIMEOUT", 0.3)
    signals = []
    monkeypatch.setattr(stop.os, "kill", lambda *arguments: signals.append(arguments))
    lock = FileLock(folder.lock)
    with bystander() as process:
        folder.lock.write_text({"bystander": f"{process.pid}", "nobody": "", "init": "1"}[name])
        with pytest.raises(WorldFault, match="no process was signaled"):
            stop_sweep(folder)
        monkeypatch.undo()
        assert not signals
    lock.release()


def test_a_process_of_another_program_is_never_signaled(folder, monkeypatch):
    monkeypatch.setattr(stop, "IDENTIFY_TIMEOUT", 0.3)
    with running("flock", "--no-fork", folder.lock, "sh", "-c", "echo started; exec sleep 60") as process:
        folder.lock.write_text(str(process.pid))
        with pytest.raises(WorldFault, match="no process was signaled"):
            stop_sweep(folder)
        assert process.poll() is None


def test_a_sweep_of_another_host_is_a_mistake(folder):
    lock = FileLock(folder.lock)
    folder.lock.write_text(f"{os.getpid()} elsewhere")
    words = f"process {os.getpid()} on host elsewhere, .* run `searchlab stop spiral` there"
    with pytest.raises(UserMistake, match=words):
        stop_sweep(folder)
    lock.release()


def test_stop_reports_the_state_of_a_sweep_that_is_not_running(folder):
    home = folder.path.parent.parent
    done = run_cli("stop", "spiral", "--json", home=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"sweep": "spiral", "state": "interrupted", "ended": 4, "asked": 7}
    assert "`searchlab resume spiral" in done.stderr
    assert "there are: spiral." in error_message(run_cli("stop", "other", home=home), 2)


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "tune"])
def test_a_stopped_and_resumed_sweep_has_exactly_the_trials_requested(terminal, engine):
    options = ["--engine", engine, "--workers", 1, "--fuse", 1, "--trials", TRIALS, "--no-tracking"]
    run = terminal.start("run", SPEC, *options)
    terminal.wait_until(run, lambda: sum(trial.state != "RUNNING" for trial in terminal.trials()) >= 2)
    watch = terminal.start("watch", "chaos", "--interval", 0.1)
    stop = terminal.start("stop", "chaos")
    assert stop.wait(DEADLINE) == 0, terminal.stderr(stop)
    assert run.wait(DEADLINE) == 130, terminal.stderr(run)
    assert watch.wait(DEADLINE) == 1, terminal.stderr(watch)
    stopped = terminal.trials()
    ended = [trial.number for trial in stopped if trial.state != "RUNNING"]
    printed = {"sweep": "chaos", "state": "interrupted", "ended": len(ended), "asked": TRIALS}
    assert terminal.result(stop) == printed
    assert terminal.result(watch)["state"] == "interrupted"
    saved = [int(file.stem) for file in (terminal.home / "sweeps" / "chaos" / "checkpoints").glob("*.npz")]
    assert saved == [trial.number for trial in stopped if trial.state == "RUNNING"], "every unfinished group is saved"
    again = terminal.start("stop", "chaos")
    assert again.wait(DEADLINE) == 0
    assert terminal.result(again) == printed

    resumed = terminal.start("resume", "chaos")
    assert resumed.wait(DEADLINE) == 0, terminal.stderr(resumed)
    assert [trial.number for trial in terminal.trials()] == list(range(TRIALS))
    assert all(trial.state in ("COMPLETE", "PRUNED") for trial in terminal.trials())
    last = terminal.start("stop", "chaos")
    assert last.wait(DEADLINE) == 0
    assert terminal.result(last) == {"sweep": "chaos", "state": "finished", "ended": TRIALS, "asked": TRIALS}


@pytest.mark.slow
def test_an_endless_epoch_is_not_ended_however_often_the_sweep_is_stopped(terminal, tmp_path):
    spec, progress = write_endless_sweep(tmp_path)
    run = terminal.start("run", spec, "--engine", "local", "--workers", 1, "--fuse", 1, "--no-tracking")
    terminal.wait_until(run, progress.exists)
    for _ in range(2):
        stop = terminal.start("stop", "endless", "--timeout", 1)
        assert stop.wait(DEADLINE) == 1
        assert re.search(rf"process {run.pid} .* after 1 seconds", terminal.result(stop)["error"])
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)  # as the message says
    assert run.wait(DEADLINE) == 130, terminal.stderr(run)

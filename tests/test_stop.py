"""Stopping a sweep from elsewhere: its driver saves and ends, it alone is told, and only once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from searchlab.cli.stop import told
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor import stop
from searchlab.monitor.stop import stop_sweep
from searchlab.runs.file_lock import FileLock, lock_holder, lock_holder_pid
from searchlab.runs.workspace import Workspace
from tests.conftest import ROOT
from tests.test_cli import searchlab, sentence
from tests.test_signals import ENDLESS, SPEC, Terminal
from tests.test_status import end_in_every_way, job_in, order_of

TRIALS = 12
DRIVER = """
import sys, threading, time
from pathlib import Path
from searchlab.runs.file_lock import FileLock
from searchlab.engine.signals import interruptible

path, before, after = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
stop, lock = threading.Event(), FileLock(path)
if before:
    print("driving", flush=True)
time.sleep(before)
with interruptible(stop):
    print("listening", flush=True)
    while not stop.is_set():
        time.sleep(0.02)
    time.sleep(after)
"""  # takes a while to listen, and a while to save


@pytest.fixture
def folder(tmp_path):
    """The folder of a sweep, four of whose seven trials have ended."""
    home = Workspace.at(tmp_path)
    order_of().keep(home.sweep("spiral"))
    end_in_every_way(job_in(home))
    return home.sweep("spiral")


@contextlib.contextmanager
def running(*command, **options):
    """A process for the length of the block, once it has said something."""
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
    """A process of Python's that has nothing to do with the sweep, and ends when it is told to."""
    return running(sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")


def test_a_lock_tells_who_holds_it_and_where(folder):
    assert lock_holder(folder.lock) is None
    lock = FileLock(folder.lock)
    assert lock_holder(folder.lock) == (os.getpid(), os.uname().nodename)
    assert lock_holder_pid(folder.lock) == os.getpid()
    folder.lock.write_text(str(os.getpid()))  # as it was written before
    assert lock_holder(folder.lock) == (os.getpid(), "")
    assert lock_holder_pid(folder.lock) == os.getpid()
    folder.lock.write_text("")
    assert lock_holder_pid(folder.lock) == 0
    lock.release()
    assert lock_holder_pid(folder.lock) is None


def deaf():
    """As a process that a script puts into the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def blocked():
    """As a job of Ray's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@pytest.mark.parametrize("start", [None, deaf, blocked])
def test_the_driver_is_told_once_however_it_was_started(folder, start):
    found = []
    with driver(folder, before=0.5 if start else 0.0, after=0.6, preexec_fn=start) as process:
        first = threading.Thread(target=lambda: found.append(stop_sweep(folder)))
        first.start()
        deadline = time.monotonic() + 30
        while folder.read("stop") is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found.append(stop_sweep(folder))
        first.join()
        assert process.wait(5) == 0, "a second signal would have broken it off"
    assert found[0] == found[1]
    (halted, _) = found
    assert halted.driven
    assert told(halted) == "spiral: stopped with 4 of 7 trials ended; `searchlab resume spiral` goes on with the rest"
    again = stop_sweep(folder)
    assert not again.driven
    assert "nothing drives it; it was interrupted with 4 of 7 trials ended" in told(again)


def test_a_later_run_is_told_again(folder):
    for _ in range(2):
        with driver(folder) as process:
            assert stop_sweep(folder).driven
            assert process.wait(5) == 0


def test_a_driver_that_takes_its_time_is_told_and_left_alone(folder):
    with driver(folder, after=2.0) as process:
        for _ in range(2):
            with pytest.raises(WorldFault, match=rf"process {process.pid} is still saving 'spiral' after 0.3 seconds"):
                stop_sweep(folder, timeout=0.3)
        assert process.wait(5) == 0


def test_who_once_held_a_free_lock_is_never_told(folder):
    with bystander() as process:
        folder.lock.write_text(f"{process.pid} {os.uname().nodename}")
        assert not stop_sweep(folder).driven
        time.sleep(0.2)
        assert process.poll() is None


@pytest.mark.parametrize("name", ["bystander", "nobody", "init"])
def test_who_does_not_have_the_lock_open_is_never_told(folder, monkeypatch, name):
    monkeypatch.setattr(stop, "DOUBT", 0.3)
    signals = []
    monkeypatch.setattr(stop.os, "kill", lambda *told: signals.append(told))
    lock = FileLock(folder.lock)
    with bystander() as process:
        folder.lock.write_text({"bystander": f"{process.pid}", "nobody": "", "init": "1"}[name])
        with pytest.raises(WorldFault, match="does not look like what drives 'spiral'; nothing was told to stop"):
            stop_sweep(folder)
        monkeypatch.undo()
        assert not signals
    lock.release()


def test_what_is_no_python_is_never_told(folder, monkeypatch):
    monkeypatch.setattr(stop, "DOUBT", 0.3)
    with running("flock", "--no-fork", folder.lock, "sh", "-c", "echo here; exec sleep 60") as process:
        folder.lock.write_text(str(process.pid))
        with pytest.raises(WorldFault, match="nothing was told to stop"):
            stop_sweep(folder)
        assert process.poll() is None


def test_a_sweep_of_another_host_is_told_where_it_runs(folder):
    lock = FileLock(folder.lock)
    folder.lock.write_text(f"{os.getpid()} elsewhere")
    words = f"driven by process {os.getpid()} on host elsewhere, .* run `searchlab stop spiral` there"
    with pytest.raises(UserMistake, match=words):
        stop_sweep(folder)
    lock.release()


def test_the_verb_tells_how_a_free_sweep_stands(folder):
    home = folder.path.parent.parent
    done = searchlab("stop", "spiral", "--json", home=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"sweep": "spiral", "state": "interrupted", "ended": 4, "asked": 7}
    assert "`searchlab resume spiral` goes on with the rest" in done.stderr
    assert "there are: spiral." in sentence(searchlab("stop", "other", home=home), 2)


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "tune"])
def test_stopped_and_resumed_it_ends_with_exactly_the_trials_asked_for(terminal, engine):
    run = terminal.start("run", SPEC, "--engine", engine, "--workers", 1, "--fuse", 1, "--trials", TRIALS)
    terminal.wait_until(run, lambda: sum(trial.state != "RUNNING" for trial in terminal.trials()) >= 2)
    watch = terminal.start("watch", "chaos", "--interval", 0.1)
    stop = terminal.start("stop", "chaos")
    assert stop.wait(120) == 0, terminal.said(stop)
    assert run.wait(60) == 130, terminal.said(run)
    assert watch.wait(30) == 1, terminal.said(watch)
    stopped = terminal.trials()
    ended = [trial.number for trial in stopped if trial.state != "RUNNING"]
    told = {"sweep": "chaos", "state": "interrupted", "ended": len(ended), "asked": TRIALS}
    assert terminal.told(stop) == told
    assert terminal.told(watch)["state"] == "interrupted"
    saved = [int(file.stem) for file in (terminal.home / "sweeps" / "chaos" / "checkpoints").glob("*.npz")]
    assert saved == [trial.number for trial in stopped if trial.state == "RUNNING"], "every group at work is saved"
    again = terminal.start("stop", "chaos")
    assert again.wait(30) == 0
    assert terminal.told(again) == told

    resumed = terminal.start("resume", "chaos")
    assert resumed.wait(150) == 0, terminal.said(resumed)
    assert [trial.number for trial in terminal.trials()] == list(range(TRIALS))
    assert all(trial.state in ("COMPLETE", "PRUNED") for trial in terminal.trials())
    last = terminal.start("stop", "chaos")
    assert last.wait(30) == 0
    assert terminal.told(last) == {"sweep": "chaos", "state": "finished", "ended": TRIALS, "asked": TRIALS}


@pytest.mark.slow
def test_an_epoch_without_end_is_not_broken_off_however_often_it_is_stopped(terminal, tmp_path):
    beats, spec = tmp_path / "beats", tmp_path / "endless.py"
    spec.write_text(ENDLESS.replace("BEATS", repr(str(beats))))
    run = terminal.start("run", spec, "--engine", "local", "--workers", 1, "--fuse", 1)
    terminal.wait_until(run, beats.exists)
    for _ in range(2):
        stop = terminal.start("stop", "endless", "--timeout", 1)
        assert stop.wait(30) == 1
        assert f"process {run.pid} is still saving 'endless' after 1 seconds" in terminal.told(stop)["error"]
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)  # as the sentence says
    assert run.wait(60) == 130, terminal.said(run)

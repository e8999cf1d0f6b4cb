"""Ctrl-C on a real run: once, and every group finishes its epoch and is saved; twice, and it stops at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from mlflow import MlflowClient

from searchlab.engine import local, signals
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.space.loader import load
from searchlab.study.reading import peek
from tests.chaos.victims import kill, members
from tests.conftest import ROOT

TRIALS = 8
SPEC = ROOT / "tests" / "chaos" / "sweep.py"

ENDLESS = """
import time
from dataclasses import dataclass

import numpy as np

from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer

@dataclass(frozen=True)
class Endless(Accuracy):
    def measure(self, model, batches):
        if len(list(batches)) > 1:  # memory is measured with one
            while True:
                with open(BEATS, "a") as file:
                    file.write("x")
                time.sleep(0.05)
        return np.zeros(1)

sweep = Sweep(
    name="endless", data=Spiral(points=100), validation=KFold(2), metric=Endless(), model=Space(MLP, hidden=5),
    optimizer=Space(SGD, lr=Float(0.1, 1.0)), training=Space(Trainer, batch_size=10, epochs=3), trials=3,
)
"""  # its first epoch never ends


def _hears_ctrl_c():
    """As in a terminal, also where these tests run in the background of a script, which has it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Where people start sweeps: each command leads a process group, to all of which Ctrl-C goes."""

    def __init__(self, home):
        self.home, self.started = home, []

    def start(self, *arguments):
        command = [sys.executable, "-m", "searchlab.cli", *map(str, arguments), "--home", str(self.home), "--json"]
        number = len(self.started)
        with (self.home / f"{number}.out").open("wb") as out, (self.home / f"{number}.err").open("wb") as err:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=err, start_new_session=True, preexec_fn=_hears_ctrl_c,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        self.started.append(process)
        return process

    def said(self, process):
        """What it said on stderr."""
        return (self.home / f"{self.started.index(process)}.err").read_text()

    def told(self, process):
        """The JSON object on the last line of stdout."""
        return json.loads((self.home / f"{self.started.index(process)}.out").read_text().splitlines()[-1])

    def wait_until(self, process, reached):
        deadline = time.monotonic() + 150
        while not reached():
            assert process.poll() is None, self.said(process)
            assert time.monotonic() < deadline, self.said(process)
            time.sleep(0.02)

    def trials(self, name="chaos"):
        return peek(self.home / "sweeps" / name / "study.journal", name)

    def clear(self):
        for process in self.started:
            kill(list(members(process.pid)), process.pid)
            process.wait()


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The trials of the sweep when nobody stops it."""
    folder = tmp_path_factory.mktemp("unbroken")
    job = Job(load(SPEC).sweep, "chaos", folder / "study.journal", folder / "checkpoints", trials=TRIALS, fuse=1)
    return local.search(job, Buffer()).trials


def ctrl_c(process):
    """As a terminal does it: to every process of the foreground group."""
    os.killpg(process.pid, signal.SIGINT)


def terminate(process):
    """As a container's end begins: to the process that was started."""
    process.send_signal(signal.SIGTERM)


def test_a_signal_and_its_echo_are_one_wish():
    """As timeout(1) sends it: to the process, and then to the group that it is in."""
    stop = threading.Event()
    with signals.interruptible(stop):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
            assert stop.is_set()
            time.sleep(0.01)


def tell_twice(number, pause):
    with signals.interruptible(threading.Event()):
        signal.raise_signal(number)
        time.sleep(pause)
        signal.raise_signal(number)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_second_signal_breaks_off(monkeypatch, number):
    monkeypatch.setattr(signals, "ECHO", 0.05)
    handlers = [signal.getsignal(each) for each in signals.SIGNALS]
    with pytest.raises(KeyboardInterrupt):
        tell_twice(number, 0.1)
    assert handlers == [signal.getsignal(each) for each in signals.SIGNALS]


def broken_off(stop, before):
    """By another thread, as when the study is dead; `before` signals came before it."""
    with signals.interruptible(stop) as break_off:
        for _ in range(before):
            signal.raise_signal(signal.SIGINT)
        threading.Thread(target=break_off).start()
        threading.Event().wait(30)


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_broken_off_waits_for_no_echo(before):
    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        broken_off(stop, before)
    assert stop.is_set()


def facts(trials):
    return [(t.number, t.state, t.parameters, t.value, t.reason, t.curve.scores, t.curve.losses) for t in trials]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "stop"), [("tune", ctrl_c), ("local", terminate)])
def test_stopped_once_every_group_is_saved_and_the_sweep_goes_on_as_if_unbroken(terminal, unbroken, engine, stop):
    options = ["--engine", engine, "--workers", 1, "--fuse", 1, "--trials", TRIALS]
    run = terminal.start("run", SPEC, *options)
    terminal.wait_until(run, lambda: sum(trial.state != "RUNNING" for trial in terminal.trials()) >= 2)
    stop(run)
    assert run.wait(120) == 130, terminal.said(run)
    said = terminal.said(run)
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("searchlab: ")
    assert "`searchlab resume chaos`" in said.splitlines()[-1]
    assert terminal.told(run)["exit_code"] == 130
    stopped = terminal.trials()
    left = [trial.number for trial in stopped if trial.state == "RUNNING"]
    assert len(stopped) < TRIALS
    folder = terminal.home / "sweeps" / "chaos" / "checkpoints"
    assert [int(file.stem) for file in folder.glob("*.npz")] == left, "every group at work is saved"
    assert statuses(terminal.home) <= {"FINISHED", "KILLED"}, "nobody is at work any more"

    again = terminal.start("resume", "chaos")
    assert again.wait(150) == 0, terminal.said(again)
    assert facts(terminal.trials()) == facts(unbroken)
    before = {trial.number: trial.curve.times for trial in stopped if trial.state != "RUNNING"}
    assert before == {trial.number: trial.curve.times for trial in terminal.trials() if trial.number in before}
    assert parent(terminal.home).info.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "stop"), [("tune", ctrl_c), ("local", terminate)])
def test_stopped_twice_it_ends_in_the_middle_of_an_epoch(terminal, tmp_path, engine, stop):
    beats, spec = tmp_path / "beats", tmp_path / "endless.py"
    spec.write_text(ENDLESS.replace("BEATS", repr(str(beats))))
    run = terminal.start("run", spec, "--engine", engine, "--workers", 1, "--fuse", 1)
    terminal.wait_until(run, beats.exists)
    stop(run)
    heard = beats.stat().st_size + 5  # by then it has come to the process
    terminal.wait_until(run, lambda: beats.stat().st_size > heard)
    if engine == "tune":
        terminal.wait_until(run, lambda: "once more stops at once" in terminal.said(run))
    time.sleep(signals.ECHO)
    stop(run)
    assert run.wait(120) == 130, terminal.said(run)
    assert "Traceback" not in terminal.said(run)
    assert "'endless' was broken off" in terminal.said(run).splitlines()[-1]
    assert "`searchlab resume endless`" in terminal.said(run).splitlines()[-1]
    assert [trial.state for trial in terminal.trials("endless")] == ["RUNNING"]


def runs(home, name="chaos"):
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    return client.search_runs([client.get_experiment_by_name(name).experiment_id], max_results=1000)


def parent(home):
    (found,) = [run for run in runs(home) if "mlflow.parentRunId" not in run.data.tags]
    return found


def statuses(home):
    """Of the runs in the record; the sweep's own is not finished yet."""
    assert parent(home).info.status != "FINISHED"
    return {run.info.status for run in runs(home)}

"""Ctrl-C during a run: the first one has every group finish its epoch and be saved, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from mlflow import MlflowClient

from searchlab.engine import local, signals
from searchlab.runs.events import EventBuffer
from searchlab.space.loader import load
from tests.jobs import make_job
from tests.terminal import SPEC, Terminal, write_endless_sweep
from tests.waiting import DEADLINE, wait_for

TRIALS = 8


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The trials of the sweep when no signal stops it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    job = make_job(load(SPEC).sweep, "chaos", folder / "study.journal", folder / "checkpoints", trials=TRIALS, fuse=1)
    return local.search(job, EventBuffer()).trials


def ctrl_c(process):
    """Send SIGINT as a terminal does: to every process of the foreground group."""
    os.killpg(process.pid, signal.SIGINT)


def terminate_group(process):
    """Send SIGTERM as timeout(1) does: to the process group."""
    os.killpg(process.pid, signal.SIGTERM)


def terminate(process):
    """Send SIGTERM as a container does: to the process that was started."""
    process.send_signal(signal.SIGTERM)


def test_signals_in_quick_succession_count_as_one():
    """As timeout(1) sends them: to the process, and then to the group that it is in."""
    stop = threading.Event()
    with signals.interruptible(stop):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
            assert stop.is_set()
            time.sleep(0.01)


def raise_twice(number, pause):
    with signals.interruptible(threading.Event()):
        signal.raise_signal(number)
        time.sleep(pause)
        signal.raise_signal(number)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_second_signal_interrupts(monkeypatch, number):
    monkeypatch.setattr(signals, "DUPLICATE_WINDOW", 0.05)
    handlers = [signal.getsignal(each) for each in signals.SIGNALS]
    with pytest.raises(KeyboardInterrupt):
        raise_twice(number, 0.1)
    assert handlers == [signal.getsignal(each) for each in signals.SIGNALS]


def abort_from_a_thread(stop, signals_before):
    """Abort as when the study has died, after some signals."""
    with signals.interruptible(stop) as abort:
        for _ in range(signals_before):
            signal.raise_signal(signal.SIGINT)
        threading.Thread(target=abort).start()
        threading.Event().wait(30)


@pytest.mark.parametrize("signals_before", [0, 1])
def test_an_abort_interrupts_at_once_even_soon_after_a_signal(signals_before):
    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        abort_from_a_thread(stop, signals_before)
    assert stop.is_set()


def abort_twice(steps):
    with signals.interruptible(threading.Event()) as abort:
        try:
            abort()
            threading.Event().wait(30)
        finally:
            abort()
            time.sleep(0.05)
            steps.append("left")


def test_a_second_abort_does_not_interrupt_the_end_of_the_first():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        abort_twice(steps)
    assert steps == ["left"]


def test_a_foreign_abort_signal_stops_nothing():
    stop = threading.Event()
    with signals.interruptible(stop):
        signal.raise_signal(signals.ABORT_SIGNAL)
    assert not stop.is_set()


def test_a_thread_restores_the_handler_that_a_library_has_replaced():
    stop = threading.Event()
    with signals.interruptible(stop):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        thread = threading.Thread(target=signals.restore_handlers)
        thread.start()
        thread.join()
        wait_for(lambda: callable(signal.getsignal(signal.SIGTERM)))
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
    assert stop.is_set()


def test_outside_of_a_search_no_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    signals.restore_handlers()
    assert signal.getsignal(signal.SIGTERM) == before


def facts(trials):
    return [(t.number, t.state, t.parameters, t.value, t.reason, t.curve.scores, t.curve.losses) for t in trials]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "stop"), [("tune", terminate_group), ("local", terminate), ("auto", ctrl_c)])
def test_after_one_signal_every_group_is_saved_and_resume_ends_as_if_uninterrupted(
    terminal, uninterrupted, engine, stop
):
    options = ["--engine", engine, "--workers", 1, "--fuse", 1, "--trials", TRIALS]
    run = terminal.start("run", SPEC, *options)
    terminal.wait_until(run, lambda: sum(trial.state != "RUNNING" for trial in terminal.trials()) >= 2)
    stop(run)
    assert run.wait(DEADLINE) == 130, terminal.stderr(run)
    check_interrupted(terminal, run, "chaos")
    assert terminal.result(run)["exit_code"] == 130
    stopped = terminal.trials()
    assert len(stopped) < TRIALS
    running = [trial.number for trial in stopped if trial.state == "RUNNING"]
    folder = terminal.home / "sweeps" / "chaos" / "checkpoints"
    assert [int(file.stem) for file in folder.glob("*.npz")] == running, "every group in training is saved"
    assert "FINISHED" not in [run.info.status for run in parent_runs(terminal.home)]  # there may be none yet

    resumed = terminal.start("resume", "chaos")
    assert resumed.wait(DEADLINE) == 0, terminal.stderr(resumed)
    assert facts(terminal.trials()) == facts(uninterrupted)
    before = {trial.number: trial.curve.times for trial in stopped if trial.state != "RUNNING"}
    assert before == {trial.number: trial.curve.times for trial in terminal.trials() if trial.number in before}
    assert [run.info.status for run in parent_runs(terminal.home)] == ["FINISHED"]
    assert {run.info.status for run in runs(terminal.home)} <= {"FINISHED", "KILLED"}, "no run is left RUNNING"


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "stop"), [("tune", ctrl_c), ("local", terminate)])
def test_after_two_signals_a_run_ends_within_an_epoch(terminal, tmp_path, engine, stop):
    spec, progress = write_endless_sweep(tmp_path)
    run = terminal.start("run", spec, "--engine", engine, "--workers", 1, "--fuse", 1, "--no-tracking")
    terminal.wait_until(run, progress.exists)
    stop(run)
    size = progress.stat().st_size + 5  # by then the process has received the signal
    terminal.wait_until(run, lambda: progress.stat().st_size > size)
    if engine == "tune":
        terminal.wait_until(run, lambda: signals.STOP_MESSAGE in " ".join(terminal.stderr(run).split()))
    time.sleep(signals.DUPLICATE_WINDOW)
    stop(run)
    assert run.wait(DEADLINE) == 130, terminal.stderr(run)
    check_interrupted(terminal, run, "endless")
    assert [trial.state for trial in terminal.trials("endless")] == ["RUNNING"]


def check_interrupted(terminal, process, name):
    """Check that the process ended with one sentence that says how to continue."""
    lines = terminal.stderr(process).splitlines()
    assert "Traceback" not in "\n".join(lines)
    assert lines[-1].startswith("searchlab: ")
    assert f"`searchlab resume {name}" in lines[-1]


def runs(home, name="chaos"):
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name(name)
    return client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []


def parent_runs(home):
    return [run for run in runs(home) if "mlflow.parentRunId" not in run.data.tags]

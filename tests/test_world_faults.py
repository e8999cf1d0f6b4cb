"""Faults outside of the program: a second process, a server that is down, a full disk, a clock that jumps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from mlflow import MlflowClient

from searchlab.engine import local
from searchlab.runner.resume import resume
from searchlab.runs.events import EventBuffer, TrialFinished
from searchlab.space.budget import Budget
from searchlab.study.study import Study
from searchlab.tracking import recorder
from tests.conftest import ROOT
from tests.jobs import make_job, run
from tests.mlflow_server import mlflow_server, store_uri
from tests.sweeps import spiral_sweep
from tests.terminal import Terminal, write_endless_sweep
from tests.waiting import DEADLINE, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def terminal(home):
    terminal = Terminal(home)
    yield terminal
    terminal.clear()


def test_a_running_sweep_is_locked_until_its_process_ends(terminal, tmp_path):
    spec, progress = write_endless_sweep(tmp_path)
    run = ["run", spec, "--engine", "local", "--fuse", 1, "--no-tracking"]
    owner = terminal.start(*run)
    terminal.wait_until(owner, progress.exists)
    for arguments in (["resume", "endless"], [*run, "--name", "endless"]):
        second = terminal.start(*arguments)
        assert second.wait(120) == 2
        (error,) = [line for line in terminal.stderr(second).splitlines() if "endless: " not in line]
        assert error.startswith("searchlab: ")
        assert f"is being run by process {owner.pid}" in error or "is taken" in error
    assert owner.poll() is None
    owner.kill()
    owner.wait()
    progress.unlink()
    resumed = terminal.start("resume", "endless")
    terminal.wait_until(resumed, progress.exists)
    assert [trial.state for trial in terminal.trials("endless")] == ["RUNNING"]


class ActionHandler:
    """An event handler that calls functions when given numbers of trials have ended."""

    def __init__(self, actions):
        self.actions, self.ended = actions, 0

    def handle(self, event):
        if isinstance(event, TrialFinished):
            self.ended += 1
            self.actions.get(self.ended, lambda: None)()


@pytest.fixture
def server(home, free_port):
    """An MLflow server on the store of the home folder, which a test may start and kill several times."""
    with ExitStack() as stack:
        yield Server(home, free_port, stack)


class Server:
    """An MLflow server on the store of a home folder."""

    def __init__(self, home, port, stack):
        self.home, self.uri = home, f"http://127.0.0.1:{port}"
        self.start, self.kill = lambda: stack.enter_context(mlflow_server(home, port)), stack.close

    def failed_calls(self):
        """Return how often the recording process could not reach the server."""
        log = self.home / "mlflow.log"
        return len(re.findall("does not (take|answer)", log.read_text())) if log.exists() else 0


def recorded(home, sweep):
    """Return, by trial, the status and the recorded epochs of its run in MLflow; that of the sweep is under None."""
    client = MlflowClient(store_uri(home))
    runs = {}
    for stored_run in client.search_runs([client.get_experiment_by_name(sweep).experiment_id], max_results=1000):
        number = stored_run.data.tags.get("searchlab.trial")
        trial = None if number is None else int(number)
        assert trial not in runs, "a trial has two runs"
        points = client.get_metric_history(stored_run.info.run_id, "accuracy")
        runs[trial] = stored_run.info.status, sorted(point.step for point in points)
    return runs


def has_run(home, sweep):
    """Return whether the sweep has a run in MLflow."""
    return MlflowClient(store_uri(home)).get_experiment_by_name(sweep) is not None and None in recorded(home, sweep)


def test_a_sweep_continues_without_the_mlflow_server_and_resume_completes_its_record(home, server, monkeypatch):
    """The server is killed, started again, and killed again until after the end of the sweep."""
    (home / "alone").mkdir()
    job = make_job(spiral_sweep(9), "spiral", home / "alone" / "study.journal", home / "alone", trials=9, fuse=1)
    undisturbed = local.search(job, EventBuffer()).trials

    def restart():
        wait_for(lambda: server.failed_calls() >= 3)
        server.start()
        wait_for(lambda: len(recorded(home, "spiral")) > 4)

    server.start()
    handler = ActionHandler({2: server.kill, 5: restart, 7: server.kill})
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "FINAL_SECONDS", 2.0)
        incomplete = run_recorded(home, server, handler)
    assert incomplete.winner
    assert re.search(r"record of spiral .* not complete.*`searchlab resume spiral`", incomplete.record_fault)
    server.start()
    result = resume("spiral", home=home, sweep=spiral_sweep(9))
    assert facts(result.trials) == facts(undisturbed)
    assert (result.record_fault, bool(result.run_id)) == (None, True)
    assert recorded(home, "spiral") == {n: ("FINISHED", [1, 2, 3]) for n in range(9)} | {None: ("FINISHED", [])}


def run_recorded(home, server, handler):
    """Run a sweep whose record a server keeps."""
    return run(
        spiral_sweep(9), engine="local", home=home, fuse=1, tracking="mlflow", tracking_uri=server.uri, display=handler
    )


def test_a_server_that_comes_back_before_the_end_has_the_whole_record(home, server):
    def start():
        wait_for(lambda: server.failed_calls() >= 1)
        server.start()
        wait_for(lambda: has_run(home, "spiral"))

    result = run_recorded(home, server, ActionHandler({5: start}))
    assert (result.record_fault, bool(result.run_id)) == (None, True)
    assert recorded(home, "spiral") == {n: ("FINISHED", [1, 2, 3]) for n in range(9)} | {None: ("FINISHED", [])}


SMALL_DISK_SCRIPT = """
set -u
mkdir -p "$1"; cp "$2" "$OUT/mlflow.db"
mount -t tmpfs -o size=3m tmpfs "$1"
cp "$OUT/mlflow.db" "$1"
searchlab() { "$PYTHON" -m searchlab.cli "$@" --home "$HOME_FOLDER"; }
"""


def run_on_small_disk(tmp_path, home, script):
    """Run a shell script in which $HOME_FOLDER is a file system of 3 MB.

    Return the exit codes that it has written to $OUT/codes, and the text of each $OUT/NAME.err by its name.
    """
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    disk, out = tmp_path / "disk", tmp_path / "out"
    out.mkdir()
    environment = {"OUT": str(out), "PYTHON": sys.executable, "HOME_FOLDER": str(disk), "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(
        ["unshare", "--mount", "bash", "-c", SMALL_DISK_SCRIPT + script, "bash", str(disk), str(home / "mlflow.db")],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    codes = [int(code) for code in (out / "codes").read_text().split()]
    return codes, {file.stem: file.read_text() for file in out.glob("*.err")}


def error_line(stderr):
    """Return the one line that reports the error of a command."""
    assert "Traceback" not in stderr, stderr
    (line,) = [line for line in stderr.splitlines() if line.startswith("searchlab: ")]
    return line


def test_a_full_or_read_only_disk_is_reported_and_loses_no_trial(tmp_path, home):
    codes, stderr = run_on_small_disk(
        tmp_path,
        home,
        """
        J="$1/sweeps/spiral-mlp/study.journal"
        head -c $(( $(df --output=avail -B1 "$1" | tail -1) - 120000 )) /dev/zero > "$1/ballast"
        searchlab run search_spaces/spiral_mlp.py --workers 2 --trials 30 --epochs 40 2> "$OUT/full.err"
        echo $? >> "$OUT/codes"
        rm "$1/ballast"; mount -o remount,size=200m "$1"
        mount --bind "$J" "$J"; mount -o remount,bind,ro "$J"
        searchlab resume spiral-mlp 2> "$OUT/journal.err"; echo $? >> "$OUT/codes"
        umount "$J"
        until mount -o remount,ro "$1"; do sleep 0.2; done  # busy until the processes of the failed command have ended
        searchlab resume spiral-mlp 2> "$OUT/home.err"; echo $? >> "$OUT/codes"
        mount -o remount,rw "$1"
        searchlab resume spiral-mlp --json > "$OUT/result.json"; echo $? >> "$OUT/codes"
        """,
    )
    assert codes == [1, 1, 2, 0], stderr
    assert "cannot be written (No space left on device)" in error_line(stderr["full"])
    assert "is kept" in error_line(stderr["full"])
    assert "study.journal cannot be written (Read-only file system)" in error_line(stderr["journal"])
    assert "cannot be written (Read-only file system)" in error_line(stderr["home"])
    trials = json.loads((tmp_path / "out" / "result.json").read_text().splitlines()[-1])["trials"]
    assert trials["asked"] == trials["complete"] + trials["pruned"] == 30


class JumpingClock:
    """A clock that is an hour slow after 15 readings, and a day fast after 30."""

    def __init__(self, now):
        self.now, self.readings = now, 0

    def __call__(self):
        self.readings += 1
        offset = 0 if self.readings < 15 else -3600 if self.readings < 30 else 86_400
        return self.now() + offset


def facts(trials):
    """Return what must be equal of the trials of two searches."""
    return [(t.number, t.state, t.parameters, t.value, t.reason, t.curve.scores) for t in trials]


def test_a_clock_that_jumps_does_not_change_the_search(tmp_path, monkeypatch):
    sweep = spiral_sweep(budget=Budget(seconds=600.0, patience=40))

    def search(name, trials=12):
        folder = tmp_path / name
        return local.search(
            make_job(sweep, "spiral", folder / "study.journal", folder / "checkpoints", trials), EventBuffer()
        )

    for name in ("steady", "jumping"):
        (tmp_path / name).mkdir()
    steady = search("steady")
    clock, offset = JumpingClock(time.time), JumpingClock(lambda: 0.0)

    class JumpingDatetime(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=offset())

    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr("optuna.storages.journal._storage.datetime", JumpingDatetime)
    search("jumping", trials=5)
    jumping = search("jumping")
    assert clock.readings > 40
    assert offset.readings > 20
    assert facts(jumping.trials) == facts(steady.trials)
    assert (jumping.over, steady.over) == (None, None)
    steady_usage, jumping_usage = (
        open_study(sweep, tmp_path / name).store.budget_usage for name in ("steady", "jumping")
    )
    assert jumping_usage.trials_since_best == steady_usage.trials_since_best
    assert jumping_usage.seconds < 600.0


def open_study(sweep, folder):
    study = Study(make_job(sweep, "spiral", folder / "study.journal", folder / "checkpoints", trials=12), EventBuffer())
    study.close()
    return study

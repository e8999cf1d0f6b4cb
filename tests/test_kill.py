"""Kill anything: `run` killed with SIGKILL at three moments, and `resume` ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from searchlab.study.reading import peek
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

TRIALS = 12
OPTIONS = ["--trials", str(TRIALS), "--epochs", "60", "--workers", "2", "--fuse", "2", "--set", "model.hidden=128"]


def processes_of(session):
    """Every process that was started in this session, whatever its group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


class Sweep:
    """A sweep on the digits under a home, run by processes that can be killed."""

    def __init__(self, home):
        self.home, self.folder = home, home / "sweeps" / "digits-mlp"
        self.sessions = []

    def start(self, *arguments):
        command = [sys.executable, "-m", "searchlab.cli", *arguments, "--home", str(self.home), "--json"]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.sessions.append(process.pid)
        return process

    def kill_when(self, process, reached):
        """SIGKILL to the whole group once this is reached."""
        deadline = time.monotonic() + 120
        while not reached():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def trials(self):
        return peek(self.folder / "study.journal", "digits-mlp")

    def ended(self):
        return {trial.number: trial for trial in self.trials() if trial.state != "RUNNING"}

    def clear(self):
        """End what is left of the sessions started here, and nothing else."""
        for session in self.sessions:
            for pid in processes_of(session):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sweep(home):
    started = Sweep(home)
    yield started
    started.clear()


def test_killed_three_times_a_sweep_ends_with_every_trial_once(sweep):
    checkpoint = lambda: any((sweep.folder / "checkpoints").glob("*.npz"))  # noqa: E731
    sweep.kill_when(sweep.start("run", "search_spaces/digits_mlp.py", *OPTIONS), checkpoint)
    first = sweep.ended()

    half = lambda: len(sweep.ended()) >= TRIALS // 2  # noqa: E731
    sweep.kill_when(sweep.start("resume", "digits-mlp"), half)
    second = sweep.ended()
    assert 0 < len(second) < TRIALS

    testing = lambda: (sweep.folder / "test_rows.json").exists()  # noqa: E731
    sweep.kill_when(sweep.start("resume", "digits-mlp"), testing)
    third = sweep.ended()
    assert len(third) == TRIALS
    assert not (sweep.folder / "result.json").exists(), "killed before its end"

    last = sweep.start("resume", "digits-mlp")
    out, err = last.communicate(timeout=180)
    assert last.returncode == 0, err
    told = json.loads(out.splitlines()[-1])
    trials = sweep.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    complete = sum(trial.state == "COMPLETE" for trial in trials)
    assert complete > 0
    assert told["trials"] == {"asked": TRIALS, "complete": complete, "pruned": TRIALS - complete, "failed": 0}
    assert all(len(trial.curve.scores) == 60 for trial in trials if trial.state == "COMPLETE")
    for before in (first, second, third):
        for number, trial in before.items():
            assert trials[number].curve.times == trial.curve.times, "a finished trial is not trained again"
    record_is_whole(sweep, told, trials)
    openings = json.loads((sweep.folder / "test_rows.json").read_text())["openings"]
    assert len({opening["trial"] for opening in openings}) == 1, "one winner saw the test rows"


def record_is_whole(sweep, told, trials):
    """MLflow has one run per trial that ended as the trial did and one for the sweep, each point once."""
    client = MlflowClient(told["tracking_uri"])
    experiment = client.get_experiment_by_name("digits-mlp")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    of_trial = {int(run.data.tags["searchlab.trial"]): run for run in runs if run.info.run_id != told["run_id"]}
    assert len(runs) == 1 + TRIALS
    assert sorted(of_trial) == list(range(TRIALS))
    assert client.get_run(told["run_id"]).info.status == "FINISHED"
    for trial in trials:
        run = of_trial[trial.number]
        assert run.info.status == {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}[trial.state]
        history = client.get_metric_history(run.info.run_id, "accuracy")
        assert sorted(point.step for point in history) == list(range(1, 1 + len(trial.curve.scores)))


def test_a_killed_driver_leaves_no_process_at_work(sweep):
    """Ray's own processes notice that their driver is gone; nobody trains on."""
    process = sweep.start("run", "search_spaces/digits_mlp.py", *OPTIONS)
    sweep.kill_when(process, lambda: len(sweep.ended()) >= 2)
    deadline = time.monotonic() + 90
    while left := [pid for session in sweep.sessions for pid in processes_of(session)]:
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        time.sleep(0.2)

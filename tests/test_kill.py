"""`run` killed with SIGKILL at three moments: `resume` ends the sweep as if it had never been interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from mlflow import MlflowClient

from searchlab.study.reading import read_trials
from tests.chaos.processes import kill, members
from tests.conftest import ROOT
from tests.waiting import DEADLINE
from tests.without_figures import PROGRAM

pytestmark = pytest.mark.slow

TRIALS = 12
OPTIONS = ["--engine", "tune", "--workers", "2", "--fuse", "2", "--trials", str(TRIALS), "--epochs", "60"]
OPTIONS += ["--set", "model.hidden=128"]


class DigitsSweep:
    """A sweep on the digits in a home folder, run by processes that can be killed."""

    def __init__(self, home):
        self.home, self.folder = home, home / "sweeps" / "digits-mlp"
        self.sessions = []

    def start(self, *arguments):
        command = [*PROGRAM, *arguments, "--home", str(self.home), "--json"]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.sessions.append(process.pid)
        return process

    def kill_when(self, process, condition):
        """Kill the whole process group once the condition holds."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def trials(self):
        return read_trials(self.folder / "study.journal", "digits-mlp")

    def ended(self):
        return {trial.number: trial for trial in self.trials() if trial.state != "RUNNING"}

    def clear(self):
        """End what is left of the sessions that were started here, and nothing else."""
        for session in self.sessions:
            kill(list(members(session)), session)


@pytest.fixture
def sweep(home):
    started = DigitsSweep(home)
    yield started
    started.clear()


def test_a_sweep_killed_three_times_ends_with_every_trial_once(sweep):
    def has_checkpoint():
        return any((sweep.folder / "checkpoints").glob("*.npz"))

    sweep.kill_when(sweep.start("run", "search_spaces/digits_mlp.py", *OPTIONS), has_checkpoint)
    first = sweep.ended()

    sweep.kill_when(sweep.start("resume", "digits-mlp"), lambda: len(sweep.ended()) >= TRIALS // 2)
    second = sweep.ended()
    assert 0 < len(second) < TRIALS

    sweep.kill_when(sweep.start("resume", "digits-mlp"), (sweep.folder.parent.parent / "test_looks.json").exists)
    third = sweep.ended()
    assert len(third) == TRIALS
    assert not (sweep.folder / "result.json").exists(), "killed before its end"

    last = sweep.start("resume", "digits-mlp")
    out, err = last.communicate(timeout=DEADLINE)
    assert last.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    trials = sweep.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    complete = sum(trial.state == "COMPLETE" for trial in trials)
    assert complete > 0
    assert result["trials"] == {"asked": TRIALS, "complete": complete, "pruned": TRIALS - complete, "failed": 0}
    assert all(len(trial.curve.scores) == 60 for trial in trials if trial.state == "COMPLETE")
    for before in (first, second, third):
        for number, trial in before.items():
            assert trials[number].curve.times == trial.curve.times, "a finished trial is not trained again"
    check_record(result, trials)
    looks = json.loads((sweep.folder.parent.parent / "test_looks.json").read_text())["looks"]
    assert [look["trial"] for look in looks] == [result["best"]["trial"]], "only one winner was tested"
    assert result["best"]["test_look"] == 1


def check_record(result, trials):
    """Check that MLflow has a run per trial with the trial's state, one for the sweep, and each point once."""
    client = MlflowClient(result["tracking_uri"])
    experiment = client.get_experiment_by_name("digits-mlp")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    run_by_trial = {int(run.data.tags["searchlab.trial"]): run for run in runs if run.info.run_id != result["run_id"]}
    assert len(runs) == 1 + TRIALS
    assert sorted(run_by_trial) == list(range(TRIALS))
    assert client.get_run(result["run_id"]).info.status == "FINISHED"
    for trial in trials:
        run = run_by_trial[trial.number]
        assert run.info.status == "FINISHED", "only failures are shown as such"
        assert run.data.tags["state"] == {"COMPLETE": "complete", "PRUNED": "pruned"}[trial.state]
        points = client.get_metric_history(run.info.run_id, "accuracy")
        assert sorted(point.step for point in points) == list(range(1, 1 + len(trial.curve.scores)))


def test_no_process_trains_on_after_its_driver_was_killed(sweep):
    process = sweep.start("run", "search_spaces/digits_mlp.py", *OPTIONS)
    sweep.kill_when(process, lambda: len(sweep.ended()) >= 2)
    deadline = time.monotonic() + DEADLINE
    while remaining := [command for session in sweep.sessions for command in members(session).values()]:
        assert time.monotonic() < deadline, remaining
        time.sleep(0.2)

"""A sweep that is killed while it changes over from its own process to Ray's workers: `resume` loses no trial."""

from __future__ import annotations

import json
import os
import signal

import pytest

from searchlab.study.reading import read_trials
from tests.chaos.observed_sweep import NAME, ObservedSweep
from tests.chaos.processes import of_kind
from tests.terminal import SPEC
from tests.waiting import wait_for
from tests.without_figures import PROGRAM

pytestmark = pytest.mark.slow

TRIALS = 60
CHANGE = "the search continues on Ray Tune"


@pytest.fixture
def sweep(home):
    observed = ObservedSweep(home, PROGRAM)
    yield observed
    observed.clear()


def ray_starts(run):
    return of_kind("gcs", run.session)


def study_is_closed(run):
    return CHANGE in " ".join(run.err.read_text().split())


def study_is_opened_again(run):
    return of_kind("study", run.session)


@pytest.mark.parametrize("moment", [ray_starts, study_is_closed, study_is_opened_again])
def test_a_sweep_that_is_killed_during_the_change_ends_with_every_trial_once(sweep, moment):
    options = ["--engine", "auto", "--workers", "2", "--fuse", "1", "--trials", str(TRIALS)]
    run = sweep.start("run", str(SPEC), *options)
    wait_for(lambda: moment(run) or run.process.poll() is not None)
    assert run.process.poll() is None, run.last_lines
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    before = sweep.ended()
    assert len(before) < TRIALS

    resumed = sweep.start("resume", NAME)
    wait_for(lambda: resumed.process.poll() is not None)
    assert resumed.process.returncode == 0, resumed.last_lines
    result = json.loads(resumed.out.read_text().splitlines()[-1])
    trials = read_trials(sweep.folder / "study.journal", NAME)
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.state for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert result["trials"]["complete"] + result["trials"]["pruned"] == TRIALS
    for number, trial in before.items():
        assert trials[number].curve.times == trial.curve.times, "a trial that had ended is not trained again"
    assert sweep.remaining_processes() == []

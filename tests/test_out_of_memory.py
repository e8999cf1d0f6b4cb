"""A trial that needs too much memory: its group is retried in smaller parts, and the trial fails when it is alone."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Choice, Grid, Space, Trainer
from searchlab.engine import local, ray_tune
from searchlab.replicas import PerReplica
from searchlab.runs.events import EventBuffer, TrialFinished
from tests.conftest import ROOT
from tests.jobs import make_job
from tests.sweeps import spiral_sweep

pytestmark = pytest.mark.slow

DEMANDS = (1.0, 2.0, 9.0, 3.0)  # of the trials, in units of which a worker has 10; each trial has two folds
STATES = ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]


class DemandingMLP(MLP):
    """A network that runs out of memory when its replicas demand more than 10 units together."""

    def __init__(self, replicas, features, outputs, *, demand: PerReplica = 0.0, hidden: int = 8):
        super().__init__(replicas, features, outputs, hidden=hidden)
        self.demand, self.steps = replicas.vector(demand), 0

    def forward(self, batch, carry=None, *, train):
        self.steps += 1
        if self.steps > 3 and self.demand.sum() > 10.0:  # memory is measured on two steps
            self.run_out()
        return super().forward(batch, carry, train=train)

    def run_out(self):
        """Allocate 2 ** 60 bytes: NumPy raises MemoryError on every machine."""
        np.empty(2**60, dtype=np.uint8)


class KilledMLP(DemandingMLP):
    """The same on a system that kills a process for its memory instead of refusing more."""

    def run_out(self):
        os.kill(os.getpid(), signal.SIGKILL)


def make_memory_job(folder, model, **changes):
    sweep = spiral_sweep(
        trials=None,
        model=Space(model, demand=Choice(*DEMANDS)),
        optimizer=Space(SGD, lr=0.5),
        training=Space(Trainer, batch_size=10, epochs=3),
        sampler=Grid(),
    )
    storage, checkpoints = folder / "study.journal", folder / "checkpoints"
    return make_job(sweep, "spiral", storage, checkpoints, len(DEMANDS), fuse=4, root=ROOT, **changes)


def test_a_memory_error_fails_only_the_trial_that_needs_the_memory(tmp_path):
    trials = local.search(make_memory_job(tmp_path, DemandingMLP), EventBuffer()).trials
    assert [trial.state for trial in trials] == STATES
    reason = trials[2].reason
    assert reason.startswith("infeasible: ")
    assert "ran out of memory alone" in reason
    assert "1.00 EiB" in reason
    assert all(len(trial.curve.scores) == 3 for trial in trials if trial.state == "COMPLETE")
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_process_killed_for_its_memory_fails_only_the_trial_that_needs_it(tmp_path):
    trials = ray_tune.search(make_memory_job(tmp_path, KilledMLP, memory=2**30), events := EventBuffer()).trials
    assert [trial.state for trial in trials] == STATES, [trial.reason for trial in trials]
    reason = trials[2].reason
    assert reason.startswith("infeasible: the worker process died")
    assert "by estimate" in reason
    assert "1.07 GB" in reason
    assert all(len(trial.curve.scores) == 3 for trial in trials if trial.state == "COMPLETE")
    ends = [event.trial for event in events.drain() if isinstance(event, TrialFinished)]
    assert sorted(ends) == [0, 1, 2, 3]
    assert not list((tmp_path / "checkpoints").iterdir())
